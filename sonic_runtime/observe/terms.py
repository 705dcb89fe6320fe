"""Observation terms of the networks: one pure function each, from a state and a goal to an array.

Part of the act stage; no state, no allocation that grows. Names and formulas are those of the published SONIC
runtime: a base name here, with `_{N}frame_step{S}` behind it in a policy. Reference joint values are absolute (the
default pose is not subtracted); measured ones are relative to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.messages import Array, Goal, Reference, RobotState
from sonic_runtime.contract.rotations import quat_from_yaw, yaw_of_quat
from sonic_runtime.robots import g1

Frames = npt.NDArray[np.intp]


def _rot6d_of_products() -> Array:
    """Return (16, 6): R6 as a linear map of the products ww wx wy wz xw ... zz of a unit quaternion.

    The rotation matrix is quadratic in w x y z; for a unit quaternion 1 - 2 (yy + zz) = ww + xx - yy - zz.
    """
    w, x, y, z = range(4)
    entries = [
        {(w, w): 1, (x, x): 1, (y, y): -1, (z, z): -1},  # R00
        {(x, y): 2, (w, z): -2},  # R01
        {(x, y): 2, (w, z): 2},  # R10
        {(w, w): 1, (x, x): -1, (y, y): 1, (z, z): -1},  # R11
        {(x, z): 2, (w, y): -2},  # R20
        {(y, z): 2, (w, x): 2},  # R21
    ]
    matrix = np.zeros((16, 6))
    for column, products in enumerate(entries):
        for (i, j), factor in products.items():
            matrix[4 * i + j, column] = factor
    return matrix


_LOWER_BODY = g1.POL.index_of(g1.LOWER_BODY_NAMES)
_WRISTS = g1.POL.index_of(g1.WRIST_NAMES)

_ROT6D_OF_PRODUCTS = _rot6d_of_products()
VR_POS_STANDING_B = np.array([[0.0903, 0.1615, -0.2411], [0.1280, -0.1522, -0.2461], [0.0241, -0.0081, 0.4028]])
"""(3, 3) [m] left wrist, right wrist and torso points where nobody steers them; the published runtime's constants."""
VR_QUAT_STANDING_B_WXYZ = np.array(
    [[0.7295, 0.3145, 0.5533, -0.2506], [0.7320, -0.2639, 0.5395, 0.3217], [0.9991, 0.0110, 0.0402, -0.0002]]
)
"""(3, 4) their orientations, from the same place."""


def future_frames(reference: Reference, offsets: Frames) -> Frames:
    """Return the frames to look at: cursor + offsets (0, step, 2 step, ...), held at the last frame.

    While the reference is not playing, every index is the cursor.
    """
    if not reference.playing:
        return np.full(len(offsets), reference.cursor, dtype=np.intp)
    return np.minimum(offsets + reference.cursor, len(reference) - 1)


