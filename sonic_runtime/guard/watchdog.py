"""Decide stage: is what the loop sees still fit to act upon? Age of state and stream, tilt, joint range.

Pure functions of one tick's state and goal; the limits come from configs/guard.
"""

from __future__ import annotations

import math

import numpy as np

from sonic_runtime.contract.messages import Fault, Goal, RobotState
from sonic_runtime.guard.config import GuardConfig
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


def check(state: RobotState, goal: Goal | None, now_ns: int, config: GuardConfig) -> Fault | None:
    """Return the first reason not to go on, None where there is none.

    Args:
        state: measured now.
        goal: what to do now; None before the first.
        now_ns: time of the loop [ns].
        config: limits.

    Returns:
        A fault "non_finite", "orientation", "clock", "stale_state", "tilt", "joint_range" or "stale_stream".
    """
    return (
        non_finite_state(state)
        or _no_orientation(state)
        or _stamped_in_future("state", state.stamp_ns, now_ns)
        or _stale_state(state, now_ns, config)
        or _tilted(state, config)
        or _outside_joint_range(state, config)
        or (goal and _stamped_in_future("goal", goal.stamp_ns, now_ns))
        or stale_goal(goal, now_ns, config)
    )


def _no_orientation(state: RobotState) -> Fault | None:
    # an IMU that has not started reports zeros, whose tilt would be none
    norm = math.hypot(*state.base_quat_wxyz.tolist())
    if abs(norm - 1.0) <= _MAX_NORM_ERROR:
        return None
    return Fault(
        code="orientation",
        detail=f"measured base_quat_wxyz: expected a unit quaternion, found norm {norm:.3f}; is the IMU running?",
    )


def _stamped_in_future(what: str, stamp_ns: int, now_ns: int) -> Fault | None:
    # a stamp of another clock would never get old
    if stamp_ns <= now_ns:
        return None
    return Fault(
        code="clock",
        detail=f"the {what} is stamped {(stamp_ns - now_ns) * 1e-6:.0f} ms in the future; its source must stamp with "
        "the clock of the loop",
    )


def _stale_state(state: RobotState, now_ns: int, config: GuardConfig) -> Fault | None:
    age_ms = (now_ns - state.stamp_ns) * 1e-6
    if age_ms <= config.stale_state_ms:
        return None
    return Fault(
        code="stale_state", detail=f"the robot's state is {age_ms:.0f} ms old (limit {config.stale_state_ms:g})"
    )


def stale_goal(goal: Goal | None, now_ns: int, config: GuardConfig) -> Fault | None:
    """Return a fault "stale_stream" where the newest data behind a goal is too old to be tracked."""
    if goal is None:
        return None
    age_ms = (now_ns - goal.stamp_ns) * 1e-6
    if age_ms <= config.stale_stream_ms:
        return None
    return Fault(
        code="stale_stream",
        detail=f"the newest data of the stream is {age_ms:.0f} ms old (limit {config.stale_stream_ms:g}); "
        "the sender stopped or the network lost it",
    )


def _tilted(state: RobotState, config: GuardConfig) -> Fault | None:
    angle = tilt_rad(state)
    if angle <= config.tilt_rad:
        return None
    return Fault(code="tilt", detail=f"the pelvis leans {angle:.2f} rad from upright (limit {config.tilt_rad:g})")


def _outside_joint_range(state: RobotState, config: GuardConfig) -> Fault | None:
    q, (low, high) = state.joint_pos_hw, g1.JOINT_RANGE_HW.T
    excess = np.maximum(low - q, q - high)
    worst = int(excess.argmax())
    if excess[worst] <= config.joint_range_margin_rad:
        return None
    return Fault(
        code="joint_range",
        detail=f"{g1.JOINT_NAMES_HW[worst]} is measured at {q[worst]:.3f} rad, outside [{low[worst]:.3f}, "
        f"{high[worst]:.3f}] by more than {config.joint_range_margin_rad:g} rad",
    )
