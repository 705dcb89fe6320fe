"""The published SONIC input layouts ("release"): terms, their order and sizes, and the encoders that read them.

Names, order and sizes are those of the observation YAML of NVlabs/GR00T-WholeBodyControl, policy/release.
"""

from __future__ import annotations

import re

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.manifest import EncoderSpec, TermSpec

ENCODER_INPUT = "obs_dict"
ENCODER_OUTPUT = "encoded_tokens"
DECODER_INPUT = "obs_dict"
DECODER_OUTPUT = "action"
MODE_TERM = "encoder_mode_4"
TOKEN_TERM = "token_state"

_FRAMES = re.compile(r"(?P<base>.+)_(?P<frames>\d+)frame_step(?P<step>\d+)")


def parse_term_name(name: str) -> tuple[str, int, int]:
    """Split a deploy name into base name, number of frames, and step between them.

    `motion_joint_positions_10frame_step5` gives ("motion_joint_positions", 10, 5); a name without frames gives
    itself, 1 and 1.

    Raises:
        ContractError: zero frames or a zero step.
    """
    match = _FRAMES.fullmatch(name)
    if match is None:
        return name, 1, 1
    frames, step = int(match["frames"]), int(match["step"])
    if frames < 1 or step < 1:
        raise ContractError(f"observation term {name!r}: expected at least one frame and a step of at least one")
    return match["base"], frames, step


def term(name: str, dim: int) -> TermSpec:
    """Return the specification of a term with `dim` values in all."""
    _, frames, step = parse_term_name(name)
    return TermSpec(name=name, frames=frames, step=step, dim=dim)


RELEASE_ENCODER_INPUTS: tuple[TermSpec, ...] = (
    term(MODE_TERM, 4),
    term("motion_joint_positions_10frame_step5", 290),
    term("motion_joint_velocities_10frame_step5", 290),
    term("motion_root_z_position_10frame_step5", 10),
    term("motion_root_z_position", 1),
    term("motion_anchor_orientation", 6),
    term("motion_anchor_orientation_10frame_step5", 60),
    term("motion_joint_positions_lowerbody_10frame_step5", 120),
    term("motion_joint_velocities_lowerbody_10frame_step5", 120),
    term("vr_3point_local_target", 9),
    term("vr_3point_local_orn_target", 12),
    term("smpl_joints_10frame_step1", 720),
    term("smpl_anchor_orientation_10frame_step1", 60),
    term("motion_joint_positions_wrists_10frame_step1", 60),
)  # 1762 values

RELEASE_ENCODERS: tuple[EncoderSpec, ...] = (
    EncoderSpec(
        name="g1",
        mode_id=0,
        required_terms=(
            MODE_TERM,
            "motion_joint_positions_10frame_step5",
            "motion_joint_velocities_10frame_step5",
            "motion_anchor_orientation_10frame_step5",
        ),
    ),
    EncoderSpec(
        name="teleop",
        mode_id=1,
        required_terms=(
            MODE_TERM,
            "motion_joint_positions_lowerbody_10frame_step5",
            "motion_joint_velocities_lowerbody_10frame_step5",
            "vr_3point_local_target",
            "vr_3point_local_orn_target",
            "motion_anchor_orientation",
        ),
    ),
    EncoderSpec(
        name="smpl",
        mode_id=2,
        required_terms=(
            MODE_TERM,
            "smpl_joints_10frame_step1",
            "smpl_anchor_orientation_10frame_step1",
            "motion_joint_positions_wrists_10frame_step1",
        ),
    ),
)

RELEASE_DECODER_INPUTS: tuple[TermSpec, ...] = (
    term(TOKEN_TERM, 64),
    term("his_base_angular_velocity_10frame_step1", 30),
    term("his_body_joint_positions_10frame_step1", 290),
    term("his_body_joint_velocities_10frame_step1", 290),
    term("his_last_actions_10frame_step1", 290),
    term("his_gravity_dir_10frame_step1", 30),
)  # 994 values
