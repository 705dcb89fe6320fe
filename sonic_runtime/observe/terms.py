"""Every observation term by the base name it has in the published SONIC runtime.

A policy may use any of them with `_{N}frame_step{S}` behind its name: N frames of the reference from the current one
on, S frames apart; or the last N samples of what the robot felt, S ticks apart, oldest first. Without it, N is 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sonic_runtime.contract.layout import MODE_TERM, TOKEN_TERM
from sonic_runtime.contract.messages import Array, Goal, RobotState
from sonic_runtime.observe import human_terms as human
from sonic_runtime.observe import proprioception as felt
from sonic_runtime.observe import reference_terms as ref

Frames = ref.Frames
MODE_TERMS: dict[str, int] = {"encoder_mode": 3, MODE_TERM: 4}
"""The terms that select an encoder, and their sizes."""
TOKEN_TERMS: dict[str, int] = {TOKEN_TERM: 64}
"""The terms that carry what the encoder made, and their sizes."""


def encoder_mode(mode_id: int, size: int) -> Array:
    """What selects an encoder.

    Formula: mode_id, 0, 0 (, 0): the id itself and not a one-hot code
    Shape: (3,) as encoder_mode, (4,) as encoder_mode_4
    Frame: none
    Unit: 1
    Order: the id first; the zeros are carried but not read
    """
    mode = np.zeros(size)
    mode[0] = mode_id
    return mode


def token_state(token: Array) -> Array:
    """What the encoder made of its input in this tick.

    Formula: encoder output; multiples of 1/16 in [-1, 0.9375]
    Shape: (64,)
    Frame: none
    Unit: 1
    Order: as the encoder gives it
    """
    return token


@dataclass(frozen=True, slots=True)
class ReferenceTerm:
    """A term of the motion to follow: values for each frame, and the function that computes (K, dim) of them."""

    dim: int
    compute: Callable[[RobotState, Goal, Frames], Array]


REFERENCE_TERMS: dict[str, ReferenceTerm] = {
    "motion_joint_positions": ReferenceTerm(29, ref.joint_positions),
    "motion_joint_velocities": ReferenceTerm(29, ref.joint_velocities),
    "motion_joint_positions_lowerbody": ReferenceTerm(12, ref.joint_positions_lowerbody),
    "motion_joint_velocities_lowerbody": ReferenceTerm(12, ref.joint_velocities_lowerbody),
    "motion_joint_positions_wrists": ReferenceTerm(6, ref.joint_positions_wrists),
    "motion_joint_velocities_wrists": ReferenceTerm(6, ref.joint_velocities_wrists),
    "motion_root_z_position": ReferenceTerm(1, ref.root_z_position),
    "motion_anchor_orientation": ReferenceTerm(6, ref.anchor_orientation),
    "motion_anchor_orientation_heading": ReferenceTerm(6, ref.anchor_orientation_heading),
    "motion_anchor_orientation_refheading": ReferenceTerm(6, ref.anchor_orientation_refheading),
    "heading_diff_robot_ref": ReferenceTerm(6, ref.heading_diff_robot_ref),
    "smpl_joints": ReferenceTerm(72, human.smpl_joints),
    "smpl_joints_lower": ReferenceTerm(27, human.smpl_joints_lower),
    "smpl_pose": ReferenceTerm(63, human.smpl_pose),
    "smpl_elbow_wrist_poses": ReferenceTerm(12, human.smpl_elbow_wrist_poses),
    "smpl_root_z": ReferenceTerm(1, ref.root_z_position),
    "smpl_anchor_orientation": ReferenceTerm(6, human.smpl_anchor_orientation),
    "smpl_anchor_orientation_heading": ReferenceTerm(6, human.smpl_anchor_orientation_heading),
    "smpl_anchor_orientation_refheading": ReferenceTerm(6, human.smpl_anchor_orientation_refheading),
    "vr_3point_local_target": ReferenceTerm(9, human.vr_3point_positions),
    "vr_3point_local_target_compliant": ReferenceTerm(9, human.vr_3point_positions),
    "vr_3point_local_orn_target": ReferenceTerm(12, human.vr_3point_orientations),
    "vr_3point_compliance": ReferenceTerm(3, human.vr_3point_compliance),
    "vr_5point_local_target": ReferenceTerm(15, human.vr_5point_positions),
    "vr_5point_local_orn_target": ReferenceTerm(20, human.vr_5point_orientations),
}
"""Terms of the goal, for either input."""


@dataclass(frozen=True, slots=True)
class HistoryTerm:
    """A term of what the robot felt: values per sample, the function that computes one (dim,), and the zero padding.

    `padding` stands in the empty slots of a history that is filled with zeros.
    """

    dim: int
    compute: Callable[[RobotState, Array], Array]
    padding: tuple[float, ...] = felt.NO_PADDING


_FELT: dict[str, HistoryTerm] = {
    "base_angular_velocity": HistoryTerm(3, felt.base_angular_velocity),
    "body_joint_positions": HistoryTerm(29, felt.body_joint_positions),
    "body_joint_velocities": HistoryTerm(29, felt.body_joint_velocities),
    "last_actions": HistoryTerm(29, felt.last_actions),
    "gravity_dir": HistoryTerm(3, felt.gravity_dir, padding=felt.GRAVITY_PADDING),
}
HISTORY_TERMS: dict[str, HistoryTerm] = _FELT | {f"his_{name}": term for name, term in _FELT.items()}
"""Terms of the robot, for the decoder input, each under two names: alone, or `his_` with frames and step behind it."""
