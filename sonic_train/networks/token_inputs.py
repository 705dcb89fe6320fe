"""Where each encoder's inputs lie in the flat tokenizer observation."""

from __future__ import annotations

import torch
from torch import Tensor

from sonic_train.env.layout import FUTURE_FRAMES, SMPL_FRAMES, TOKENIZER_TERMS, term_slice

ENCODER_NAMES = ("g1", "teleop", "smpl")
"""In the order of the encoder bits and of the mode numbers 0, 1, 2; the last set bit wins control."""

ENCODER_DIMS = {"g1": 640, "teleop": 267, "smpl": 840}

COMMAND_DIM = 58
"""Per row of the g1 input: 29 positions and 29 velocities in number, see `g1_input`."""


def _term(tokenizer: Tensor, name: str) -> Tensor:
    return tokenizer[:, term_slice(TOKENIZER_TERMS, name)]


def _frames(tokenizer: Tensor, name: str, frames: int) -> Tensor:
    return _term(tokenizer, name).unflatten(1, (frames, -1))


def g1_input(tokenizer: Tensor) -> Tensor:
    """Return the input of the g1 encoder, (B, 640): ten rows of [command 58 | anchor orientation 6].

    The command is stored as [positions 10x29 | velocities 10x29] and cut into ten rows of 58 as it stands, which is
    the layout of the released weights: rows 0-4 hold the positions of frames 2k and 2k+1, rows 5-9 the velocities,
    while the orientation beside row k is that of frame k.
    """
    names = ("command_multi_future", "motion_anchor_ori_b_mf")
    return torch.cat([_frames(tokenizer, name, FUTURE_FRAMES) for name in names], dim=-1).flatten(1)


def teleop_input(tokenizer: Tensor) -> Tensor:
    """Return the input of the teleop encoder, (B, 267): [lower body 240 | points 9 | their quaternions 12 | ori 6]."""
    names = (
        "command_multi_future_lower_body",
        "vr_3point_local_target",
        "vr_3point_local_orn_target",
        "motion_anchor_ori_b",
    )
    return torch.cat([_term(tokenizer, name) for name in names], dim=-1)


def smpl_input(tokenizer: Tensor) -> Tensor:
    """Return the input of the smpl encoder, (B, 840): ten rows of [joints 72 | root orientation 6 | wrists 6]."""
    names = (
        "smpl_joints_multi_future_local",
        "smpl_root_ori_b_multi_future",
        "joint_pos_multi_future_wrist_for_smpl",
    )
    return torch.cat([_frames(tokenizer, name, SMPL_FRAMES) for name in names], dim=-1).flatten(1)


def encoder_inputs(tokenizer: Tensor) -> dict[str, Tensor]:
    """Return the inputs of all encoders for a tokenizer observation (B, 1761), by encoder name."""
    return {"g1": g1_input(tokenizer), "teleop": teleop_input(tokenizer), "smpl": smpl_input(tokenizer)}


def encoder_bits(tokenizer: Tensor) -> Tensor:
    """Return which encoders a row asks for: (B, 3) bool in the order of ENCODER_NAMES, from raw observations."""
    return _term(tokenizer, "encoder_index") > 0.5
