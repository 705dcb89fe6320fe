"""When things happen: deadlines, the end of a run, and the place where an exception becomes damping.

The loop runs in the caller's thread. Deadlines are absolute, so that a late tick does not move the ones after it; a
missed deadline is counted and its slot is left out, never caught up in a burst. The garbage collector is off while the
loop runs: a collection of a large heap takes tens of milliseconds.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from sonic_runtime.contract.errors import RecordingError, RobotError, SonicError
from sonic_runtime.contract.messages import Fault, TickReport
from sonic_runtime.contract.ports import ReportSink
from sonic_runtime.guard.config import LooserLimit
from sonic_runtime.stage_times import StageTimes, TimeStats
from sonic_runtime.tick import TickParts, tick

CONTROL_HZ = 50.0
_HURRIED_DAMPING_WRITES = 5
StopReason = Literal["duration", "fault", "stopped"]
Stop = Callable[[TickReport], bool]
"""Called after every tick with its report; True ends the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """How long a run lasts.

    Attributes:
        max_ticks: ticks before the robot is put to rest; None for no end.
        damping_ticks: ticks in damping after that, after a fault, and after a stop. One message can be lost; a robot
            gets half a second of them.
    """

    max_ticks: int | None = None
    damping_ticks: int = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What a run was.

    Attributes:
        ticks: ticks run, those in damping at the end included.
        active_ticks: ticks in which the goal was tracked.
        stop_reason: why it ended: its duration was over, a fault, or it was stopped from outside.
        fault: the first fault, None where there was none.
        deadline_misses: ticks that were not over when the next one was due.
        worst_late_ms: largest such delay [ms].
        tick: duration of the six stages together.
        stages: duration of each stage.
        clamped_ticks: ticks in which the guard clamped at least one joint target.
        clamped_by_joint: ticks in which it clamped each joint, for joints it did.
        clamped_by_limit: ticks in which each of its limits clamped a joint, for limits that did.
        warnings: how often each warning of the guard came, by code.
        guard_off: checks of the guard that were turned off.
        guard_looser: limits of the guard that were looser than the shipped ones, by key.
        wall_s: wall time of the whole run [s].
        loop_s: time of the loop's clock that passed [s].
    """

    ticks: int
    active_ticks: int
    stop_reason: StopReason
    fault: Fault | None
    deadline_misses: int
    worst_late_ms: float
    tick: TimeStats
    stages: dict[str, TimeStats]
    clamped_ticks: int
    clamped_by_joint: dict[str, int] = field(default_factory=dict)
    clamped_by_limit: dict[str, int] = field(default_factory=dict)
    warnings: dict[str, int] = field(default_factory=dict)
    guard_off: tuple[str, ...] = ()
    guard_looser: dict[str, LooserLimit] = field(default_factory=dict)
    wall_s: float
    loop_s: float


class Loop:
    """Runs ticks at the control rate until it is told to end; the last words are always damping.

    Args:
        parts: what a tick works with.
        sinks: where the report of each tick goes.
        hz: rate of the loop [1/s].

    Attributes:
        summary: what the run was; None before its end. It is there where `run` raises what a part or a sink did, too.
    """

    def __init__(self, parts: TickParts, sinks: Sequence[ReportSink] = (), hz: float = CONTROL_HZ) -> None:
        self.summary: RunSummary | None = None
        self._parts = parts
        self._sinks = list(sinks)
        self._period_ns = round(1e9 / hz)
        self._times = StageTimes()
        self._bug: Exception | None = None
        self._damping_error: Exception | None = None
        self._misses = 0
        self._worst_late_ns = 0
        self._active_ticks = 0

    def run(self, limits: RunLimits, stop: Stop | None = None) -> RunSummary:
        """Run until the duration is over, a fault occurs, or `stop` says so.

        Args:
            limits: how long.
            stop: ends the run early.

        Returns:
            What the run was.

        Raises:
            RobotError: the last damping could not be written.
            Exception: a bug in a part or a sink, after the run has ended in damping.
        """
        clock, start = self._parts.clock, time.monotonic()
        start_ns = clock.now_ns()
        with no_garbage_collection():
            ticks, reason = self._run_ticks(limits, stop)
        summary = self._summary(ticks, reason, time.monotonic() - start, (clock.now_ns() - start_ns) * 1e-9)
        self.summary = summary
        self._raise_what_went_wrong()
        return summary

    def _summary(self, ticks: int, reason: StopReason, wall_s: float, loop_s: float) -> RunSummary:
        guard = self._parts.guard
        return RunSummary(
            ticks=ticks,
            active_ticks=self._active_ticks,
            stop_reason=reason,
            fault=guard.fault,
            deadline_misses=self._misses,
            worst_late_ms=self._worst_late_ns * 1e-6,
            tick=self._times.tick_stats(),
            stages=self._times.stage_stats(),
            clamped_ticks=guard.limits.clamped_ticks,
            clamped_by_joint=guard.limits.clamped_by_joint(),
            clamped_by_limit=dict(guard.limits.clamped_ticks_of),
            warnings=dict(guard.warning_counts),
            guard_off=guard.off,
            guard_looser=guard.looser,
            wall_s=wall_s,
            loop_s=loop_s,
        )

    def _run_ticks(self, limits: RunLimits, stop: Stop | None) -> tuple[int, StopReason]:
        deadline_ns = self._parts.clock.now_ns() + self._period_ns
        index, reason = 0, None
        try:
            while reason is None:
                asked_to_stop = self._tick_or_damp(index, stop)
                index += 1
                reason = self._why_to_end(index, limits, asked_to_stop)
                deadline_ns = self._wait(deadline_ns)
            for _ in range(limits.damping_ticks):
                self._tick_or_damp(index, None)
                index += 1
                deadline_ns = self._wait(deadline_ns)
        except BaseException:
            # Ctrl-C a second time: nobody waits for the ticks of damping any more, but one message can be lost
            for _ in range(_HURRIED_DAMPING_WRITES):
                self._damp()
            self._raise_what_went_wrong()
            raise
        self._damp()
        return index, reason

    def _raise_what_went_wrong(self) -> None:
        """Raise the first bug, and before all else say where the robot was not left in damping."""
        if self._damping_error is not None:
            not_damped = RobotError(
                f"robot: expected to end in damping, but it could not be written ({self._damping_error}); "
                "the motors may hold their last target: cut their power"
            )
            if self._bug is None or isinstance(self._bug, SonicError):
                raise not_damped from self._damping_error
            # a bug keeps its traceback, and what to do at once stands under it
            self._bug.add_note(str(not_damped))
        if self._bug is not None:
            raise self._bug

    def _why_to_end(self, index: int, limits: RunLimits, asked_to_stop: bool) -> StopReason | None:
        """Decide whether this was the last tick before damping, and enter damping if so."""
        guard = self._parts.guard
        if guard.fault is not None:
            return "fault"
        if guard.stopped:
            return "stopped"
        if not asked_to_stop and (limits.max_ticks is None or index < limits.max_ticks):
            return None
        guard.release()
        return "stopped" if asked_to_stop else "duration"

    def _tick_or_damp(self, index: int, stop: Stop | None) -> bool:
        """Run one tick and return whether to stop; what it raises becomes a fault, and damping is written."""
        try:
            report = tick(self._parts, index)
            asked_to_stop = stop is not None and stop(report)
        except Exception as error:  # noqa: BLE001  no exception may leave the motors with an old target
            self._parts.guard.fail(_fault_of(error))
            if not isinstance(error, SonicError):
                self._bug = self._bug or error
            self._damp()
            return False
        self._times.add(report.stage_ns)
        self._active_ticks += report.mode == "active"
        self._publish(report)
        return asked_to_stop

    def _publish(self, report: TickReport) -> None:
        """Hand the report to every sink; one that raises is left out from then on, and the run is not its victim."""
        for sink in tuple(self._sinks):
            try:
                sink.put(report)
            except RecordingError as error:
                self._sinks.remove(sink)
                self._parts.guard.fail(Fault(code="recording", detail=str(error)))
            except Exception as error:  # noqa: BLE001  a robot does not fall because a message could not be sent
                self._sinks.remove(sink)
                self._bug = self._bug or error

    def _damp(self) -> None:
        """Write damping; where that fails, the error is kept and whoever comes next tries again."""
        try:
            self._parts.robot.write(self._parts.damping_target)
        except Exception as error:  # noqa: BLE001  the ticks of damping that follow must still come
            self._damping_error = error
        else:
            self._damping_error = None

    def _wait(self, deadline_ns: int) -> int:
        """Wait for the deadline and return the next one, which is never in the past."""
        clock = self._parts.clock
        late_ns = clock.wait_until(deadline_ns)
        # a process that was stopped, or a machine that slept, wakes long after a deadline it was in time for
        self._parts.guard.note_late(max(late_ns, clock.now_ns() - deadline_ns))
        if late_ns <= 0:
            return deadline_ns + self._period_ns
        self._misses += 1
        self._worst_late_ns = max(self._worst_late_ns, late_ns)
        return deadline_ns + self._period_ns * (late_ns // self._period_ns + 1)


def _fault_of(error: Exception) -> Fault:
    code = "robot" if isinstance(error, RobotError) else "refused" if isinstance(error, SonicError) else "bug"
    return Fault(code=code, detail=f"{type(error).__name__}: {error}")


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep Python's garbage collector off inside the block; a tick makes no reference cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
