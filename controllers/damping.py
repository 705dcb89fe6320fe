"""Brakes every joint: no stiffness, some damping. The last word of every run."""

from __future__ import annotations

import numpy as np

from sonic_runtime.contract.messages import Decision, Goal, JointTarget, RobotState


class Damping:
    """A controller that needs no measurement, so that it works where everything else has failed.

    Args:
        joints: number of joints.
        gain_nm_s_per_rad: velocity gain of every joint [N m s/rad].
    """

    def __init__(self, joints: int, gain_nm_s_per_rad: float) -> None:
        zeros = np.zeros(joints)
        self.target = JointTarget(
            joint_pos_hw=zeros,
            joint_vel_hw=zeros,
            stiffness_hw=zeros,
            damping_hw=np.full(joints, gain_nm_s_per_rad),
            torque_ff_hw=zeros,
        )

    @property
    def memory(self) -> object:
        """Itself: it remembers nothing."""
        return self

    def reset(self) -> None:
        """Nothing to forget."""

    def act(self, state: RobotState, goal: Goal | None) -> Decision:
        """Return zero stiffness and the damping gain."""
        return Decision(target=self.target)
