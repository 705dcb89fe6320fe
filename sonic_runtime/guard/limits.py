"""Guard stage: what a joint target may be. Refuses what is not finite or has foreign gains, clamps the rest.

The motors make of a target the torque tau = kp (q* - q) + kd (dq* - dq) + ff, clipped to the effort limit e. Limits are
told as shares of e, so that one number fits every joint. In the order in which they are applied:

target_gains       0 <= kp <= e / target_stiffness_rad, target_damping_s * kp <= kd <= target_damping_nm_s_per_rad.
                   Outside, the target is refused: such gains are of another robot or another unit.
target_velocity    |dq*| <= target_velocity_fraction * (speed of the motor), and kd |dq*| <= the torque limit L below.
target_torque_ff   |ff| <= target_torque_ff_fraction * e, and |kd dq* + ff| <= L.
target_range       lo - fraction * e / kp <= q* <= hi + fraction * e / kp for the range [lo, hi] of the joint.
target_torque      min(-L, tau0) <= tau <= max(L, tau0), L = target_torque_fraction * e, with the measured q and dq.
                   tau0 = kd (dq* - dq) + ff is what is left where q* = q. A fast joint is braked by more than L;
                   that is wanted, and no position target makes it more. A joint measured outside the bounds of its
                   range may be pulled back into them by more than L.
target_rate        kp |q* - (q* of the tick before)| <= target_rate_fraction * e, where the target before is first
                   brought within this tick's range and torque. In the first tick, and in the first after damping,
                   the measured angle stands in for it.

Why positions are not simply clamped into the joint range: the policy is trained without a clamp on targets, and a
target beyond the range is how it asks for torque near the end of the range. From any angle q inside the range a resting
joint saturates as soon as the target reaches hi + e / kp (or lo - e / kp). A target beyond that bound asks for no more
torque; only while the joint already moves towards its stop would it still outweigh the braking term, and there the
brake is wanted. A smaller fraction limits the torque with which a joint can be pressed against its stop, at the price
of a policy that was trained with more. Where kp is so small that e / kp is more than a turn, a turn stands in for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.messages import Array, Decision, Fault, JointTarget, RobotState
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.robots import g1

_JOINTS = len(g1.JOINT_NAMES_HW)
_SHAPE = (_JOINTS,)
_FIELDS = ("joint_pos_hw", "joint_vel_hw", "stiffness_hw", "damping_hw", "torque_ff_hw")
_LOW, _HIGH = g1.JOINT_RANGE_HW.T.copy()
_LEAST_STIFFNESS = g1.EFFORT_LIMIT_HW / (2.0 * math.pi)
"""(29,) stiffness that asks for the full effort a turn away [N m/rad]."""
_TINY = 1e-12
"""Stands in for a gain of zero in a division."""
_ROUNDING_NM = 1e-9


@dataclass(frozen=True, slots=True)
class LimitedTarget:
    """A target within limits, how many joints were clamped, or why it must not be sent at all."""

    target: JointTarget
    clamped_joints: int = 0
    fault: Fault | None = None


class TargetLimits:
    """Checks and limits joint targets, one a tick.

    Args:
        config: limits.

    Attributes:
        clamped_ticks: ticks in which at least one joint was clamped.
        clamped_ticks_hw: (29,) ticks in which each joint was clamped, hardware order.
        clamped_ticks_of: ticks in which each limit, by name, clamped a joint.
    """

    def __init__(self, config: GuardConfig) -> None:
        self.clamped_ticks = 0
        self.clamped_ticks_hw: npt.NDArray[np.int64] = np.zeros(_JOINTS, dtype=np.int64)
        self.clamped_ticks_of: dict[str, int] = {}
        effort = g1.EFFORT_LIMIT_HW

        def unless_off(name: str, limit: Array) -> Array:
            return np.full(_JOINTS, np.inf) if name in config.off else limit

        self._check_gains = "target_gains" not in config.off
        self._max_stiffness = effort / config.target_stiffness_rad
        self._max_damping = config.target_damping_nm_s_per_rad
        self._damping_s = config.target_damping_s
        self._velocity = unless_off("target_velocity", config.target_velocity_fraction * g1.VELOCITY_LIMIT_HW)
        self._torque_ff = unless_off("target_torque_ff", config.target_torque_ff_fraction * effort)
        self._rate_nm = unless_off("target_rate", config.target_rate_fraction * effort)
        self._range_nm = unless_off("target_range", config.target_range_fraction * effort)
        self._torque_nm = unless_off("target_torque", config.target_torque_fraction * effort)
        self._last_pos_hw: Array | None = None
        self._bounds: _Bounds | None = None

    def apply(self, decision: Decision, state: RobotState) -> LimitedTarget:
        """Return the decision's target within limits.

        Args:
            decision: what a controller wants; arrays in hardware order, `action_pol` in policy order.
            state: measured in this tick.

        Returns:
            The target, clamped; or the same target with a fault "target_shape", "non_finite" or "target_gains".
        """
        target = decision.target
        fault = _malformed(decision)
        if fault is not None:
            return LimitedTarget(target, fault=fault)
        bounds = self._bounds
        if bounds is None or not bounds.hold_for(target):
            # most controllers never change their gains
            fault = self._foreign_gains(target) if self._check_gains else None
            if fault is not None:
                return LimitedTarget(target, fault=fault)
            bounds = self._bounds = _Bounds(target, self._range_nm, self._rate_nm)
        vel, torque_ff = target.joint_vel_hw, target.torque_ff_hw
        if vel.dot(vel) or torque_ff.dot(torque_ff):
            vel, torque_ff = self._feed_forward(vel, torque_ff, target.damping_hw)
        rest_nm = target.damping_hw * (vel - state.joint_vel_hw) + torque_ff
        pos = self._position(target.joint_pos_hw, bounds, rest_nm, state.joint_pos_hw)
        if not math.isfinite(pos.dot(pos)):
            return LimitedTarget(target, fault=_unlimited(state))
        self._last_pos_hw = pos
        return self._result(target, pos, vel, torque_ff)

    def forget(self) -> None:
        """Let the rate begin anew at the measured angle: the last target was not written."""
        self._last_pos_hw = None

    def clamped_by_joint(self) -> dict[str, int]:
        """Return the ticks in which each joint was clamped, for joints that were."""
        counts = zip(g1.JOINT_NAMES_HW, self.clamped_ticks_hw.tolist(), strict=True)
        return {name: count for name, count in counts if count}

    def _foreign_gains(self, target: JointTarget) -> Fault | None:
        stiffness, damping = target.stiffness_hw, target.damping_hw
        least = stiffness * self._damping_s
        well = (stiffness >= 0.0) & (stiffness <= self._max_stiffness)
        well &= (damping >= least) & (damping <= self._max_damping)
        if well.all():
            return None
        joint = int(well.argmin())
        return Fault(
            code="target_gains",
            detail=f"wanted gains of {g1.JOINT_NAMES_HW[joint]}: expected a stiffness from 0 to "
            f"{self._max_stiffness[joint]:.4g} N m/rad, found {stiffness[joint]:.4g}, and a damping from "
            f"{max(0.0, least[joint]):.4g} to {self._max_damping:.4g} N m s/rad, found {damping[joint]:.4g}; "
            "are these the gains of a G1?",
        )

    def _feed_forward(self, vel: Array, torque_ff: Array, damping: Array) -> tuple[Array, Array]:
        """Return velocity target and feed-forward torque, which together ask for no more than the torque limit."""
        most = np.minimum(self._velocity, self._torque_nm / np.maximum(damping, _TINY))
        limited_vel = _clamped(vel, -most, most)
        limited_ff = _clamped(torque_ff, -self._torque_ff, self._torque_ff)
        of_vel = damping * limited_vel
        limited_ff = _clamped(of_vel + limited_ff, -self._torque_nm, self._torque_nm) - of_vel
        # the sum and the difference leave a rounding error, which is no clamp
        unchanged = np.abs(limited_ff - torque_ff) <= _ROUNDING_NM
        limited_ff = np.where(unchanged, torque_ff, limited_ff)
        self._count("target_velocity", limited_vel != vel)
        self._count("target_torque_ff", limited_ff != torque_ff)
        return limited_vel, limited_ff

    def _position(self, wanted: Array, bounds: _Bounds, rest_nm: Array, measured: Array) -> Array:
        """Return the position target (29,) within range, torque and rate.

        Args:
            wanted: (29,) [rad].
            bounds: what follows from the gains.
            rest_nm: (29,) torque of the target without that of its stiffness [N m].
            measured: (29,) angles [rad].
        """
        torque_low = measured + np.minimum(-_ROUNDING_NM, -self._torque_nm - rest_nm) / bounds.divisor
        torque_high = measured + np.maximum(_ROUNDING_NM, self._torque_nm - rest_nm) / bounds.divisor
        low = _clamped(torque_low, bounds.low, bounds.high)
        high = _clamped(torque_high, bounds.low, bounds.high)
        last = _clamped(measured if self._last_pos_hw is None else self._last_pos_hw, low, high)
        within = _clamped(wanted, low, high)
        limited = _clamped(within, last - bounds.step, last + bounds.step)
        if (limited != wanted).any():
            ranged = _clamped(wanted, bounds.low, bounds.high)
            self._count("target_range", ranged != wanted)
            self._count("target_torque", within != ranged)
            self._count("target_rate", limited != within)
        return limited

    def _count(self, name: str, changed: npt.NDArray[np.bool_]) -> None:
        if changed.any():
            self.clamped_ticks_of[name] = self.clamped_ticks_of.get(name, 0) + 1

    def _result(self, target: JointTarget, pos: Array, vel: Array, torque_ff: Array) -> LimitedTarget:
        changed = pos != target.joint_pos_hw
        if vel is not target.joint_vel_hw:
            changed |= (vel != target.joint_vel_hw) | (torque_ff != target.torque_ff_hw)
        if not changed.any():
            return LimitedTarget(target)
        self.clamped_ticks += 1
        self.clamped_ticks_hw += changed
        limited = replace(target, joint_pos_hw=pos, joint_vel_hw=vel, torque_ff_hw=torque_ff)
        return LimitedTarget(limited, clamped_joints=int(changed.sum()))


class _Bounds:
    """What follows from the gains of a target alone, so that it is computed anew only where they change.

    Args:
        target: with gains that have been checked.
        range_nm: (29,) torque that a target may ask for at the end of the range [N m].
        rate_nm: (29,) torque that a target may add in one tick [N m].

    Attributes:
        low, high: (29,) bounds of the position target from the range [rad].
        step: (29,) largest step of the position target [rad].
        divisor: (29,) stiffness, or next to nothing [N m/rad].
    """

    def __init__(self, target: JointTarget, range_nm: Array, rate_nm: Array) -> None:
        # copies: a controller may write into its arrays later
        self._stiffness, self._damping = target.stiffness_hw.copy(), target.damping_hw.copy()
        # a turn stands in for the reach of a joint that is hardly stiff
        stiff = np.maximum(self._stiffness, _LEAST_STIFFNESS)
        margin = range_nm / stiff
        self.low, self.high = _LOW - margin, _HIGH + margin
        self.step = rate_nm / stiff
        self.divisor = np.maximum(self._stiffness, _TINY)

    def hold_for(self, target: JointTarget) -> bool:
        """Return whether a target has the same gains."""
        same = target.stiffness_hw == self._stiffness
        return bool(same.all()) and bool((target.damping_hw == self._damping).all())


def _clamped(values: Array, low: Array, high: Array) -> Array:
    """Return values within [low, high]; a third of the time of np.clip."""
    return np.minimum(np.maximum(values, low), high)


def non_finite_state(state: RobotState) -> Fault | None:
    """Return a fault if any measured number is NaN or infinite."""
    pos, vel, quat, ang_vel = state.joint_pos_hw, state.joint_vel_hw, state.base_quat_wxyz, state.base_ang_vel_b
    if math.isfinite(pos.dot(pos) + vel.dot(vel) + quat.dot(quat) + ang_vel.dot(ang_vel)):
        return None
    return _first_non_finite(
        "measured",
        {"joint_pos_hw": pos, "joint_vel_hw": vel, "base_quat_wxyz": quat, "base_ang_vel_b": ang_vel},
    )


def _malformed(decision: Decision) -> Fault | None:
    """Return a fault if an array of a decision is not 29 real and finite numbers."""
    target, action = decision.target, decision.action_pol
    squares = 0.0 if action is None else float(action.dot(action))
    for name in _FIELDS:
        values = getattr(target, name)
        if values.shape != _SHAPE or values.dtype.kind != "f":
            return Fault(
                code="target_shape",
                detail=f"wanted {name}: expected {_JOINTS} real numbers, found shape {values.shape} of {values.dtype}",
            )
        squares += float(values.dot(values))
    # the sum of squares is finite only if every value is, and costs a quarter of a mask; huge values need the mask
    if math.isfinite(squares):
        return None
    return _first_non_finite("wanted", {"action_pol": action, **{name: getattr(target, name) for name in _FIELDS}})


def _first_non_finite(label: str, fields: Mapping[str, Array | npt.NDArray[np.float32] | None]) -> Fault | None:
    for name, values in fields.items():
        if values is None:
            continue
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            return Fault(
                code="non_finite",
                detail=f"{label} {name}: expected finite numbers, found {values[bad[0]]} at element {bad[0]} "
                f"and {len(bad)} such in all",
            )
    return None


def _unlimited(state: RobotState) -> Fault:
    """Return the fault of numbers so large, or of a state so wrong, that no limit can be computed."""
    return non_finite_state(state) or Fault(
        code="non_finite",
        detail="wanted joint_pos_hw: expected a target that can be limited, found numbers too large to compute with "
        f"(largest measured speed {np.abs(state.joint_vel_hw).max():.3g} rad/s, angle "
        f"{np.abs(state.joint_pos_hw).max():.3g} rad)",
    )
