"""Moves every joint from where it was found to a pose, with gains that rise, and holds it there."""

from __future__ import annotations

import numpy as np

from sonic_runtime.contract.messages import Array, Decision, Goal, JointTarget, RobotState

_GAINS_FULL_AT = 0.5
"""Share of the ramp after which the stiffness is whole: it rises while the targets are still close to the start."""


class RampToPose:
    """A controller for the seconds before a policy takes over.

    The start pose is the one measured when the controller takes over and does not move with later measurements: the
    targets are the same line whatever the robot does. Stiffness rises from nothing in the first half of the ramp, so
    that a joint that is held by something is pulled gently; damping is whole from the beginning.

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

    @property
    def memory(self) -> object:
        """Itself: it shares its start pose with nobody."""
        return self

    def reset(self) -> None:
        """Take the start pose anew at the next tick."""
        self._start = None

    def act(self, state: RobotState, goal: Goal | None) -> Decision:
        """Return start + (pose - start) * elapsed / duration, at the pose once the duration has passed."""
        if self._start is None:
            self._start = (state.stamp_ns, state.joint_pos_hw)
        start_ns, start_hw = self._start
        fraction = min(1.0, (state.stamp_ns - start_ns) / self._duration_ns)
        gain = min(1.0, fraction / _GAINS_FULL_AT)
        return Decision(
            target=JointTarget(
                joint_pos_hw=start_hw + (self._pose_hw - start_hw) * fraction,
                joint_vel_hw=self._zeros,
                stiffness_hw=self._stiffness_hw if gain == 1.0 else self._stiffness_hw * gain,
                damping_hw=self._damping_hw,
                torque_ff_hw=self._zeros,
            )
        )
