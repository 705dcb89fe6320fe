"""Faults injected into the running loop on the real clock, and the time until damping is written.

Each function prepares one fault of a run that is about to begin: from `run.at_ns` on, at a random moment of a tick, the
thing is wrong. `measure(name)` runs the loop and returns the milliseconds from the moment the fault holds to the first
damping target at the robot port; for an age, the fault holds when its limit is passed. What is wrong with processes is
injected by tests/realtime/faults.py.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import zmq

from sonic_runtime.app import build_parts
from sonic_runtime.clock import RealTimeClock
from sonic_runtime.contract.errors import ContractError, RobotError
from sonic_runtime.contract.messages import Decision, Fault, Goal, JointTarget, RobotState
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.contract.ports import GoalSource, ReportSink
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.loop import Loop, RunLimits
from sonic_runtime.record.about import About
from sonic_runtime.record.recorder import McapRecorder
from sonic_runtime.record.tape import Tape
from sonic_runtime.robots import g1
from teleop.inbox import ZmqInbox
from teleop.pose_packet import PoseFrames, pack_pose
from teleop.pose_stream import PoseStream
from tests.fakes.parts import guard_config, make_goal, make_state, make_target
from tests.faults.small_disk_writer import DISK_BYTES

MS = 1_000_000
_SENSOR_NS = 2 * MS
"""A robot measures 500 times a second."""
_SETTLE_S = 0.3
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Injected:
    """What a fault led to.

    Attributes:
        fault: what the guard says; None for a stop, and where nothing ended.
        ms: from the moment the fault held to the first damping target; NaN where there was no damping.
        ms_of_last_good: the same from the stamp of the last good message, for faults of age; else NaN.
        written: every target, with its time [ns].
        damping: the target of damping.
    """

    fault: Fault | None
    ms: float
    ms_of_last_good: float
    written: list[tuple[int, JointTarget]]
    damping: JointTarget


@cache
def shipped_guard() -> GuardConfig:
    """Return the shipped limits."""
    return guard_config()


class FaultRun:
    """A run of the loop whose parts are well until `at_ns`; a fault replaces the hooks that it needs.

    Attributes:
        clock: of the loop.
        guard: the shipped limits.
        at_ns: when the world goes wrong.
        holds_ns: when the fault holds; `at_ns`, unless the fault says otherwise.
        last_good_ns: stamp of the last good message, 0 where the fault is not one of age.
        goals: where goals come from.
        sinks: where reports go.
        opened: what is closed at the end.
        state, act, events: hooks; each gets the time, and what is well.
        tick_ns: when the running tick began.
        written: every target, with its time [ns].
    """

    def __init__(self, at_ns: int) -> None:
        self.clock = RealTimeClock()
        self.guard = shipped_guard()
        self.at_ns = self.holds_ns = at_ns
        self.last_good_ns = 0
        self.goals: GoalSource = _Goals(self)
        self.sinks: list[ReportSink] = []
        self.opened = ExitStack()
        self.state: Callable[[int, RobotState], RobotState] = lambda now_ns, state: state
        self.act: Callable[[int, Decision], Decision] = lambda now_ns, decision: decision
        self.events: Callable[[int], tuple[OperatorEvent, ...]] = lambda now_ns: ()
        self.tick_ns = 0
        self.written: list[tuple[int, JointTarget]] = []
        self._held = False

    def wrong(self, now_ns: int) -> bool:
        """Return whether the world has gone wrong."""
        return now_ns >= self.at_ns

    def holds_from(self, ns: int) -> bool:
        """Say when the fault holds, where that is not `at_ns`; the first word counts, and is answered with True."""
        if self._held:
            return False
        self.holds_ns, self._held = ns, True
        return True


class _Robot:
    """Measures 500 times a second, and keeps what is written."""

    def __init__(self, run: FaultRun) -> None:
        self._run = run

    def read(self) -> RobotState:
        now_ns = time.monotonic_ns()
        self._run.tick_ns = now_ns
        standing = make_state(stamp_ns=_measured_ns(now_ns), base_pos_w=np.array([0.0, 0.0, 0.76]))
        return self._run.state(now_ns, standing)

    def write(self, target: JointTarget) -> None:
        self._run.written.append((time.monotonic_ns(), target))

    def close(self) -> None:
        pass


class _Goals:
    """A fresh goal every tick."""

    def __init__(self, run: FaultRun) -> None:
        self._run, self._goal = run, make_goal()

    def read(self, state: RobotState, events: Sequence[OperatorEvent] = ()) -> Goal:
        return replace(self._goal, stamp_ns=self._run.clock.now_ns())

    def close(self) -> None:
        pass


class _Operator:
    """Says what the fault lets it say."""

    def __init__(self, run: FaultRun) -> None:
        self._run = run

    def read(self, state: RobotState, mode: str) -> Sequence[OperatorEvent]:
        return self._run.events(time.monotonic_ns())

    def close(self) -> None:
        pass


class _Controller:
    """Asks for the default pose, or for what the fault makes of it."""

    def __init__(self, run: FaultRun) -> None:
        self._run = run
        self._decision = Decision(target=make_target(), action_pol=np.zeros(29, dtype=np.float32))

    @property
    def memory(self) -> object:
        return self

    def reset(self) -> None:
        pass

    def act(self, state: RobotState, goal: Goal | None) -> Decision:
        return self._run.act(time.monotonic_ns(), self._decision)


def _measured_ns(now_ns: int) -> int:
    """Return when the robot measured last."""
    return now_ns - now_ns % _SENSOR_NS


def _state(**fields: object) -> Callable[[FaultRun], None]:
    """Return a fault of what is measured."""

    def prepare(run: FaultRun) -> None:
        run.state = lambda now_ns, state: replace(state, **fields) if run.wrong(now_ns) else state

    return prepare


def _at(index: int, value: float, values: np.ndarray | None = None) -> np.ndarray:
    changed = np.zeros(29) if values is None else values.copy()
    changed[index] = value
    return changed


def _lean(angle_rad: float) -> np.ndarray:
    return np.array([np.cos(angle_rad / 2), 0.0, np.sin(angle_rad / 2), 0.0])


def _target(**fields: np.ndarray) -> Callable[[FaultRun], None]:
    """Return a fault of what is wanted, from a moment within a tick on: it holds as soon as it is there."""

    def prepare(run: FaultRun) -> None:
        def act(now_ns: int, decision: Decision) -> Decision:
            if not run.wrong(now_ns):
                return decision
            run.holds_from(time.monotonic_ns())
            return replace(decision, target=replace(decision.target, **fields))

        run.act = act

    return prepare


def lost_state(run: FaultRun) -> None:
    """The robot sends no state any more; the last one is read again and again."""
    run.last_good_ns = _measured_ns(run.at_ns)
    run.holds_ns = run.last_good_ns + round(run.guard.stale_state_ms * MS)
    run.state = lambda now_ns, state: replace(state, stamp_ns=min(state.stamp_ns, run.last_good_ns))


def late_state(run: FaultRun) -> None:
    """Every state comes 5 ms later than the limit allows."""
    late_ns = round((run.guard.stale_state_ms + 5.0) * MS)
    run.last_good_ns = _measured_ns(run.at_ns)
    run.state = lambda now_ns, s: replace(s, stamp_ns=s.stamp_ns - late_ns) if run.wrong(now_ns) else s


def silent_robot(run: FaultRun) -> None:
    """The robot port raises: there is no state at all."""

    def state(now_ns: int, well: RobotState) -> RobotState:
        if run.wrong(now_ns):
            raise RobotError("no state; is the cable in?")
        return well

    run.state = state


def dead_stream(run: FaultRun) -> None:
    """The sender of the stream stops, over real sockets."""
    context = run.opened.enter_context(zmq.Context())
    socket = run.opened.enter_context(context.socket(zmq.PUB))
    socket.set(zmq.LINGER, 0)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    stream = PoseStream(ZmqInbox(f"tcp://127.0.0.1:{port}", ["pose"]), {"g1": 46})
    run.opened.callback(stream.close)

    def send() -> None:
        number = 0
        while not run.wrong(time.monotonic_ns()):
            socket.send(_frames(number))
            number += 1
            time.sleep(0.01)

    sender = threading.Thread(target=send)
    sender.start()
    run.opened.callback(sender.join)
    run.goals = _Watched(run, stream)
    # the stream gives its first goal some milliseconds after its first message
    time.sleep(0.2)


class _Watched:
    """A goal source that notes the stamp of the newest goal."""

    def __init__(self, run: FaultRun, source: PoseStream) -> None:
        self._run, self._source = run, source

    def read(self, state: RobotState, events: Sequence[OperatorEvent] = ()) -> Goal | None:
        goal = self._source.read(state)
        if goal is not None:
            self._run.last_good_ns = goal.stamp_ns
            self._run.holds_ns = goal.stamp_ns + round(self._run.guard.stale_stream_ms * MS)
        return goal

    def close(self) -> None:
        self._source.close()


def _frames(number: int) -> bytes:
    return pack_pose(
        PoseFrames(
            frame_index=number + np.arange(60),
            joint_pos_pol=np.zeros((60, 29)),
            joint_vel_pol=np.zeros((60, 29)),
            root_quat_wxyz=np.tile([1.0, 0.0, 0.0, 0.0], (60, 1)),
        )
    )


def nan_action(run: FaultRun) -> None:
    """The policy gives NaN."""
    _target(joint_pos_hw=np.full(29, np.nan))(run)


def foreign_gains(run: FaultRun) -> None:
    """A target with gains of another robot: refused."""
    _target(stiffness_hw=np.full(29, 2000.0))(run)


def malformed_target(run: FaultRun) -> None:
    """A target for 28 joints: refused."""
    _target(joint_pos_hw=np.zeros(28))(run)


def target_out_of_range(run: FaultRun) -> None:
    """A target of 50 rad at every joint: clamped in the tick that it comes in, no damping."""
    _target(joint_pos_hw=np.full(29, 50.0))(run)


def controller_refuses(run: FaultRun) -> None:
    """A controller cannot go on and says so."""
    _raising(run, ContractError("the goal lacks what the encoder reads"))


def controller_bug(run: FaultRun) -> None:
    """A controller raises what it should not."""
    _raising(run, ZeroDivisionError("a bug"))


def _raising(run: FaultRun, error: Exception) -> None:
    def act(now_ns: int, decision: Decision) -> Decision:
        if run.wrong(now_ns):
            run.holds_from(time.monotonic_ns())
            raise error
        return decision

    run.act = act


def overrun(run: FaultRun) -> None:
    """A tick takes 90 ms."""

    def act(now_ns: int, decision: Decision) -> Decision:
        # a tick begins when the one before is due, and is due 20 ms later
        if run.wrong(now_ns) and run.holds_from(run.tick_ns + round((20.0 + run.guard.overrun_ms) * MS)):
            time.sleep(0.09)
        return decision

    run.act = act


class _JumpingClock(RealTimeClock):
    """The machine slept: the loop's clock goes on a second later."""

    def __init__(self, run: FaultRun) -> None:
        self._run = run

    def now_ns(self) -> int:
        now_ns = super().now_ns()
        return now_ns + 1000 * MS if self._run.wrong(now_ns) else now_ns


