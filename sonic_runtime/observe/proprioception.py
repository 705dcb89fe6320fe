"""Observation terms of what the robot feels and did: one pure function each, from a state and the last action.

Part of the act stage; each returns one sample, of which histories are made (`history.py`).
"""

from __future__ import annotations

import numpy as np

from sonic_runtime.contract.messages import Array, RobotState
from sonic_runtime.robots import g1

NO_PADDING = (0.0,)
"""What stands in a slot before the start, with history fill "zero"."""
GRAVITY_PADDING = (0.0, 0.0, 1.0)
"""The same for gravity: upside down. The published runtime rotates by an all-zero quaternion there, which leaves the
vector it turns with the sign changed, and its models have been run with that."""


def base_angular_velocity(state: RobotState, last_action_pol: Array) -> Array:
    """Pelvis gyro.

    Formula: omega
    Shape: (3,)
    Frame: pelvis
    Unit: rad/s
    Order: x y z
    """
    return state.base_ang_vel_b


def body_joint_positions(state: RobotState, last_action_pol: Array) -> Array:
    """Measured joint angles.

    Formula: q - q_default
    Shape: (29,)
    Frame: joint
    Unit: rad
    Order: policy order
    """
    return g1.to_policy_order(state.joint_pos_hw - g1.DEFAULT_POS_HW)


def body_joint_velocities(state: RobotState, last_action_pol: Array) -> Array:
    """Measured joint speeds.

    Formula: dq
    Shape: (29,)
    Frame: joint
    Unit: rad/s
    Order: policy order
    """
    return g1.to_policy_order(state.joint_vel_hw)


def last_actions(state: RobotState, last_action_pol: Array) -> Array:
    """What the network said in the tick before.

    Formula: clip(a[t - 1], +- action_clip); 0 at the start
    Shape: (29,)
    Frame: joint
    Unit: 1
    Order: policy order
    """
    return last_action_pol


def gravity_dir(state: RobotState, last_action_pol: Array) -> Array:
    """Direction of gravity.

    Formula: conj(base) rotates (0, 0, -1)
    Shape: (3,)
    Frame: pelvis
    Unit: 1
    Order: x y z

    Written out, it is minus the third row of the rotation matrix of base; (0, 0, -1) upright.
    """
    w, x, y, z = state.base_quat_wxyz.tolist()
    return np.array([2.0 * (w * y - x * z), -2.0 * (w * x + y * z), 2.0 * (x * x + y * y) - 1.0])