def joint_positions(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Reference joint angles: ref.joint_pos[k], (K, 29) [rad], policy order, absolute, frame after frame."""
    return goal.reference.joint_pos_pol[frames]


def joint_velocities(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Reference joint speeds: ref.joint_vel[k], (K, 29) [rad/s], policy order; zero while not playing."""
    return _velocities(goal.reference, frames)


def joint_positions_lowerbody(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Reference leg angles: (K, 12) [rad], the 12 leg joints in hardware order, absolute."""
    return goal.reference.joint_pos_pol[frames[:, None], _LOWER_BODY]


def joint_velocities_lowerbody(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Reference leg speeds: (K, 12) [rad/s], the 12 leg joints in hardware order; zero while not playing."""
    return _velocities(goal.reference, frames)[:, _LOWER_BODY]


def joint_positions_wrists(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Reference wrist angles: (K, 6) [rad], left and right roll, pitch, yaw (policy order), absolute."""
    return goal.reference.joint_pos_pol[frames[:, None], _WRISTS]


def root_z_position(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Zeros (K, 1): no published encoder requires the height of the root, and the trainer feeds zeros too."""
    return np.zeros((len(frames), 1))


def anchor_orientation(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Reference root seen from the robot: R6(conj(base) * heading * ref_root[k]), (K, 6).

    R6 is the first two matrix columns, row by row: R00 R01 R10 R11 R20 R21. `base` is the full pelvis orientation.
    """
    return _relative_rot6d(state.base_quat_wxyz, goal, goal.reference.root_quat_wxyz[frames])


def anchor_orientation_heading(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """As `anchor_orientation`, with the heading of the pelvis alone taken away: Rz(yaw(base)), (K, 6)."""
    base_yaw_wxyz = quat_from_yaw(yaw_of_quat(state.base_quat_wxyz))
    return _relative_rot6d(base_yaw_wxyz, goal, goal.reference.root_quat_wxyz[frames])


def smpl_anchor_orientation(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """SMPL root seen from the robot: R6(conj(base) * heading * smpl_root[k]), (K, 6), row by row."""
    return _relative_rot6d(state.base_quat_wxyz, goal, _smpl_root(goal)[frames])


def smpl_anchor_orientation_heading(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """As `smpl_anchor_orientation`, with the heading of the pelvis alone taken away, (K, 6)."""
    base_yaw_wxyz = quat_from_yaw(yaw_of_quat(state.base_quat_wxyz))
    return _relative_rot6d(base_yaw_wxyz, goal, _smpl_root(goal)[frames])


def smpl_joints(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """SMPL joints in the frame of the SMPL root, (K, 72) [m]: 24 joints x y z, in SMPL order.

    Raises:
        ContractError: the reference has no SMPL joints.
    """
    joints_b = goal.reference.smpl_joints_b
    if joints_b is None:
        raise _missing("smpl_joints_b", goal)
    return joints_b[frames].reshape(len(frames), 72)


def vr_positions(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Left wrist, right wrist, torso points in the reference root frame, (1, 9) [m], of the current frame.

    Where the reference has none, those of a person standing still (`VR_POS_STANDING_B`), as in the published runtime.
    """
    points_b = goal.reference.vr_pos_b
    return (VR_POS_STANDING_B if points_b is None else points_b[goal.reference.cursor]).reshape(1, 9)


def vr_orientations(state: RobotState, goal: Goal, frames: Frames) -> Array:
    """Orientations of the same three points in the reference root frame, (1, 12), wxyz, of the current frame."""
    quats = goal.reference.vr_quat_b_wxyz
    return (VR_QUAT_STANDING_B_WXYZ if quats is None else quats[goal.reference.cursor]).reshape(1, 12)


@dataclass(frozen=True, slots=True)
class ReferenceTerm:
    """A term of the encoder input: values for each frame, and the function that computes (K, dim) of them."""

    dim: int
    compute: Callable[[RobotState, Goal, Frames], Array]


REFERENCE_TERMS: dict[str, ReferenceTerm] = {
    "motion_joint_positions": ReferenceTerm(29, joint_positions),
    "motion_joint_velocities": ReferenceTerm(29, joint_velocities),
    "motion_joint_positions_lowerbody": ReferenceTerm(12, joint_positions_lowerbody),
    "motion_joint_velocities_lowerbody": ReferenceTerm(12, joint_velocities_lowerbody),
    "motion_joint_positions_wrists": ReferenceTerm(6, joint_positions_wrists),
    "motion_root_z_position": ReferenceTerm(1, root_z_position),
    "motion_anchor_orientation": ReferenceTerm(6, anchor_orientation),
    "motion_anchor_orientation_heading": ReferenceTerm(6, anchor_orientation_heading),
    "smpl_anchor_orientation": ReferenceTerm(6, smpl_anchor_orientation),
    "smpl_anchor_orientation_heading": ReferenceTerm(6, smpl_anchor_orientation_heading),
    "smpl_joints": ReferenceTerm(72, smpl_joints),
    "vr_3point_local_target": ReferenceTerm(9, vr_positions),
    "vr_3point_local_orn_target": ReferenceTerm(12, vr_orientations),
}
"""Every term of an encoder input that this runtime can compute, by base name (`encoder_mode_4` is set beside them)."""


def base_angular_velocity(state: RobotState, last_action_pol: Array) -> Array:
    """Pelvis gyro, (3,) [rad/s], body frame."""
    return state.base_ang_vel_b


def body_joint_positions(state: RobotState, last_action_pol: Array) -> Array:
    """Measured joint angles minus the default pose, (29,) [rad], policy order."""
    return g1.to_policy_order(state.joint_pos_hw - g1.DEFAULT_POS_HW)


def body_joint_velocities(state: RobotState, last_action_pol: Array) -> Array:
    """Measured joint speeds, (29,) [rad/s], policy order."""
    return g1.to_policy_order(state.joint_vel_hw)


def last_actions(state: RobotState, last_action_pol: Array) -> Array:
    """Clipped network output of the tick before, (29,), policy order; zero at the start."""
    return last_action_pol


def gravity_dir(state: RobotState, last_action_pol: Array) -> Array:
    """Direction of gravity in the body frame: conj(base) rotates (0, 0, -1), (3,); (0, 0, -1) upright.

    Written out, it is minus the third row of the rotation matrix of `base`.
    """
    w, x, y, z = state.base_quat_wxyz.tolist()
    return np.array([2.0 * (w * y - x * z), -2.0 * (w * x + y * z), 2.0 * (x * x + y * y) - 1.0])


@dataclass(frozen=True, slots=True)
class HistoryTerm:
    """A term of the decoder input: values per sample, the function that computes one (dim,), and the zero padding.

    `padding` stands in the empty slots of a history that is filled with zeros. For gravity it is (0, 0, +1): the
    published runtime rotates by an all-zero quaternion there, and a policy that was trained against it expects that.
    """

    dim: int
    compute: Callable[[RobotState, Array], Array]
    padding: tuple[float, ...] = (0.0,)


HISTORY_TERMS: dict[str, HistoryTerm] = {
    "his_base_angular_velocity": HistoryTerm(3, base_angular_velocity),
    "his_body_joint_positions": HistoryTerm(29, body_joint_positions),
    "his_body_joint_velocities": HistoryTerm(29, body_joint_velocities),
    "his_last_actions": HistoryTerm(29, last_actions),
    "his_gravity_dir": HistoryTerm(3, gravity_dir, padding=(0.0, 0.0, 1.0)),
}
"""Every term of a decoder input that this runtime can compute, by base name (`token_state` is set beside them)."""


def _velocities(reference: Reference, frames: Frames) -> Array:
    if not reference.playing:
        return np.zeros((len(frames), reference.joint_vel_pol.shape[1]))
    return reference.joint_vel_pol[frames]


def _smpl_root(goal: Goal) -> Array:
    quats = goal.reference.smpl_root_quat_wxyz
    if quats is None:
        raise _missing("smpl_root_quat_wxyz", goal)
    return quats


def _missing(field: str, goal: Goal) -> ContractError:
    return ContractError(
        f"encoder {goal.encoder!r}: expected a reference with {field}, but this one has none; "
        "stream it, or use the g1 encoder"
    )


def _relative_rot6d(base_wxyz: Array, goal: Goal, quats_wxyz: Array) -> Array:
    """Return R6(conj(base) * heading * q) of quaternions (K, 4), in three array operations."""
    # q -> a * q is linear in q: one 4 x 4 matrix for all frames
    aw, ax, ay, az = _conjugate_times(base_wxyz, goal.heading_quat_wxyz)
    left_t = np.array([[aw, ax, ay, az], [-ax, aw, az, -ay], [-ay, -az, aw, ax], [-az, ay, -ax, aw]])
    turned = quats_wxyz @ left_t
    return (turned[:, :, None] * turned[:, None, :]).reshape(-1, 16) @ _ROT6D_OF_PRODUCTS


def _conjugate_times(left_wxyz: Array, right_wxyz: Array) -> tuple[float, float, float, float]:
    """Return conj(left) * right as numbers; for one pair, plain arithmetic is faster than numpy."""
    w, x, y, z = left_wxyz.tolist()
    rw, rx, ry, rz = right_wxyz.tolist()
    return (
        w * rw + x * rx + y * ry + z * rz,
        w * rx - x * rw - y * rz + z * ry,
        w * ry + x * rz - y * rw - z * rx,
        w * rz - x * ry + y * rx - z * rw,
    )
