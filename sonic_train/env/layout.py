"""Order and size of every observation vector of the trainer (SONIC release layout), in one place.

The runtime builds the same numbers from its own term names; a test holds the two together.
"""

from __future__ import annotations

FUTURE_FRAMES, FUTURE_STEP = 10, 5
"""Robot reference frames ahead: 0, 0.1 ... 0.9 s at 50 Hz."""
SMPL_FRAMES, SMPL_STEP = 10, 1
"""SMPL frames ahead: 0, 0.02 ... 0.18 s."""
HISTORY = 10
"""Samples of each proprioceptive term, oldest first."""
ACTION_DIM = 29
"""Joint targets of the G1, policy order."""

POLICY_TERMS: dict[str, int] = {
    "base_ang_vel": 3 * HISTORY,
    "joint_pos": 29 * HISTORY,
    "joint_vel": 29 * HISTORY,
    "actions": 29 * HISTORY,
    "gravity_dir": 3 * HISTORY,
}
TOKENIZER_TERMS: dict[str, int] = {
    "encoder_index": 3,
    "command_multi_future": 58 * FUTURE_FRAMES,
    "command_z_multi_future": FUTURE_FRAMES,
    "command_z": 1,
    "motion_anchor_ori_b": 6,
    "motion_anchor_ori_b_mf": 6 * FUTURE_FRAMES,
    "command_multi_future_lower_body": 24 * FUTURE_FRAMES,
    "vr_3point_local_target": 9,
    "vr_3point_local_orn_target": 12,
    "smpl_joints_multi_future_local": 72 * SMPL_FRAMES,
    "smpl_root_ori_b_multi_future": 6 * SMPL_FRAMES,
    "joint_pos_multi_future_wrist_for_smpl": 6 * SMPL_FRAMES,
}
CRITIC_TERMS: dict[str, int] = {
    "command_multi_future": 58 * FUTURE_FRAMES,
    "motion_anchor_pos_b": 3,
    "motion_anchor_ori_b": 6,
    "body_pos": 14 * 3,
    "body_ori": 14 * 6,
    "base_lin_vel": 3 * HISTORY,
    "base_ang_vel": 3 * HISTORY,
    "joint_pos": 29 * HISTORY,
    "joint_vel": 29 * HISTORY,
    "actions": 29 * HISTORY,
}
POLICY_DIM = sum(POLICY_TERMS.values())
TOKENIZER_DIM = sum(TOKENIZER_TERMS.values())
CRITIC_DIM = sum(CRITIC_TERMS.values())


def term_slice(terms: dict[str, int], name: str) -> slice:
    """Return where a term lies in the vector that `terms` describes.

    Raises:
        KeyError: if there is no such term; the message lists those that exist.
    """
    start = 0
    for term, dim in terms.items():
        if term == name:
            return slice(start, start + dim)
        start += dim
    raise KeyError(f"no observation term {name!r}; there are {', '.join(terms)}")
