"""The reference of a robot that stands still: one frame, for goal sources and for the controller that balances."""

from __future__ import annotations

import numpy as np

from sonic_runtime.contract.messages import Array, Goal, Reference, RobotState
from sonic_runtime.contract.rotations import quat_from_yaw, yaw_of_quat
from sonic_runtime.robots import g1


def standing_reference() -> Reference:
    """Return one frame at rest: the default pose, upright, facing along x."""
    return Reference(
        joint_pos_pol=g1.to_policy_order(g1.DEFAULT_POS_HW)[None],
        joint_vel_pol=np.zeros((1, len(g1.JOINT_NAMES_POL))),
        root_quat_wxyz=np.array([[1.0, 0.0, 0.0, 0.0]]),
        root_pos_w=np.array([[0.0, 0.0, g1.STANDING_PELVIS_HEIGHT_M]]),
        cursor=0,
        playing=False,
    )


def heading_of_state(state: RobotState) -> Array:
    """Return the rotation about z, (4,) wxyz, that turns a reference facing along x into the direction of the robot."""
    return quat_from_yaw(yaw_of_quat(state.base_quat_wxyz))


def standing_goal(reference: Reference, heading_quat_wxyz: Array, state: RobotState) -> Goal:
    """Return the goal to stand, for the g1 encoder; it never gets old."""
    return Goal(reference=reference, encoder="g1", heading_quat_wxyz=heading_quat_wxyz, stamp_ns=state.stamp_ns)
