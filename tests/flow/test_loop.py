"""The loop: deadlines, the end of a run, and damping as the last word whatever happens."""

import gc

import numpy as np
import pytest

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.contract.messages import Decision
from sonic_runtime.loop import Loop, RunLimits
from sonic_runtime.robots import g1
from tests.fakes.parts import FakeRun, make_goal, make_state, make_target

LIMITS = RunLimits(max_ticks=100, damping_ticks=10)


class Collect:
    def __init__(self):
        self.reports = []

    def put(self, report):
        self.reports.append(report)


def run_loop(run, limits=LIMITS, stop=None):
    sink = Collect()
    summary = Loop(run.parts, [sink]).run(limits, stop)
    return summary, sink.reports


def is_damping(run, target):
    return target is run.parts.damping_target


def test_a_run_of_some_duration_ends_in_damping():
    run = FakeRun()
    summary, reports = run_loop(run)
    assert (summary.ticks, summary.active_ticks, summary.stop_reason) == (110, 100, "duration")
    assert summary.fault is None
    assert [r.mode for r in reports] == ["active"] * 100 + ["damping"] * 10
    assert all(is_damping(run, t) for t in run.robot.written[-11:])
    assert summary.loop_s == pytest.approx(110 * 0.02)
    assert set(summary.stages) == {"sense", "command", "decide", "act", "guard", "write"}


def test_the_summary_tells_what_the_guard_did_and_what_it_was_kept_from():
    run = FakeRun(off=("tilt",))
    hot = np.full(29, 95.0)
    run.robot.state_of = lambda _: make_state(stamp_ns=run.clock.now_ns(), motor_temperature_c_hw=hot)
    run.controller.decision_of = lambda _: Decision(target=make_target(np.full(29, 9.0)))
    summary, _ = run_loop(run)
    assert summary.guard_off == ("tilt",)
    assert summary.warnings == {"temperature": 1}
    assert summary.clamped_ticks == summary.active_ticks == 100
    assert summary.clamped_by_limit["target_range"] == 100
    assert set(summary.clamped_by_joint) == set(g1.JOINT_NAMES_HW)


def test_a_stop_from_outside_ends_in_damping():
    run = FakeRun()
    summary, _ = run_loop(run, stop=lambda report: report.index == 4)
    assert (summary.active_ticks, summary.stop_reason) == (5, "stopped")
    assert all(is_damping(run, t) for t in run.robot.written[5:])


def nan_action(run, k):
    bad = Decision(target=make_target(np.full(29, np.nan)))
    good = Decision(target=make_target())
    run.controller.decision_of = lambda i: bad if i == k else good


def stale_stream(run, k):
    run.goals.goal_of = lambda i: make_goal(stamp_ns=min(run.clock.now_ns(), k * 20_000_000 - 520_000_000))


def lost_goal(run, k):
    run.goals.goal_of = lambda i: None if i == k else make_goal(stamp_ns=run.clock.now_ns())


def fallen(run, k):
    lying = np.array([np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0])
    upright = np.array([1.0, 0.0, 0.0, 0.0])
    run.robot.state_of = lambda i: make_state(stamp_ns=run.clock.now_ns(), base_quat_wxyz=lying if i == k else upright)


def silent_robot(run, k):
    run.robot.state_of = lambda i: make_state(stamp_ns=min(run.clock.now_ns(), k * 20_000_000 - 80_000_000))


def robot_error(run, k):
    def read(i):
        if i >= k:
            raise RobotError("no state for 1 s; check the cable")
        return make_state(stamp_ns=run.clock.now_ns())

    run.robot.state_of = read


FAULTS = {
    "non_finite": nan_action,
    "stale_stream": stale_stream,
    "tilt": fallen,
    "stale_state": silent_robot,
    "robot": robot_error,
}


@pytest.mark.parametrize("code", FAULTS)
def test_every_fault_ends_in_damping_and_damping_stays(code):
    run = FakeRun()
    FAULTS[code](run, 30)
    summary, reports = run_loop(run)
    assert summary.stop_reason == "fault"
    assert summary.fault is not None
    assert summary.fault.code == code
    assert summary.active_ticks == 30
    written = run.robot.written
    assert not any(is_damping(run, t) for t in written[:30])
    assert all(is_damping(run, t) for t in written[30:])
    assert len(written) == 30 + 1 + 10 + 1
    # what was well again one tick later does not bring the controller back
    assert "active" not in [r.mode for r in reports if r.index >= 30]


def test_a_goal_that_vanishes_is_a_fault():
    run = FakeRun()
    lost_goal(run, 30)
    summary, _ = run_loop(run)
    assert summary.fault is not None
    assert summary.fault.code == "stale_stream"


def test_a_bug_is_raised_after_damping_was_written():
    run = FakeRun()

    def decide(i):
        if i == 3:
            raise ZeroDivisionError("a bug")
        return Decision(target=make_target())

    run.controller.decision_of = decide
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run_loop(run)
    assert len(run.robot.written) == 3 + 1 + 10 + 1
    assert all(is_damping(run, t) for t in run.robot.written[3:])
    assert gc.isenabled()


