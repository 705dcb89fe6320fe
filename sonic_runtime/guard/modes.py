"""Which controller is in charge: ramp -> ready -> active -> damping. Damping is absorbing."""

from __future__ import annotations

from typing import Literal

from sonic_runtime.contract.messages import Decision, Fault, Goal, JointTarget, RobotState
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.guard.limits import TargetLimits
from sonic_runtime.guard.watchdog import check

Mode = Literal["ramp", "ready", "active", "damping"]
"""ramp: moving to the start pose; ready: holding it without a goal; active: tracking a goal; damping: braking."""


class Guard:
    """The state machine of a run, and the fault that ended it.

    Args:
        config: limits.
        ramp_s: how long the start ramp takes [s]; 0 skips it.

    Attributes:
        mode: mode of the last decision.
        fault: the first fault of the run, None while there is none. Once set, the mode is "damping" for ever.
        limits: counts how often targets were clamped.
    """

    def __init__(self, config: GuardConfig, ramp_s: float = 0.0) -> None:
        self.mode: Mode = "ramp"
        self.fault: Fault | None = None
        self.limits = TargetLimits(config.torque_at_limit_fraction)
        self._config = config
        self._ramp_ns = round(ramp_s * 1e9)
        self._start_ns: int | None = None
        self._damping = False

    def decide(self, state: RobotState, goal: Goal | None, now_ns: int) -> Mode:
        """Return the mode of this tick; any reason of the watchdog leads to damping."""
        if self._start_ns is None:
            self._start_ns = now_ns
        if not self._damping:
            fault = check(state, goal, now_ns, self._config)
            if fault is not None:
                self.fail(fault)
        self.mode = self._next(goal, now_ns - self._start_ns)
        return self.mode

    def admit(self, decision: Decision) -> JointTarget | None:
        """Return the target to write; None where it must not be written, and then the run is in damping."""
        limited = self.limits.apply(decision)
        if limited.fault is None:
            return limited.target
        self.fail(limited.fault)
        return None

    def fail(self, fault: Fault) -> None:
        """Enter damping for ever; the first fault is kept."""
        self.fault = self.fault or fault
        self.release()

    def release(self) -> None:
        """Enter damping for ever without a fault: the run is over."""
        self._damping = True
        self.mode = "damping"

    def _next(self, goal: Goal | None, elapsed_ns: int) -> Mode:
        if self._damping:
            return "damping"
        if self.mode == "ramp" and elapsed_ns < self._ramp_ns:
            return "ramp"
        if goal is not None:
            return "active"
        if self.mode == "active":
            self.fail(Fault(code="stale_stream", detail="the goal source stopped giving goals while one was tracked"))
            return "damping"
        return "ready"
