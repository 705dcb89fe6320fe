"""What an operator should know before it becomes a fault: warnings that come and go, with hysteresis.

code          comes                                     goes
late_state    age of the state > late_state_ms          a second without
late_stream   age of the stream > late_stream_ms        a second without
motor_error   a motor reports an error                  a second without
temperature   a motor >= temperature_warning_c          all motors < temperature_clear_c
"""

from __future__ import annotations

from dataclasses import dataclass

from sonic_runtime.contract.messages import Goal, RobotState
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.guard.watchdog import hottest_motor, motor_errors

WARNINGS: tuple[str, ...] = ("late_state", "late_stream", "motor_error", "temperature")
_HOLD_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class GuardWarning:
    """Something that is not well but goes on: `code` is a short name, `detail` a sentence with numbers."""

    code: str
    detail: str


class Warnings:
    """The warnings of a run.

    Args:
        config: limits.

    Attributes:
        active: those that hold now, oldest first.
        counts: how often each came, by code.
    """

    def __init__(self, config: GuardConfig) -> None:
        self.active: list[GuardWarning] = []
        self.counts: dict[str, int] = {}
        self._config = config
        self._seen_ns: dict[str, int] = {}

    def update(self, state: RobotState, goal: Goal | None, now_ns: int) -> None:
        """Take in one tick.

        Args:
            state: measured now; need not be finite.
            goal: what to do now.
            now_ns: time of the loop [ns].
        """
        config = self._config
        state_age_ms = (now_ns - state.stamp_ns) * 1e-6
        if state_age_ms > config.late_state_ms:
            self._saw("late_state", f"the robot's state was {state_age_ms:.0f} ms old", now_ns)
        if goal is not None and (now_ns - goal.stamp_ns) * 1e-6 > config.late_stream_ms:
            self._saw("late_stream", f"the stream was {(now_ns - goal.stamp_ns) * 1e-6:.0f} ms old", now_ns)
        if state.motor_error_hw is not None and state.motor_error_hw.any():
            self._saw("motor_error", motor_errors(state), now_ns)
        if state.motor_temperature_c_hw is not None:
            hottest = float(state.motor_temperature_c_hw.max())
            warm = "temperature" in self._seen_ns and hottest >= config.temperature_clear_c
            if warm or hottest >= config.temperature_warning_c:
                self._saw("temperature", hottest_motor(state), now_ns)
        if self._seen_ns:
            self._drop_old(now_ns)

    def _saw(self, code: str, detail: str, now_ns: int) -> None:
        if code not in self._seen_ns:
            self.active.append(GuardWarning(code, detail))
            self.counts[code] = self.counts.get(code, 0) + 1
        self._seen_ns[code] = now_ns

    def _drop_old(self, now_ns: int) -> None:
        for code, seen_ns in tuple(self._seen_ns.items()):
            hold_ns = 0 if code == "temperature" else _HOLD_NS
            if now_ns - seen_ns > hold_ns:
                del self._seen_ns[code]
                self.active = [warning for warning in self.active if warning.code != code]
