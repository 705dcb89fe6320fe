"""Observation terms of a human to follow: SMPL body, VR points, compliance; see `reference_terms.py` for the notation.

One pure function each; part of the act stage. SMPL joints are numbered as in SMPL: 0 pelvis, 1 2 hips, 4 5 knees,
7 8 ankles, 10 11 feet, 18 19 elbows, 20 21 wrists.
"""

from __future__ import annotations

import numpy as np

from sonic_runtime.contract.messages import Array, Goal, RobotState
from sonic_runtime.motions.vr_points import VR_POS_STANDING_B, VR_QUAT_STANDING_B_WXYZ
from sonic_runtime.observe.reference_terms import Frames, heading_of_reference, heading_of_robot, required
from sonic_runtime.observe.relative_rotation import relative_rot6d

VR_COMPLIANCE_DEFAULT = np.array([0.5, 0.5, 0.0])
"""(3,) [1] left wrist, right wrist, torso where the operator says nothing; the published runtime's default."""

_LEG_JOINTS = np.array([0, 1, 2, 4, 5, 7, 8, 10, 11])
_ARM_POSES = np.array([17, 18, 19, 20])
"""Elbows and wrists among the 21 poses, which begin at SMPL joint 1."""


def smpl_joints(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """SMPL joint positions.

    Formula: p_smpl[k], as received
    Shape: (K, 72)
    Frame: SMPL root of frame k
    Unit: m
    Order: 24 joints in SMPL order, x y z each

    Raises:
        ContractError: the reference has no SMPL joints.
    """
    return required(goal.reference.smpl_joints_b, "smpl_joints_b", goal)[frames].reshape(len(frames), 72)


def smpl_joints_lower(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """SMPL joint positions of pelvis and legs.

    Formula: p_smpl[k] of joints 0 1 2 4 5 7 8 10 11
    Shape: (K, 27)
    Frame: SMPL root of frame k
    Unit: m
    Order: pelvis, then left and right hip, knee, ankle, foot, x y z each

    Raises:
        ContractError: the reference has no SMPL joints.
    """
    joints_b = required(goal.reference.smpl_joints_b, "smpl_joints_b", goal)
    return joints_b[frames[:, None], _LEG_JOINTS].reshape(len(frames), 27)


def smpl_pose(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """SMPL joint rotations.

    Formula: rotation vectors of SMPL joints 1 to 21, as received
    Shape: (K, 63)
    Frame: parent joint
    Unit: rad
    Order: SMPL order, x y z each

    Raises:
        ContractError: the reference has no SMPL pose.
    """
    return required(goal.reference.smpl_pose_rad, "smpl_pose_rad", goal)[frames].reshape(len(frames), 63)


def smpl_elbow_wrist_poses(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """SMPL joint rotations of elbows and wrists.

    Formula: rotation vectors of SMPL joints 18 to 21, as received
    Shape: (K, 12)
    Frame: parent joint
    Unit: rad
    Order: left elbow, right elbow, left wrist, right wrist, x y z each

    Raises:
        ContractError: the reference has no SMPL pose.
    """
    pose = required(goal.reference.smpl_pose_rad, "smpl_pose_rad", goal)
    return pose[frames[:, None], _ARM_POSES].reshape(len(frames), 12)


def smpl_anchor_orientation(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """SMPL root orientation, seen from the pelvis of the robot.

    Formula: R6(conj(base) * heading * q_smpl[k])
    Shape: (K, 6)
    Frame: pelvis of the robot, its full orientation
    Unit: 1
    Order: R00 R01 R10 R11 R20 R21

    Raises:
        ContractError: the reference has no SMPL root.
    """
    return relative_rot6d(state.base_quat_wxyz, goal.heading_quat_wxyz, _smpl_roots(goal)[frames])


def smpl_anchor_orientation_heading(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """SMPL root orientation, seen from the heading of the robot.

    Formula: R6(conj(Rz(yaw(base))) * heading * q_smpl[k])
    Shape: (K, 6)
    Frame: heading of the robot
    Unit: 1
    Order: R00 R01 R10 R11 R20 R21

    Raises:
        ContractError: the reference has no SMPL root.
    """
    return relative_rot6d(heading_of_robot(state), goal.heading_quat_wxyz, _smpl_roots(goal)[frames])


def smpl_anchor_orientation_refheading(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """SMPL root orientation, seen from the heading of the SMPL root now.

    Formula: R6(conj(Rz(yaw(heading * q_smpl[now]))) * heading * q_smpl[k])
    Shape: (K, 6)
    Frame: heading of the SMPL root at the current frame, the same for all k
    Unit: 1
    Order: R00 R01 R10 R11 R20 R21

    Raises:
        ContractError: the reference has no SMPL root.
    """
    roots = _smpl_roots(goal)
    return relative_rot6d(heading_of_reference(goal, roots), goal.heading_quat_wxyz, roots[frames])


def vr_3point_positions(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Positions of the three points that a headset and two hand controllers steer.

    Formula: conj(q_root) rotates (p_point - p_root); `VR_POS_STANDING_B` where the reference has none
    Shape: (K, 9)
    Frame: root of the reference, frame k
    Unit: m
    Order: left wrist, right wrist, torso, x y z each
    """
    points_b = goal.reference.vr_pos_b
    return _per_frame(VR_POS_STANDING_B if points_b is None else points_b[frames], frames, 9)


def vr_3point_orientations(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Orientations of the same three points.

    Formula: conj(q_root) * q_point; `VR_QUAT_STANDING_B_WXYZ` where the reference has none
    Shape: (K, 12)
    Frame: root of the reference, frame k
    Unit: 1
    Order: left wrist, right wrist, torso, w x y z each
    """
    quats = goal.reference.vr_quat_b_wxyz
    return _per_frame(VR_QUAT_STANDING_B_WXYZ if quats is None else quats[frames], frames, 12)


def vr_5point_positions(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Positions of hands, pelvis and feet, without the offsets of the three points.

    Formula: conj(q_root) rotates (p_body - p_root)
    Shape: (K, 15)
    Frame: root of the reference, frame k
    Unit: m
    Order: left wrist, right wrist, pelvis, left ankle, right ankle, x y z each

    Raises:
        ContractError: the reference has none.
    """
    return required(goal.reference.vr5_pos_b, "vr5_pos_b", goal)[frames].reshape(len(frames), 15)


def vr_5point_orientations(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Orientations of hands, pelvis and feet.

    Formula: conj(q_root) * q_body
    Shape: (K, 20)
    Frame: root of the reference, frame k
    Unit: 1
    Order: left wrist, right wrist, pelvis, left ankle, right ankle, w x y z each

    Raises:
        ContractError: the reference has none.
    """
    return required(goal.reference.vr5_quat_b_wxyz, "vr5_quat_b_wxyz", goal)[frames].reshape(len(frames), 20)


def vr_3point_compliance(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """How far the three points may give way, as the operator set it.

    Formula: the goal's vr_compliance; `VR_COMPLIANCE_DEFAULT` where it says nothing
    Shape: (K, 3)
    Frame: none
    Unit: 1
    Order: left wrist, right wrist, torso; the same for all k
    """
    value = VR_COMPLIANCE_DEFAULT if goal.vr_compliance is None else goal.vr_compliance
    return np.broadcast_to(value, (len(frames), 3))


def _smpl_roots(goal: Goal) -> Array:
    return required(goal.reference.smpl_root_quat_wxyz, "smpl_root_quat_wxyz", goal)


def _per_frame(values: Array, frames: Frames, dim: int) -> Array:
    return np.broadcast_to(values.reshape(-1, dim), (len(frames), dim))
