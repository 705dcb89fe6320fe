"""The 24 joints of the SMPL body, and where the robot carries them.

Where a motion comes with SMPL joints of its own, those are used. Where it does not, each joint is read off the robot:
a point fixed to a link. The points were fitted to the 39 clips of the ASAP project (github.com/LeCAR-Lab/ASAP, MIT)
that pair SMPL joints with the same motion on the G1: the median of the joint in the frame of the link, left and right
averaged. What remains between a point and the paired joint is 8 to 40 mm on average.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.rotations import quat_rotate_inverse
from sonic_runtime.robots.kinematics import points_on_bodies

Array = npt.NDArray[np.floating]

# joint, link that carries it, point in the frame of the link [m]
_TABLE: tuple[tuple[str, str, tuple[float, float, float]], ...] = (
    ("pelvis", "pelvis", (0.0, 0.0, 0.0)),
    ("left_hip", "pelvis", (0.002, 0.060, -0.048)),
    ("right_hip", "pelvis", (0.002, -0.060, -0.048)),
    ("spine1", "pelvis", (-0.014, 0.0, 0.058)),
    ("left_knee", "left_knee_link", (-0.007, 0.0, 0.040)),
    ("right_knee", "right_knee_link", (-0.007, 0.0, 0.040)),
    ("spine2", "torso_link", (0.019, 0.0, 0.103)),
    ("left_ankle", "left_ankle_roll_link", (-0.007, 0.002, 0.022)),
    ("right_ankle", "right_ankle_roll_link", (-0.007, -0.002, 0.022)),
    ("spine3", "torso_link", (0.009, 0.0, 0.143)),
    ("left_foot", "left_ankle_roll_link", (0.089, 0.035, -0.027)),
    ("right_foot", "right_ankle_roll_link", (0.089, -0.035, -0.027)),
    ("neck", "torso_link", (-0.029, 0.0, 0.379)),
    ("left_collar", "torso_link", (0.0, 0.077, 0.259)),
    ("right_collar", "torso_link", (0.0, -0.077, 0.259)),
    ("head", "torso_link", (-0.005, 0.0, 0.453)),
    ("left_shoulder", "torso_link", (0.006, 0.179, 0.279)),
    ("right_shoulder", "torso_link", (0.006, -0.179, 0.279)),
    ("left_elbow", "left_elbow_link", (0.005, 0.012, -0.016)),
    ("right_elbow", "right_elbow_link", (0.005, -0.012, -0.016)),
    ("left_wrist", "left_wrist_pitch_link", (0.052, 0.0, 0.015)),
    ("right_wrist", "right_wrist_pitch_link", (0.052, 0.0, 0.015)),
    ("left_hand", "left_wrist_yaw_link", (0.064, 0.006, 0.021)),
    ("right_hand", "right_wrist_yaw_link", (0.064, -0.006, 0.021)),
)

SMPL_JOINT_NAMES: tuple[str, ...] = tuple(row[0] for row in _TABLE)
"""The joints in the order of the SMPL body model."""
SMPL_BODY_OF_JOINT: tuple[str, ...] = tuple(row[1] for row in _TABLE)
SMPL_OFFSETS_M: Array = np.array([row[2] for row in _TABLE])


def smpl_joints_of_robot(body_pos_w: Array, body_quat_wxyz: Array) -> Array:
    """Return the SMPL joints as the robot carries them.

    Args:
        body_pos_w: (T, 30, 3) links in the world [m], order of `g1.BODY_NAMES`.
        body_quat_wxyz: (T, 30, 4) unit.

    Returns:
        (T, 24, 3) [m], relative to the pelvis, in its frame (x forward, y left, z up).
    """
    joints_w = points_on_bodies(body_pos_w, body_quat_wxyz, SMPL_BODY_OF_JOINT, SMPL_OFFSETS_M)
    return smpl_joints_in_root(joints_w, body_quat_wxyz[:, 0])


def smpl_joints_in_root(joints_w: Array, root_quat_wxyz: Array) -> Array:
    """Express SMPL joints in the frame of their root.

    The published pickles of robot motions hold no orientation of the SMPL root; the pelvis orientation of the robot
    stands for it, which was fitted to that of the person.

    Args:
        joints_w: (T, 24, 3) joints in the world, z up [m].
        root_quat_wxyz: (T, 4) pelvis orientation of the robot, unit.

    Returns:
        (T, 24, 3) [m], relative to the SMPL pelvis, in the frame of the root.
    """
    relative_w = joints_w - joints_w[:, :1]
    return quat_rotate_inverse(np.broadcast_to(root_quat_wxyz[:, None], (*relative_w.shape[:2], 4)), relative_w)