def clock_jumps_ahead(run: FaultRun) -> None:
    """The clock of the loop jumps one second ahead; states and targets keep their own time."""
    run.clock = _JumpingClock(run)


def clock_of_the_robot(run: FaultRun) -> None:
    """The clock that states are stamped with jumps one second ahead."""
    run.state = lambda now_ns, s: replace(s, stamp_ns=s.stamp_ns + 1000 * MS) if run.wrong(now_ns) else s


def full_disk(run: FaultRun) -> None:
    """The disk that a run is recorded to is full: the system takes no more of the file."""
    folder = Path(run.opened.enter_context(tempfile.TemporaryDirectory()))
    run.opened.enter_context(patch("sonic_runtime.record.recorder._WRITER", "tests.faults.small_disk_writer"))
    about = About(metadata={"sonic": {"format_version": "1"}}, attachments=[])
    recorder = McapRecorder(folder / "run.mcap", about, Tape())
    run.opened.callback(recorder.close)
    run.sinks.append(recorder)
    over = threading.Event()

    def watch() -> None:
        # the last write that succeeds fills the file to its limit, and the next one fails
        while not over.wait(0.0005):
            if (folder / "run.mcap").stat().st_size >= DISK_BYTES:
                run.holds_from(time.monotonic_ns())
                return

    thread = threading.Thread(target=watch)
    thread.start()
    run.opened.callback(thread.join)
    run.opened.callback(over.set)


