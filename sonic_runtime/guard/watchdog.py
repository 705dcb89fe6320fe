"""Decide stage: is what the loop sees still fit to act upon? One function for each check of `config.STATE_CHECKS`.

A check that is not passed ends the run. The limits come from configs/guard. Comparisons are written so that a number
that is not one fails them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from sonic_runtime.contract.messages import Fault, Goal, RobotState
from sonic_runtime.guard.config import STATE_CHECKS, GuardConfig
from sonic_runtime.guard.limits import non_finite_state
from sonic_runtime.robots import g1

_MAX_NORM_ERROR = 0.02
"""[-] How far a measured quaternion may be from unit norm; float32 is off by 1e-7."""


def tilt_rad(state: RobotState) -> float:
    """Return the angle between the z axis of the pelvis and the vertical [rad], 0 upright, pi upside down.

    R22 = 1 - 2 (x^2 + y^2) is the cosine of it.
    """
    _, x, y, _ = state.base_quat_wxyz.tolist()
    return math.acos(min(1.0, max(-1.0, 1.0 - 2.0 * (x * x + y * y))))


class Watchdog:
    """The checks of state and goal, once a tick.

    Args:
        config: limits, and the checks that are not made.
    """

    def __init__(self, config: GuardConfig) -> None:
        self._config = config
        self._low_hw = g1.JOINT_RANGE_HW[:, 0] - config.joint_range_margin_rad
        self._high_hw = g1.JOINT_RANGE_HW[:, 1] + config.joint_range_margin_rad
        self._speed_hw = config.joint_velocity_fraction * g1.VELOCITY_LIMIT_HW
        self._error_ticks = 0
        checks = {name: getattr(self, f"_{name}") for name in STATE_CHECKS}
        self._checks: list[Callable[[RobotState, Goal | None, int], Fault | None]] = [
            check for name, check in checks.items() if name not in config.off
        ]

    def check(self, state: RobotState, goal: Goal | None, now_ns: int) -> Fault | None:
        """Return the first reason not to go on, None where there is none.

        Args:
            state: measured now.
            goal: what to do now; None before the first.
            now_ns: time of the loop [ns].

        Returns:
            A fault "non_finite", or one with the name of a check.
        """
        fault = non_finite_state(state)
        if fault is not None:
            return fault
        for check in self._checks:
            fault = check(state, goal, now_ns)
            if fault is not None:
                return fault
        return None

    def is_stale(self, goal: Goal | None, now_ns: int) -> bool:
        """Return whether the newest data behind a goal is too old to be tracked."""
        if "stale_stream" in self._config.off:
            return False
        return self._stale_stream(None, goal, now_ns) is not None

    def _orientation(self, state: RobotState, goal: Goal | None, now_ns: int) -> Fault | None:
        # an IMU that has not started reports zeros, whose tilt would be none
        norm = math.hypot(*state.base_quat_wxyz.tolist())
        if abs(norm - 1.0) <= _MAX_NORM_ERROR:
            return None
        return Fault(
            code="orientation",
            detail=f"measured base_quat_wxyz: expected a unit quaternion, found norm {norm:.3f}; is the IMU running?",
        )

    def _clock(self, state: RobotState, goal: Goal | None, now_ns: int) -> Fault | None:
        # a stamp of another clock would never get old
        if state.stamp_ns <= now_ns and (goal is None or goal.stamp_ns <= now_ns):
            return None
        what, stamp_ns = (
            ("state", state.stamp_ns) if goal is None or state.stamp_ns > now_ns else ("goal", goal.stamp_ns)
        )
        return Fault(
            code="clock",
            detail=f"the {what} is stamped {(stamp_ns - now_ns) * 1e-6:.0f} ms in the future; its source must stamp "
            "with the clock of the loop",
        )

    def _stale_state(self, state: RobotState, goal: Goal | None, now_ns: int) -> Fault | None:
        age_ms, limit_ms = (now_ns - state.stamp_ns) * 1e-6, self._config.stale_state_ms
        if age_ms <= limit_ms:
            return None
        return Fault(code="stale_state", detail=f"the robot's state is {age_ms:.0f} ms old (limit {limit_ms:g})")

    def _joint_velocity(self, state: RobotState, goal: Goal | None, now_ns: int) -> Fault | None:
        fit = np.abs(state.joint_vel_hw) <= self._speed_hw
        if fit.all():
            return None
        joint = int(fit.argmin())
        return Fault(
            code="joint_velocity",
            detail=f"{g1.JOINT_NAMES_HW[joint]} is measured at {state.joint_vel_hw[joint]:.1f} rad/s "
            f"(limit {self._speed_hw[joint]:.1f} either way)",
        )

    def _joint_range(self, state: RobotState, goal: Goal | None, now_ns: int) -> Fault | None:
        q = state.joint_pos_hw
        fit = (q >= self._low_hw) & (q <= self._high_hw)
        if fit.all():
            return None
        joint = int(fit.argmin())
        low, high = g1.JOINT_RANGE_HW[joint]
        return Fault(
            code="joint_range",
            detail=f"{g1.JOINT_NAMES_HW[joint]} is measured at {q[joint]:.3f} rad, outside [{low:.3f}, {high:.3f}] by "
            f"more than {self._config.joint_range_margin_rad:g} rad",
        )

    def _tilt(self, state: RobotState, goal: Goal | None, now_ns: int) -> Fault | None:
        angle = tilt_rad(state)
        if angle <= self._config.tilt_rad:
            return None
        return Fault(
            code="tilt", detail=f"the pelvis leans {angle:.2f} rad from upright (limit {self._config.tilt_rad:g})"
        )

    def _base_height(self, state: RobotState, goal: Goal | None, now_ns: int) -> Fault | None:
        if state.base_pos_w is None or float(state.base_pos_w[2]) >= self._config.base_height_m:
            return None
        return Fault(
            code="base_height",
            detail=f"the pelvis is {state.base_pos_w[2]:.2f} m above the ground (limit {self._config.base_height_m:g})",
        )

    def _motor_error(self, state: RobotState, goal: Goal | None, now_ns: int) -> Fault | None:
        errors = state.motor_error_hw
        self._error_ticks = 0 if errors is None or not errors.any() else self._error_ticks + 1
        if errors is None or self._error_ticks < self._config.motor_error_ticks:
            return None
        return Fault(code="motor_error", detail=f"{motor_errors(state)}, for {self._error_ticks} ticks in a row")

    def _temperature(self, state: RobotState, goal: Goal | None, now_ns: int) -> Fault | None:
        temperatures, limit = state.motor_temperature_c_hw, self._config.temperature_limit_c
        if temperatures is None or bool((temperatures <= limit).all()):
            return None
        return Fault(code="temperature", detail=f"{hottest_motor(state)} (limit {limit:g})")

    def _stale_stream(self, state: RobotState | None, goal: Goal | None, now_ns: int) -> Fault | None:
        if goal is None:
            return None
        age_ms, limit_ms = (now_ns - goal.stamp_ns) * 1e-6, self._config.stale_stream_ms
        if age_ms <= limit_ms:
            return None
        return Fault(
            code="stale_stream",
            detail=f"the newest data of the stream is {age_ms:.0f} ms old (limit {limit_ms:g}); "
            "the sender stopped or the network lost it",
        )


def motor_errors(state: RobotState) -> str:
    """Return a phrase that names the motors that report an error, and their error words."""
    errors = () if state.motor_error_hw is None else state.motor_error_hw.tolist()
    named = [f"{name} 0x{word:x}" for name, word in zip(g1.JOINT_NAMES_HW, errors, strict=False) if word]
    return f"motors report errors: {', '.join(named)}"


def hottest_motor(state: RobotState) -> str:
    """Return a phrase that names the hottest motor and its temperature."""
    if state.motor_temperature_c_hw is None:
        return "no motor tells its temperature"
    # argmax takes a NaN for the largest
    joint = int(state.motor_temperature_c_hw.argmax())
    return f"the motor of {g1.JOINT_NAMES_HW[joint]} is at {state.motor_temperature_c_hw[joint]:.0f} degrees Celsius"
