"""Observation terms of the robot motion to track: one pure function each, of state, goal and K frames of the reference.

Part of the act stage; no state, no allocation that grows. Formulas are those of the published SONIC runtime. k is one
of the frames looked at, base the measured pelvis orientation, heading the goal's turn of the reference, R6 the first
two columns of a rotation matrix, row by row: R00 R01 R10 R11 R20 R21. yaw(q) is the direction of the x axis of q in
the ground plane. Values come frame after frame.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.messages import Array, Goal, Reference, RobotState
from sonic_runtime.contract.rotations import quat_from_yaw, quat_multiply, yaw_of_quat
from sonic_runtime.observe.relative_rotation import relative_rot6d, rot6d_of_yaw
from sonic_runtime.robots import g1

Frames = npt.NDArray[np.intp]

_LOWER_BODY = g1.POL.index_of(g1.LOWER_BODY_NAMES)
_WRISTS = g1.POL.index_of(g1.WRIST_NAMES)
_UPPER_BODY = g1.POL.index_of(g1.UPPER_BODY_NAMES)


def future_frames(reference: Reference, offsets: Frames) -> Frames:
    """Return the frames to look at: cursor + offsets (0, step, 2 step, ...), held at the last frame.

    While the reference is not playing, every index is the cursor.
    """
    if not reference.playing:
        return np.full(len(offsets), reference.cursor, dtype=np.intp)
    return np.minimum(offsets + reference.cursor, len(reference) - 1)


def joint_positions(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Reference joint angles.

    Formula: q_ref[k], absolute: the default pose is not subtracted; above the legs the goal's override where it has one
    Shape: (K, 29)
    Frame: joint
    Unit: rad
    Order: policy order
    """
    positions = goal.reference.joint_pos_pol[frames]
    if goal.upper_body_pos_pol is not None:
        # indexing with an array has made a copy
        positions[:, _UPPER_BODY] = goal.upper_body_pos_pol
    return positions


def joint_velocities(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Reference joint speeds.

    Formula: dq_ref[k]; above the legs the goal's override where it has one; 0 while the reference is not playing
    Shape: (K, 29)
    Frame: joint
    Unit: rad/s
    Order: policy order
    """
    velocities = _velocities(goal.reference, frames)
    if goal.upper_body_pos_pol is not None and goal.reference.playing:
        velocities[:, _UPPER_BODY] = 0.0 if goal.upper_body_vel_pol is None else goal.upper_body_vel_pol
    return velocities


def joint_positions_lowerbody(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Reference leg angles.

    Formula: q_ref[k] of the legs, absolute
    Shape: (K, 12)
    Frame: joint
    Unit: rad
    Order: the 12 leg joints in hardware order
    """
    return goal.reference.joint_pos_pol[frames[:, None], _LOWER_BODY]


def joint_velocities_lowerbody(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Reference leg speeds.

    Formula: dq_ref[k] of the legs; 0 while the reference is not playing
    Shape: (K, 12)
    Frame: joint
    Unit: rad/s
    Order: the 12 leg joints in hardware order
    """
    return _velocities(goal.reference, frames)[:, _LOWER_BODY]


def joint_positions_wrists(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Reference wrist angles.

    Formula: q_ref[k] of the wrists, absolute
    Shape: (K, 6)
    Frame: joint
    Unit: rad
    Order: left and right roll, left and right pitch, left and right yaw (policy order)
    """
    return goal.reference.joint_pos_pol[frames[:, None], _WRISTS]


def joint_velocities_wrists(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Reference wrist speeds.

    Formula: dq_ref[k] of the wrists; 0 while the reference is not playing
    Shape: (K, 6)
    Frame: joint
    Unit: rad/s
    Order: left and right roll, left and right pitch, left and right yaw (policy order)
    """
    return _velocities(goal.reference, frames)[:, _WRISTS]


def root_z_position(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Reference height of the pelvis.

    Formula: p_root_ref[k].z
    Shape: (K, 1)
    Frame: world of the reference
    Unit: m
    Order: frame after frame

    No encoder of a published configuration lists this term among those it reads, so that it stays 0 there, as it does
    in training.

    Raises:
        ContractError: the reference has no root position.
    """
    return required(goal.reference.root_pos_w, "root_pos_w", goal)[frames, 2:3]


def anchor_orientation(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Reference pelvis orientation, seen from the pelvis of the robot.

    Formula: R6(conj(base) * heading * q_root_ref[k])
    Shape: (K, 6)
    Frame: pelvis of the robot, its full orientation
    Unit: 1
    Order: R00 R01 R10 R11 R20 R21
    """
    return relative_rot6d(state.base_quat_wxyz, goal.heading_quat_wxyz, goal.reference.root_quat_wxyz[frames])


def anchor_orientation_heading(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Reference pelvis orientation, seen from the heading of the robot.

    Formula: R6(conj(Rz(yaw(base))) * heading * q_root_ref[k])
    Shape: (K, 6)
    Frame: heading of the robot
    Unit: 1
    Order: R00 R01 R10 R11 R20 R21
    """
    return relative_rot6d(heading_of_robot(state), goal.heading_quat_wxyz, goal.reference.root_quat_wxyz[frames])


def anchor_orientation_refheading(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Reference pelvis orientation, seen from the heading of the reference now.

    Formula: R6(conj(Rz(yaw(heading * q_root_ref[now]))) * heading * q_root_ref[k])
    Shape: (K, 6)
    Frame: heading of the reference at the current frame, the same for all k
    Unit: 1
    Order: R00 R01 R10 R11 R20 R21
    """
    roots = goal.reference.root_quat_wxyz
    return relative_rot6d(heading_of_reference(goal, roots), goal.heading_quat_wxyz, roots[frames])


def heading_diff_robot_ref(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Heading of the reference now, seen from the heading of the robot.

    Formula: R6(conj(Rz(yaw(base))) * Rz(yaw(heading * q_root_ref[now])))
    Shape: (K, 6)
    Frame: heading of the robot
    Unit: 1
    Order: R00 R01 R10 R11 R20 R21; the same for all k
    """
    now = goal.reference.root_quat_wxyz[goal.reference.cursor]
    yaw = yaw_of_quat(quat_multiply(goal.heading_quat_wxyz, now)) - yaw_of_quat(state.base_quat_wxyz)
    return np.broadcast_to(rot6d_of_yaw(yaw), (len(frames), 6))


def heading_of_robot(state: RobotState) -> Array:
    """Return Rz(yaw(base)), (4,) wxyz."""
    return quat_from_yaw(yaw_of_quat(state.base_quat_wxyz))


def heading_of_reference(goal: Goal, roots_wxyz: Array) -> Array:
    """Return Rz(yaw(heading * root[now])), (4,) wxyz, of roots (T, 4) of the goal's reference."""
    now = roots_wxyz[goal.reference.cursor]
    return quat_from_yaw(yaw_of_quat(quat_multiply(goal.heading_quat_wxyz, now)))


def required(track: Array | None, field: str, goal: Goal) -> Array:
    """Return an optional track of the reference.

    Raises:
        ContractError: this reference does not have it.
    """
    if track is None:
        raise ContractError(
            f"encoder {goal.encoder!r}: expected a reference with {field}, but this one has none; "
            "stream it, or use the g1 encoder"
        )
    return track


def _velocities(reference: Reference, frames: Frames) -> Array:
    if not reference.playing:
        return np.zeros((len(frames), reference.joint_vel_pol.shape[1]))
    return reference.joint_vel_pol[frames]