def stop(run: FaultRun) -> None:
    """The operator says stop."""
    run.events = lambda now_ns: (OperatorEvent("stop"),) if run.wrong(now_ns) else ()


@dataclass(frozen=True, slots=True)
class Case:
    """A fault that can be injected.

    Attributes:
        prepare: makes it happen.
        codes: what the guard calls it, the usual word first; "" where nothing is called a fault.
        limit: the limit that is passed, as it is shown; fields of GuardConfig in braces.
        text: what happens; the first line of the docstring of `prepare` by default.
        ticks: longest run.
    """

    prepare: Callable[[FaultRun], None]
    codes: tuple[str, ...]
    limit: str
    text: str = ""
    ticks: int = 60

    @property
    def what(self) -> str:
        """What happens, in a sentence."""
        return self.text or (self.prepare.__doc__ or "").strip()

    @property
    def damps(self) -> bool:
        """Whether the run ends."""
        return self.prepare is not target_out_of_range


CASES: dict[str, Case] = {
    "lost_state": Case(lost_state, ("stale_state",), "age {stale_state_ms:g} ms"),
    "late_state": Case(late_state, ("stale_state",), "age {stale_state_ms:g} ms"),
    "silent_robot": Case(silent_robot, ("robot",), "none"),
    "dead_stream": Case(dead_stream, ("stale_stream",), "age {stale_stream_ms:g} ms"),
    "nan_action": Case(nan_action, ("non_finite",), "finite"),
    "nan_state": Case(_state(joint_vel_hw=_at(3, np.nan)), ("non_finite",), "finite", "A measured number is NaN."),
    "target_out_of_range": Case(target_out_of_range, ("",), "range, torque and rate of targets"),
    "foreign_gains": Case(foreign_gains, ("target_gains",), "full effort at {target_stiffness_rad:g} rad or more"),
    "malformed_target": Case(malformed_target, ("target_shape",), "29 numbers"),
    "tilt": Case(_state(base_quat_wxyz=_lean(1.3)), ("tilt",), "{tilt_rad:g} rad", "The pelvis leans by 1.3 rad."),
    "low_pelvis": Case(
        _state(base_pos_w=np.array([0.0, 0.0, 0.2])),
        ("base_height",),
        "{base_height_m:g} m, where known",
        "The pelvis is 0.2 m above the ground.",
    ),
    "dead_imu": Case(
        _state(base_quat_wxyz=np.zeros(4)),
        ("orientation",),
        "norm 1 within 0.02",
        "The IMU gives a quaternion of zeros.",
    ),
    "runaway_joint": Case(
        _state(joint_vel_hw=_at(3, -25.0)),
        ("joint_velocity",),
        "{joint_velocity_fraction:g} of the motor's speed, either way",
        "A knee turns backwards at 25 rad/s.",
    ),
    "wrong_zero": Case(
        _state(joint_pos_hw=_at(4, 1.0, g1.DEFAULT_POS_HW)),
        ("joint_range",),
        "{joint_range_margin_rad:g} rad outside",
        "An ankle is measured half a radian beyond its stop.",
    ),
    "motor_error": Case(
        _state(motor_error_hw=_at(9, 4).astype(np.int64)),
        ("motor_error",),
        "{motor_error_ticks} ticks in a row",
        "A motor reports an error.",
    ),
    "hot_motor": Case(
        _state(motor_temperature_c_hw=_at(5, 121.0)),
        ("temperature",),
        "{temperature_limit_c:g} degrees Celsius",
        "A motor is at 121 degrees Celsius.",
    ),
    "overrun": Case(overrun, ("overrun",), "{overrun_ms:g} ms late"),
    "clock_jumps_ahead": Case(clock_jumps_ahead, ("overrun", "stale_state"), "{overrun_ms:g} ms late"),
    "clock_of_the_robot": Case(clock_of_the_robot, ("clock",), "no stamp in the future"),
    "full_disk": Case(full_disk, ("recording",), "every tick is kept", ticks=1000),
    "controller_refuses": Case(controller_refuses, ("refused",), "none"),
    "controller_bug": Case(controller_bug, ("bug",), "none"),
    "stop": Case(stop, ("",), "none"),
}


