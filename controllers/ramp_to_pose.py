"""Moves every joint from where it was found to a pose, in a straight line, and holds it there."""

from __future__ import annotations

import numpy as np

from sonic_runtime.contract.messages import Array, Decision, Goal, JointTarget, RobotState


class RampToPose:
    """A controller for the seconds before a policy takes over.

    The start pose is the one measured when the controller takes over and does not move with later measurements: the
    targets are the same line whatever the robot does.

    Args:
        pose_hw: (29,) [rad], hardware order; where to end.
        stiffness_hw: (29,) [N m/rad].
        damping_hw: (29,) [N m s/rad].
        duration_s: time from start to end [s]; 0 holds the pose at once.
    """

    def __init__(self, pose_hw: Array, stiffness_hw: Array, damping_hw: Array, duration_s: float) -> None:
        self._pose_hw = pose_hw
        self._stiffness_hw = stiffness_hw
        self._damping_hw = damping_hw
        self._duration_ns = max(1, round(duration_s * 1e9))
        self._zeros = np.zeros(len(pose_hw))
        self._start: tuple[int, Array] | None = None

    def reset(self) -> None:
        """Take the start pose anew at the next tick."""
        self._start = None

    def act(self, state: RobotState, goal: Goal | None) -> Decision:
        """Return start + (pose - start) * elapsed / duration, at the pose once the duration has passed."""
        if self._start is None:
            self._start = (state.stamp_ns, state.joint_pos_hw)
        start_ns, start_hw = self._start
        fraction = min(1.0, (state.stamp_ns - start_ns) / self._duration_ns)
        return Decision(
            target=JointTarget(
                joint_pos_hw=start_hw + (self._pose_hw - start_hw) * fraction,
                joint_vel_hw=self._zeros,
                stiffness_hw=self._stiffness_hw,
                damping_hw=self._damping_hw,
                torque_ff_hw=self._zeros,
            )
        )
