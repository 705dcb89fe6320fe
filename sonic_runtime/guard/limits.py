"""Guard stage: what a joint target may be. Refuses what is not finite, limits positions to what can matter.

Why positions are not simply clamped into the joint range: the policy is trained without a clamp on targets, and a
target beyond the range is how it asks for torque near the end of the range. The torque of the PD law is clipped to
the effort limit e, so from any angle q inside the range [lo, hi] a resting joint saturates as soon as the target
reaches hi + e / kp (or lo - e / kp). A target beyond that bound asks for no more torque; only while the joint already
moves towards its stop would it still outweigh the braking term kd * dq, and there the brake is wanted. So the bound is

    lo - fraction * e / kp  <=  target  <=  hi + fraction * e / kp,   fraction = 1 by default,

which leaves the policy what it was trained with. A smaller fraction limits the torque with which a joint can be
pressed against its stop, at the price of a policy that was trained with more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.messages import Array, Decision, Fault, JointTarget, RobotState
from sonic_runtime.robots import g1


@dataclass(frozen=True, slots=True)
class LimitedTarget:
    """A target within limits, how many joints were clamped, or why it must not be sent at all."""

    target: JointTarget
    clamped_joints: int = 0
    fault: Fault | None = None


class TargetLimits:
    """Checks and limits joint targets.

    Args:
        torque_at_limit_fraction: see the module.

    Attributes:
        clamped_ticks: ticks in which at least one joint was clamped.
        clamped_ticks_hw: (29,) ticks in which each joint was clamped, hardware order.
    """

    def __init__(self, torque_at_limit_fraction: float) -> None:
        self.clamped_ticks = 0
        self.clamped_ticks_hw: npt.NDArray[np.int64] = np.zeros(len(g1.JOINT_NAMES_HW), dtype=np.int64)
        self._fraction = torque_at_limit_fraction
        self._stiffness_hw: Array | None = None
        self._low_hw = g1.JOINT_RANGE_HW[:, 0]
        self._high_hw = g1.JOINT_RANGE_HW[:, 1]

    def apply(self, decision: Decision) -> LimitedTarget:
        """Return the decision's target within limits.

        Args:
            decision: what a controller wants; arrays in hardware order, `action_pol` in policy order.

        Returns:
            The target, its positions clamped; or the same target with a fault "non_finite".
        """
        fault = _non_finite(decision)
        if fault is not None:
            return LimitedTarget(decision.target, fault=fault)
        low, high = self._bounds(decision.target.stiffness_hw)
        wanted = decision.target.joint_pos_hw
        limited = np.minimum(np.maximum(wanted, low), high)
        changed = limited != wanted
        if not changed.any():
            return LimitedTarget(decision.target)
        self.clamped_ticks += 1
        self.clamped_ticks_hw += changed
        return LimitedTarget(replace(decision.target, joint_pos_hw=limited), clamped_joints=int(changed.sum()))

    def clamped_by_joint(self) -> dict[str, int]:
        """Return the ticks in which each joint was clamped, for joints that were."""
        counts = zip(g1.JOINT_NAMES_HW, self.clamped_ticks_hw.tolist(), strict=True)
        return {name: count for name, count in counts if count}

    def _bounds(self, stiffness_hw: Array) -> tuple[Array, Array]:
        if stiffness_hw is not self._stiffness_hw:
            # without stiffness the position has no effect, so it needs no bound
            margin = np.full(len(stiffness_hw), np.inf)
            np.divide(self._fraction * g1.EFFORT_LIMIT_HW, stiffness_hw, out=margin, where=stiffness_hw > 0.0)
            self._low_hw = g1.JOINT_RANGE_HW[:, 0] - margin
            self._high_hw = g1.JOINT_RANGE_HW[:, 1] + margin
            self._stiffness_hw = stiffness_hw
        return self._low_hw, self._high_hw


def non_finite_state(state: RobotState) -> Fault | None:
    """Return a fault if any measured number is NaN or infinite."""
    fields = {
        "joint_pos_hw": state.joint_pos_hw,
        "joint_vel_hw": state.joint_vel_hw,
        "base_quat_wxyz": state.base_quat_wxyz,
        "base_ang_vel_b": state.base_ang_vel_b,
    }
    return _first_non_finite("measured", fields)


def _non_finite(decision: Decision) -> Fault | None:
    target = decision.target
    fields = {
        "action_pol": decision.action_pol,
        "joint_pos_hw": target.joint_pos_hw,
        "joint_vel_hw": target.joint_vel_hw,
        "stiffness_hw": target.stiffness_hw,
        "damping_hw": target.damping_hw,
        "torque_ff_hw": target.torque_ff_hw,
    }
    return _first_non_finite("wanted", fields)


def _first_non_finite(label: str, fields: Mapping[str, Array | npt.NDArray[np.float32] | None]) -> Fault | None:
    for name, values in fields.items():
        # the sum of squares is finite only if every value is, and costs a quarter of a mask; huge values need the mask
        if values is None or math.isfinite(values.dot(values)):
            continue
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            return Fault(
                code="non_finite",
                detail=f"{label} {name}: expected finite numbers, found {values[bad[0]]} at element {bad[0]} "
                f"and {len(bad)} such in all",
            )
    return None
