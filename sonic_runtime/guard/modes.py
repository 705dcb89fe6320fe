"""Which mode a run is in, and who may move it on: waiting -> ramp -> ready -> stand / active -> damping.

    waiting   damping is written; nothing moves until the operator says start
    ramp      from the pose found at the start to the default pose, with gains that rise
    ready     holds the default pose by stiffness alone; on a gantry, for a G1 does not stand by stiffness
    stand     the policy balances the robot; there is no goal yet
    active    a goal is tracked
    damping   brakes every joint; absorbing

"start" is one step on, from waiting to ramp and from ready to stand or active; asked for at any other time, or while
something is wrong, it does nothing and `refusal` says why. "stop" leads to damping from everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sonic_runtime.contract.messages import Decision, Fault, Goal, JointTarget, Mode, RobotState
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.guard.config import GuardConfig, looser_limits
from sonic_runtime.guard.limits import TargetLimits
from sonic_runtime.guard.warning import GuardWarning, Warnings
from sonic_runtime.guard.watchdog import Watchdog


class Guard:
    """The state machine of a run, and the fault that ended it.

    Args:
        config: limits.
        ramp_s: how long the ramp to the default pose takes [s].
        begins: "waiting" for the operator, or "stand" where the robot stands already and the policy takes over at once.

    Attributes:
        mode: mode of the last decision.
        fault: the first fault of the run, None while there is none. Once set, the mode is "damping" for ever.
        stopped: whether the operator asked for the end.
        refusal: why the last "start" was refused; empty where it was not.
        limits: counts how often targets were clamped.
        warning_counts: how often each warning came, by code.
        off: names of the checks that are not made.
        looser: limits that are looser than the shipped ones, by key.
    """

    def __init__(self, config: GuardConfig, ramp_s: float = 0.0, begins: Literal["waiting", "stand"] = "stand") -> None:
        self.mode: Mode = begins
        self.fault: Fault | None = None
        self.stopped = False
        self.refusal = ""
        self.limits = TargetLimits(config)
        self.off: tuple[str, ...] = config.off
        self.looser = looser_limits(config)
        self._config = config
        self._watchdog = Watchdog(config)
        self._warnings = Warnings(config)
        self.warning_counts = self._warnings.counts
        self._ramp_ns = round(ramp_s * 1e9)
        self._ramp_start_ns = 0
        self._damping = False

    @property
    def warnings(self) -> list[GuardWarning]:
        """What is not well now but no fault, oldest first."""
        return self._warnings.active

    def decide(self, state: RobotState, goal: Goal | None, events: Sequence[OperatorEvent], now_ns: int) -> Mode:
        """Return the mode of this tick; a stop of the operator or any reason of the watchdog leads to damping.

        Args:
            state: measured now.
            goal: what to do now.
            events: what the operator asked for.
            now_ns: time of the loop [ns].
        """
        if any(event.kind == "stop" for event in events):
            self.stopped = True
            self.release()
        start = any(event.kind == "start" for event in events)
        if start:
            self.refusal = ""
        self._warnings.update(state, goal, now_ns)
        if self._damping:
            return self.mode
        # a goal that is already stale when tracking would begin is no goal; one that gets stale later is a fault
        tracked = goal if self.mode == "active" or not self._watchdog.is_stale(goal, now_ns) else None
        fault = self._watchdog.check(state, tracked, now_ns)
        if fault is not None and self.mode != "waiting":
            self.fail(fault)
            return self.mode
        self.mode = self._next(tracked, start, fault, now_ns)
        return self.mode

    def admit(self, decision: Decision, state: RobotState) -> JointTarget | None:
        """Return the target to write, within limits; None where damping must be written in its place.

        That is so in the modes waiting and damping, whatever a controller wants, and where the target is refused, and
        then the mode is damping from now on.

        Args:
            decision: what a controller wants.
            state: measured in this tick, the one that `decide` has seen.
        """
        if self.mode in ("waiting", "damping"):
            self.limits.forget()
            return None
        limited = self.limits.apply(decision, state)
        if limited.fault is None:
            return limited.target
        self.fail(limited.fault)
        return None

    def fail(self, fault: Fault) -> None:
        """Enter damping for ever; the first fault is kept."""
        self.fault = self.fault or fault
        self.release()

    def note_late(self, late_ns: int) -> None:
        """Take note of how long after its deadline [ns] a tick was over; too long is a fault, in damping no more."""
        if late_ns * 1e-6 > self._config.overrun_ms and "overrun" not in self.off and not self._damping:
            detail = f"the loop was {late_ns * 1e-6:.0f} ms late for a tick (limit {self._config.overrun_ms:g} ms)"
            self.fail(Fault(code="overrun", detail=detail))

    def release(self) -> None:
        """Enter damping for ever without a fault: the run is over."""
        self._damping = True
        self.mode = "damping"

    def _next(self, goal: Goal | None, start: bool, fault: Fault | None, now_ns: int) -> Mode:
        match self.mode:
            case "waiting":
                return self._begin_ramp(start, fault, now_ns)
            case "ramp":
                if start:
                    self.refusal = "the ramp is not over yet; ask again when the robot is ready"
                return "ramp" if now_ns - self._ramp_start_ns < self._ramp_ns else "ready"
            case "ready" if not start:
                return "ready"
            case "active" if goal is None:
                self.fail(
                    Fault(code="stale_stream", detail="the goal source stopped giving goals while one was tracked")
                )
                return "damping"
        return "stand" if goal is None else "active"

    def _begin_ramp(self, start: bool, fault: Fault | None, now_ns: int) -> Mode:
        if not start:
            return "waiting"
        if fault is not None:
            self.refusal = fault.detail
            return "waiting"
        self._ramp_start_ns = now_ns
        return "ramp"