def measure(name: str) -> Injected:
    """Inject a fault into a run that is well and return what it led to.

    Raises:
        AssertionError: the run ends for another reason again and again: this machine is too busy to keep 50 Hz.
    """
    for _ in range(_TRIES):
        injected = _measure_once(CASES[name])
        found = "" if injected.fault is None else injected.fault.code
        if found in CASES[name].codes:
            return injected
    raise AssertionError(f"{name}: expected the fault {CASES[name].codes}, found {injected.fault}")


def _measure_once(case: Case) -> Injected:
    shipped_guard()
    run = FaultRun(time.monotonic_ns() + round((_SETTLE_S + random.random() * 0.02) * 1e9))
    with run.opened:
        case.prepare(run)
        parts = build_parts(
            robot=_Robot(run),
            goals=run.goals,
            controller=_Controller(run),
            operator=_Operator(run),
            guard=run.guard,
            clock=run.clock,
        )
        with suppress(ZeroDivisionError):
            Loop(parts, run.sinks).run(RunLimits(max_ticks=case.ticks, damping_ticks=5))
    ended = parts.guard.fault is not None or parts.guard.stopped
    damped = [at_ns for at_ns, target in run.written if target is parts.damping_target]
    ms = (damped[0] - run.holds_ns) / MS if ended else float("nan")
    return Injected(
        fault=parts.guard.fault,
        ms=ms,
        ms_of_last_good=(damped[0] - run.last_good_ns) / MS if ended and run.last_good_ns else float("nan"),
        written=run.written,
        damping=parts.damping_target,
    )