def test_an_impatient_ctrl_c_still_leaves_damping_behind():
    run = FakeRun()

    def decide(i):
        if i == 3:
            raise KeyboardInterrupt
        return Decision(target=make_target())

    run.controller.decision_of = decide
    with pytest.raises(KeyboardInterrupt):
        run_loop(run)
    assert is_damping(run, run.robot.written[-1])
    assert sum(is_damping(run, t) for t in run.robot.written) > 1, "one message can be lost"


def failing_writes(run, ticks):
    """Let the robot refuse what is written in some ticks."""
    write = run.robot.write

    def refuse(target):
        run.robot.attempts += 1
        if run.robot.attempts in ticks:
            raise RobotError("the queue is full")
        write(target)

    run.robot.attempts = 0
    run.robot.write = refuse


def test_damping_that_cannot_be_written_at_first_is_written_later():
    run = FakeRun()
    failing_writes(run, range(6, 10))
    summary, _ = run_loop(run)
    assert summary.fault is not None
    assert summary.fault.code == "robot"
    assert all(is_damping(run, t) for t in run.robot.written[5:])
    assert len(run.robot.written) > 5 + 5


def test_a_robot_that_takes_no_damping_at_all_is_told():
    run = FakeRun()
    failing_writes(run, range(6, 100))
    with pytest.raises(RobotError, match="cut their power"):
        run_loop(run)


def test_that_the_motors_may_hold_their_target_is_told_with_a_bug_too():
    run = FakeRun()
    write, broken = run.robot.write, OSError("no such device")

    def gone(target):
        run.robot.attempts += 1
        if run.robot.attempts > 5:
            raise broken
        write(target)

    run.robot.attempts, run.robot.write = 0, gone
    with pytest.raises(OSError, match="no such device") as raised:
        run_loop(run)
    assert raised.value is broken
    assert any("cut their power" in note for note in broken.__notes__)


def test_an_impatient_ctrl_c_at_a_robot_that_takes_no_damping_is_told():
    run = FakeRun()
    failing_writes(run, range(6, 100))
    read = run.robot.read

    def interrupted():
        if run.robot.attempts == 8:
            raise KeyboardInterrupt
        return read()

    run.robot.read = interrupted
    with pytest.raises(RobotError, match="cut their power"):
        run_loop(run)


class Broken:
    def __init__(self):
        self.calls = 0

    def put(self, report):
        self.calls += 1
        raise OSError("no space left")


def test_a_sink_that_raises_does_not_end_the_run():
    run, broken, healthy = FakeRun(), Broken(), Collect()
    with pytest.raises(OSError, match="no space left"):
        Loop(run.parts, [broken, healthy]).run(LIMITS)
    assert broken.calls == 1
    assert [r.mode for r in healthy.reports] == ["active"] * 100 + ["damping"] * 10


def test_a_stop_function_that_raises_ends_in_damping():
    run = FakeRun()
    with pytest.raises(ZeroDivisionError):
        run_loop(run, stop=lambda report: 1 // (3 - report.index) < 0)
    assert len(run.robot.written) == 4 + 1 + 10 + 1
    assert all(is_damping(run, t) for t in run.robot.written[4:])


def test_the_collector_is_off_in_the_loop_and_on_after_it():
    run = FakeRun()
    seen = []
    run_loop(run, stop=lambda _: seen.append(gc.isenabled()) or False)
    assert not any(seen)
    assert gc.isenabled()


class SlowClock:
    """A clock on which chosen ticks last longer than the period; tells how the loop waited."""

    def __init__(self, run, durations_ms):
        self.run, self.durations_ms = run, durations_ms
        self.deadlines = []

    def now_ns(self):
        return self.run.clock.now_ns()

    def wait_until(self, deadline_ns):
        i = len(self.deadlines)
        self.deadlines.append(deadline_ns)
        done = self.now_ns() + int(self.durations_ms.get(i, 1) * 1e6)
        self.run.clock.wait_until(max(done, deadline_ns))
        return max(0, done - deadline_ns)


def test_a_missed_deadline_is_counted_and_not_caught_up():
    run = FakeRun()
    clock = SlowClock(run, {2: 65})
    parts = type(run.parts)(**{f: getattr(run.parts, f) for f in run.parts.__slots__} | {"clock": clock})
    summary = Loop(parts).run(RunLimits(max_ticks=6, damping_ticks=0))
    assert summary.deadline_misses == 1
    assert summary.worst_late_ms == pytest.approx(45.0)
    # the tick that began at 40 ms was due at 60 and over at 105: the slots at 80 and 100 are left out
    assert [d // 1_000_000 for d in clock.deadlines] == [20, 40, 60, 120, 140, 160]


def test_a_tick_in_time_after_a_late_one_is_no_miss():
    run = FakeRun()
    clock = SlowClock(run, {1: 21, 4: 30})
    parts = type(run.parts)(**{f: getattr(run.parts, f) for f in run.parts.__slots__} | {"clock": clock})
    assert Loop(parts).run(RunLimits(max_ticks=10, damping_ticks=0)).deadline_misses == 2
