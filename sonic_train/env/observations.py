"""The three observation vectors of the task: policy (930), tokenizer (1761) and critic (1645).

Pure functions of state, reference and noise; the histories live in `ObservationHistories`. Formulas: SONIC training
configuration (policy local_dir_hist, tokenizer unitoken_all_noz, critic privileged_mf_hist).
"""

from __future__ import annotations

import torch
from torch import Tensor

from sonic_runtime.robots import g1
from sonic_train.env.config import NoiseConfig
from sonic_train.env.history import History
from sonic_train.env.layout import HISTORY
from sonic_train.env.rotations import quat_conjugate, quat_multiply, quat_rotate_inverse, rot6d_from_quat
from sonic_train.env.state import ReferenceTensors, RobotTensors, device_index

_LOWER_BODY_POL = tuple(int(i) for i in g1.POL.index_of(g1.LOWER_BODY_NAMES))


class ObservationHistories:
    """Ten-sample histories of the proprioceptive terms, once with sensor noise (policy), once without (critic)."""

    def __init__(self, num_envs: int, device: str) -> None:
        dims = {"base_ang_vel": 3, "joint_pos": 29, "joint_vel": 29, "actions": 29, "gravity_dir": 3}
        self.policy = {name: History(num_envs, HISTORY, dim, device) for name, dim in dims.items()}
        dims = {"base_lin_vel": 3, "base_ang_vel": 3, "joint_pos": 29, "joint_vel": 29, "actions": 29}
        self.critic = {name: History(num_envs, HISTORY, dim, device) for name, dim in dims.items()}


def proprioception(state: RobotTensors, joint_offset_hw: Tensor, action_pol: Tensor, pol: Tensor) -> dict[str, Tensor]:
    """Return one noise-free sample of every proprioceptive term.

    Args:
        state: robot state.
        joint_offset_hw: (N, 29) [rad] default pose plus calibration error, hardware order.
        action_pol: (N, 29) clipped raw action that led to this state.
        pol: (29,) hardware index of each policy joint.

    Returns:
        base_lin_vel, base_ang_vel (N, 3) in the pelvis frame [m/s, rad/s]; joint_pos (N, 29) relative to the default,
        joint_vel (N, 29), actions (N, 29) in policy order; gravity_dir (N, 3), the world's down in the pelvis frame.
    """
    root_quat = state.body_quat_wxyz[:, 0]
    down = torch.zeros_like(root_quat[:, :3])
    down[:, 2] = -1.0
    return {
        "base_lin_vel": quat_rotate_inverse(root_quat, state.body_lin_vel_w[:, 0]),
        "base_ang_vel": quat_rotate_inverse(root_quat, state.body_ang_vel_w[:, 0]),
        "joint_pos": (state.joint_pos_hw - joint_offset_hw)[:, pol],
        "joint_vel": state.joint_vel_hw[:, pol],
        "actions": action_pol,
        "gravity_dir": quat_rotate_inverse(root_quat, down),
    }


def with_noise(sample: dict[str, Tensor], noise: NoiseConfig) -> dict[str, Tensor]:
    """Return the policy's terms with uniform sensor noise added; actions are exact."""
    width = {
        "base_ang_vel": noise.base_ang_vel,
        "joint_pos": noise.joint_pos,
        "joint_vel": noise.joint_vel,
        "actions": 0.0,
        "gravity_dir": noise.gravity,
    }
    return {name: _noisy(sample[name], half, noise.enabled) for name, half in width.items()}


def tokenizer_vector(state: RobotTensors, reference: ReferenceTensors, bits: Tensor, noise: NoiseConfig) -> Tensor:
    """Return what the encoders read, (N, 1761), in the order of `layout.TOKENIZER_TERMS`.

    Joint values are absolute. Orientations are R6(q_robot^-1 q_ref). The two root height terms are kept for the
    layout and are zero: no network of the ancestor uses them and a robot cannot know them.

    Args:
        state: robot state.
        reference: current and future reference.
        bits: (N, 3) float, encoders that read this row: g1, teleop, smpl.
        noise: widths of the uniform noise.
    """
    n = len(bits)
    root_inverse = quat_conjugate(state.body_quat_wxyz[:, 0])[:, None]
    anchor_ori = rot6d_from_quat(quat_multiply(root_inverse, reference.future_root_quat_wxyz))
    anchor_ori = _noisy(anchor_ori, noise.anchor_ori, noise.enabled)
    # A lone frame and the window are two terms with noise of their own.
    anchor_now = rot6d_from_quat(quat_multiply(root_inverse[:, 0], reference.future_root_quat_wxyz[:, 0]))
    anchor_now = _noisy(anchor_now, noise.anchor_ori, noise.enabled)
    smpl_ori = rot6d_from_quat(quat_multiply(root_inverse, reference.smpl_root_quat_wxyz))
    positions, velocities = reference.future_joint_pos_pol, reference.future_joint_vel_pol
    legs = device_index(_LOWER_BODY_POL, positions.device)
    return torch.cat(
        [
            bits,
            positions.flatten(1),
            velocities.flatten(1),
            positions.new_zeros(n, 11),
            anchor_now,
            anchor_ori.flatten(1),
            positions[..., legs].flatten(1),
            velocities[..., legs].flatten(1),
            reference.vr_pos_b,
            reference.vr_quat_b_wxyz,
            _noisy(reference.smpl_joints_b.flatten(1), noise.smpl_joints, noise.enabled),
            _noisy(smpl_ori.flatten(1), noise.anchor_ori, noise.enabled),
            reference.smpl_wrist_pos.flatten(1),
        ],
        dim=-1,
    )


def critic_vector(state: RobotTensors, reference: ReferenceTensors, histories: dict[str, Tensor]) -> Tensor:
    """Return the privileged observation, (N, 1645), in the order of `layout.CRITIC_TERMS`, without noise.

    Args:
        state: robot state.
        reference: current and future reference.
        histories: flattened histories (N, 10 * dim) of the critic's proprioceptive terms.
    """
    root_pos, root_quat = state.body_pos_w[:, :1], state.body_quat_wxyz[:, :1]
    root_inverse = quat_conjugate(root_quat)
    body_pos_b = quat_rotate_inverse(root_quat.expand_as(state.body_quat_wxyz), state.body_pos_w - root_pos)
    body_ori_b = rot6d_from_quat(quat_multiply(root_inverse, state.body_quat_wxyz))
    anchor_pos_b = quat_rotate_inverse(root_quat[:, 0], reference.body_pos_w[:, 0] - root_pos[:, 0])
    anchor_ori_b = rot6d_from_quat(quat_multiply(root_inverse[:, 0], reference.body_quat_wxyz[:, 0]))
    return torch.cat(
        [
            reference.future_joint_pos_pol.flatten(1),
            reference.future_joint_vel_pol.flatten(1),
            anchor_pos_b,
            anchor_ori_b,
            body_pos_b.flatten(1),
            body_ori_b.flatten(1),
            *(histories[k] for k in ("base_lin_vel", "base_ang_vel", "joint_pos", "joint_vel", "actions")),
        ],
        dim=-1,
    )


def _noisy(value: Tensor, half_width: float, enabled: bool) -> Tensor:
    if not enabled or half_width == 0.0:
        return value
    return value + half_width * (2.0 * torch.rand_like(value) - 1.0)
