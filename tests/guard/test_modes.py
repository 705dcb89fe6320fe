from dataclasses import replace

import numpy as np
import pytest

from sonic_runtime.contract.messages import Decision, Fault
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.guard.config import CHECKS
from sonic_runtime.guard.modes import Guard
from sonic_runtime.robots import g1
from tests.fakes.parts import guard_config, make_goal, make_state, make_target

S = 1_000_000_000


def decide(guard, t_s, *asked, goal=True, **state):
    now = int(t_s * S)
    events = [OperatorEvent(kind) for kind in asked]
    goal = make_goal(stamp_ns=now) if goal is True else goal or None
    return guard.decide(make_state(**{"stamp_ns": now, **state}), goal, events, now)


def waiting(ramp_s=1.0):
    return Guard(guard_config(), ramp_s, begins="waiting")


def test_nothing_moves_until_the_operator_starts_it():
    guard = waiting()
    assert [decide(guard, t) for t in (0.0, 1.0, 60.0)] == ["waiting"] * 3
    assert decide(guard, 61.0, "play", "next", "turn") == "waiting"


def test_one_start_a_step():
    guard = waiting()
    assert decide(guard, 10.0, "start") == "ramp"
    assert decide(guard, 10.98) == "ramp"
    assert decide(guard, 11.02) == "ready"
    assert decide(guard, 60.0) == "ready"
    assert decide(guard, 60.02, "start", goal=False) == "stand"
    assert decide(guard, 60.04) == "active"


def test_a_start_during_the_ramp_is_refused_and_not_kept():
    guard = waiting()
    decide(guard, 0.0, "start")
    assert decide(guard, 0.5, "start") == "ramp"
    assert "not over" in guard.refusal
    assert [decide(guard, t) for t in (1.1, 2.0)] == ["ready"] * 2


def test_a_refusal_is_told_of_the_last_start_alone():
    guard = waiting()
    decide(guard, 0.0, "start")
    decide(guard, 0.5, "start")
    decide(guard, 1.1)
    assert decide(guard, 1.2, "start") == "active"
    assert guard.refusal == ""


def test_a_robot_that_is_not_fit_is_not_started_and_may_be_later():
    guard = waiting()
    assert decide(guard, 0.0, "start", base_quat_wxyz=make_state().base_quat_wxyz[[1, 0, 2, 3]]) == "waiting"
    assert "leans" in guard.refusal
    assert guard.fault is None
    assert decide(guard, 0.1, "start") == "ramp"
    assert guard.refusal == ""


@pytest.mark.parametrize("mode", ["waiting", "ramp", "ready", "stand", "active"])
def test_stop_wins_in_every_mode_and_over_every_other_event(mode):
    guard = waiting()
    steps = {
        "waiting": [],
        "ramp": [(0.0, "start", False)],
        "ready": [(0.0, "start", False), (1.1, None, False)],
        "stand": [(0.0, "start", False), (1.1, None, False), (1.2, "start", False)],
        "active": [(0.0, "start", False), (1.1, None, False), (1.2, "start", True)],
    }
    for t, kind, goal in steps[mode]:
        decide(guard, t, *([kind] if kind else []), goal=goal)
    assert guard.mode == mode
    assert decide(guard, 2.0, "start", "stop", "play", goal=mode == "active") == "damping"
    assert guard.stopped
    assert guard.fault is None
    assert [decide(guard, t, "start") for t in (3.0, 4.0)] == ["damping"] * 2


def test_a_robot_that_stands_is_handed_over_at_once():
    assert decide(Guard(guard_config()), 0.0) == "active"
    assert decide(Guard(guard_config()), 0.0, goal=False) == "stand"


def test_a_stream_that_is_stale_before_it_is_tracked_is_no_goal_and_no_fault():
    guard = Guard(guard_config())
    assert decide(guard, 10.0, goal=make_goal(stamp_ns=0)) == "stand"
    assert decide(guard, 10.02) == "active"
    assert decide(guard, 20.0, goal=make_goal(stamp_ns=10 * S)) == "damping"
    assert guard.fault is not None
    assert guard.fault.code == "stale_stream"


