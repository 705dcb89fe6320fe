"""What must hold for everything that comes out of the guard, computed in another way than the guard computes it.

All functions work on N ticks at once. Tolerances are rounding errors: 1e-9 of a limit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sonic_runtime.bench.guard_ticks import HostileTicks
from sonic_runtime.contract.messages import Array
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.robots import g1

Mask = npt.NDArray[np.bool_]
_EFFORT = g1.EFFORT_LIMIT_HW
_SLACK = 1.0 + 1e-9
_TURN_RAD = 2.0 * np.pi


def unfit(ticks: HostileTicks, config: GuardConfig) -> Mask:
    """Return the ticks (N,) whose state or goal must not be acted upon; motor errors, which have a memory, left out."""
    state = ticks.state
    checked = ("joint_pos_hw", "joint_vel_hw", "base_quat_wxyz", "base_ang_vel_b")
    bad = np.any([~np.isfinite(state[name]).all(axis=1) for name in checked], axis=0)
    quat = state["base_quat_wxyz"]
    bad |= ~(np.abs(np.sqrt((quat * quat).sum(axis=1)) - 1.0) < 0.02 * _SLACK)
    # the third row of the rotation matrix of a unit quaternion
    w, x, y, z = quat.T
    lean = np.arctan2(2.0 * np.hypot(x * z + w * y, y * z - w * x), w * w - x * x - y * y + z * z)
    bad |= ~(lean <= config.tilt_rad + 0.05)
    bad |= ~(np.abs(state["joint_vel_hw"]) <= config.joint_velocity_fraction * g1.VELOCITY_LIMIT_HW * _SLACK).all(
        axis=1
    )
    margin = config.joint_range_margin_rad + 1e-9
    low, high = g1.JOINT_RANGE_HW.T
    bad |= ~((state["joint_pos_hw"] >= low - margin) & (state["joint_pos_hw"] <= high + margin)).all(axis=1)
    bad |= ticks.has_height & ~(state["base_pos_w"][:, 2] >= config.base_height_m)
    bad |= ticks.has_motors & ~(state["motor_temperature_c_hw"] <= config.temperature_limit_c).all(axis=1)
    age_ms = (ticks.now_ns - ticks.state_stamp_ns) / 1e6
    return bad | (age_ms < 0.0) | (age_ms > config.stale_state_ms)


def outside_limits(
    out: Array, state_pos: Array, state_vel: Array, last_pos: Array, config: GuardConfig
) -> dict[str, Mask]:
    """Return, by rule, the targets (N,) that break it.

    Args:
        out: (N, 5, 29) targets that were written: position, velocity, stiffness, damping, torque.
        state_pos: (N, 29) measured angles [rad].
        state_vel: (N, 29) measured speeds [rad/s].
        last_pos: (N, 29) position targets of the tick before, or measured angles where there was none [rad].
        config: limits.
    """
    pos, vel, stiffness, damping, torque_ff = out.transpose(1, 0, 2)
    most = config.target_torque_fraction * _EFFORT
    rest = damping * (vel - state_vel) + torque_ff

    def too_much_torque(at: Array) -> Mask:
        torque = stiffness * (at - state_pos) + rest
        brake = (np.sign(torque) == np.sign(rest)) & (np.abs(torque) <= np.abs(rest) * _SLACK + 1e-8)
        return ~((np.abs(torque) <= most * _SLACK + 1e-8) | brake)

    def out_of_range(at: Array) -> Mask:
        beyond = np.maximum(at - g1.JOINT_RANGE_HW[:, 1], g1.JOINT_RANGE_HW[:, 0] - at)
        reach = config.target_range_fraction * _TURN_RAD
        hard = stiffness * beyond <= config.target_range_fraction * _EFFORT * _SLACK
        return ~((beyond <= reach * _SLACK) & (hard | (stiffness * _TURN_RAD < _EFFORT)))

    # the rate counts from the target before, or from what this tick allows that is nearest to it
    step = config.target_rate_fraction * np.minimum(_TURN_RAD, _EFFORT / np.maximum(stiffness, 1e-12))
    start = _nearest_allowed(last_pos, state_pos, lambda at: too_much_torque(at) | out_of_range(at))
    rounding = 1e-9 + (1e-8 + 1e-9 * (most + np.abs(rest))) / np.maximum(stiffness, 1e-12)
    too_far = ~(np.abs(pos - start) <= step * _SLACK + 2.0 * rounding)
    return {
        "finite": ~np.isfinite(out).all(axis=(1, 2)),
        "stiffness": ~((stiffness >= 0.0) & (stiffness * config.target_stiffness_rad <= _EFFORT * _SLACK)).all(axis=1),
        "damping": ~(
            (damping >= 0.0)
            & (damping <= config.target_damping_nm_s_per_rad)
            & (damping >= stiffness * config.target_damping_s * (1.0 - 1e-9))
        ).all(axis=1),
        "velocity": ~(np.abs(vel) <= config.target_velocity_fraction * g1.VELOCITY_LIMIT_HW * _SLACK).all(axis=1),
        "torque_ff": ~(np.abs(torque_ff) <= config.target_torque_ff_fraction * _EFFORT * _SLACK).all(axis=1),
        "moving_torque": ~(np.abs(damping * vel + torque_ff) <= most * _SLACK + 1e-9).all(axis=1),
        "range": out_of_range(pos).any(axis=1),
        "torque": too_much_torque(pos).any(axis=1),
        "rate": too_far.any(axis=1),
    }


def _nearest_allowed(start: Array, inside: Array, forbidden: Callable[[Array], Mask]) -> Array:
    """Return, joint by joint, the allowed angle nearest to `start` on the way to `inside`, by bisection."""
    allowed = ~forbidden(start)
    outer, inner = np.zeros_like(start), np.ones_like(start)
    for _ in range(60):
        middle = 0.5 * (outer + inner)
        bad = forbidden(start + middle * (inside - start))
        outer, inner = np.where(bad, middle, outer), np.where(bad, inner, middle)
    return np.where(allowed, start, start + inner * (inside - start))