def test_an_active_run_never_goes_back_to_standing():
    guard = Guard(guard_config())
    decide(guard, 0.0)
    assert decide(guard, 0.02, goal=False) == "damping"
    assert guard.fault is not None
    assert guard.fault.code == "stale_stream"


def test_damping_is_for_ever_and_keeps_the_first_fault():
    guard = Guard(guard_config())
    guard.fail(Fault(code="first", detail=""))
    guard.fail(Fault(code="second", detail=""))
    assert [decide(guard, t) for t in (0.0, 1.0, 100.0)] == ["damping"] * 3
    assert guard.fault == Fault(code="first", detail="")


def test_release_is_damping_without_a_fault():
    guard = Guard(guard_config())
    decide(guard, 0.0)
    guard.release()
    assert decide(guard, 0.02) == "damping"
    assert guard.fault is None


def test_a_loop_that_is_late_ends_in_damping():
    guard = Guard(guard_config(overrun_ms=50.0))
    decide(guard, 0.0)
    guard.note_late(49_000_000)
    assert guard.mode == "active"
    guard.note_late(51_000_000)
    assert (guard.mode, guard.fault.code) == ("damping", "overrun")


def test_a_run_that_the_operator_has_stopped_does_not_fail_by_a_late_tick_of_damping():
    guard = Guard(guard_config(overrun_ms=50.0))
    decide(guard, 0.0, "stop")
    guard.note_late(51_000_000)
    assert (guard.mode, guard.stopped, guard.fault) == ("damping", True, None)


def test_in_waiting_and_damping_no_target_of_a_controller_comes_through():
    guard, decision = waiting(), Decision(target=make_target())
    assert guard.admit(decision, make_state()) is None
    decide(guard, 0.0)
    assert (guard.admit(decision, make_state()), guard.mode, guard.fault) == (None, "waiting", None)
    decide(guard, 0.02, "start")
    assert guard.admit(decision, make_state()) is decision.target
    guard.release()
    assert guard.admit(decision, make_state()) is None


def test_a_refused_target_ends_the_run():
    guard = Guard(guard_config())
    decide(guard, 0.0)
    stiff = replace(make_target(), stiffness_hw=np.full(29, 2000.0))
    assert guard.admit(Decision(target=stiff), make_state()) is None
    assert (guard.mode, guard.fault.code) == ("damping", "target_gains")


def test_after_damping_the_rate_begins_at_the_measured_angle():
    guard = waiting(ramp_s=0.0)
    decide(guard, 0.0, "start")
    far = make_state(joint_pos_hw=g1.DEFAULT_POS_HW + 0.3)
    target = make_target(g1.DEFAULT_POS_HW + 0.3)
    assert guard.admit(Decision(target=target), far) is target


def test_a_loop_that_is_late_goes_on_where_that_check_is_off():
    guard = Guard(guard_config(off=("overrun",)))
    decide(guard, 0.0)
    guard.note_late(10 * S)
    assert guard.mode == "active"
    assert guard.off == ("overrun",)


def test_a_stream_may_be_stale_where_that_check_is_off_but_not_vanish():
    guard = Guard(guard_config(off=("stale_stream",)))
    assert decide(guard, 10.0, goal=make_goal(stamp_ns=0)) == "active"
    assert decide(guard, 10.02, goal=False) == "damping"
    assert guard.fault.code == "stale_stream"


@pytest.mark.parametrize("mode", ["stand", "active", "ramp"])
def test_nothing_turned_off_takes_the_stop_away(mode):
    guard = Guard(guard_config(off=CHECKS))
    guard.mode = mode
    assert decide(guard, 0.0, "stop") == "damping"
    assert guard.stopped


def test_the_warnings_of_a_tick_are_the_guards():
    guard = Guard(guard_config())
    decide(guard, 10.0, motor_temperature_c_hw=np.full(29, 91.0))
    assert [warning.code for warning in guard.warnings] == ["temperature"]
    assert guard.mode == "active"
    assert guard.warning_counts == {"temperature": 1}
