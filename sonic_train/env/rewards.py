"""Reward terms. Kernel form exp(-mean squared error / sigma^2); weights and scale by time are applied in one place.

Source of forms and widths: SONIC training configuration, rewards base_5point_local_feet_acc. Our own is anchor_lin_vel:
the velocity of all bodies with its width of 1 m/s hardly notices 0.1 m/s of drift, which is a metre in ten seconds.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sonic_runtime.robots import g1
from sonic_train.env.config import RewardConfig
from sonic_train.env.rotations import (
    heading_quat,
    quat_angle,
    quat_conjugate,
    quat_multiply,
    quat_rotate,
    quat_rotate_inverse,
)
from sonic_train.env.state import ReferenceTensors, RobotTensors, device_index

_BODY = {name: i for i, name in enumerate(g1.TRACKED_BODY_NAMES)}
_VR_BODIES = (_BODY["torso_link"], _BODY["left_wrist_yaw_link"], _BODY["right_wrist_yaw_link"])
_WRISTS = _VR_BODIES[1:]
_HEAD_OFFSET_M = 0.5
"""The torso's reward point lies this far above the torso frame."""
_ANKLES = tuple(i for i, name in enumerate(g1.JOINT_NAMES_HW) if "ankle" in name)
_MAY_TOUCH = ("ankle_roll", "wrist_yaw", "elbow")
_NO_TOUCH = tuple(i for i, name in enumerate(g1.BODY_NAMES) if not any(part in name for part in _MAY_TOUCH))
_SOFT_FACTOR = 0.9
"""Soft joint limits: this part of the range about its middle (Isaac Lab's soft_joint_pos_limit_factor)."""


def soft_limits(device: str) -> tuple[Tensor, Tensor]:
    """Return lower and upper soft joint limits (29,) [rad], hardware order."""
    limits = torch.tensor(g1.JOINT_RANGE_HW, dtype=torch.float32, device=device)
    middle, half = limits.mean(dim=1), 0.5 * _SOFT_FACTOR * (limits[:, 1] - limits[:, 0])
    return middle - half, middle + half


def relative_reference(state: RobotTensors, reference: ReferenceTensors) -> tuple[Tensor, Tensor]:
    """Move the reference under the robot: its own height, the robot's place and heading.

    Returns:
        positions (N, 14, 3) [m] and orientations (N, 14, 4) of the reference bodies: anchor xy of the robot, anchor z
        of the reference, and the heading of q_robot q_ref^-1.
    """
    turn = heading_quat(quat_multiply(state.body_quat_wxyz[:, 0], quat_conjugate(reference.body_quat_wxyz[:, 0])))
    turn = turn[:, None].expand_as(reference.body_quat_wxyz)
    anchor = torch.cat([state.body_pos_w[:, 0, :2], reference.body_pos_w[:, 0, 2:]], dim=-1)
    offset = reference.body_pos_w - reference.body_pos_w[:, :1]
    return anchor[:, None] + quat_rotate(turn, offset), quat_multiply(turn, reference.body_quat_wxyz)


def reward_terms(
    state: RobotTensors,
    reference: ReferenceTensors,
    relative: tuple[Tensor, Tensor],
    action_pol: Tensor,
    last_action_pol: Tensor,
    joint_acc_hw: Tensor,
    limits: tuple[Tensor, Tensor],
) -> dict[str, Tensor]:
    """Return every unweighted term, (N,) each, under the names of `RewardConfig`.

    Args:
        state: robot after the step.
        reference: reference at the same instant.
        relative: result of `relative_reference`.
        action_pol: (N, 29) clipped raw action of this step.
        last_action_pol: (N, 29) the one before.
        joint_acc_hw: (N, 29) [rad/s^2], mean over the step.
        limits: soft joint limits.
    """
    pos, quat = state.body_pos_w, state.body_quat_wxyz
    over = (limits[0] - state.joint_pos_hw).clamp_min(0.0) + (state.joint_pos_hw - limits[1]).clamp_min(0.0)
    device = pos.device
    wrist_rate = state.body_ang_vel_w[:, device_index(_WRISTS, device)].norm(dim=-1)
    vr_error = _vr_points_b(pos, quat) - _vr_points_b(reference.body_pos_w, reference.body_quat_wxyz)
    return {
        "anchor_pos": _kernel((pos[:, 0] - reference.body_pos_w[:, 0]).square().sum(-1), 0.3),
        "anchor_ori": _kernel(quat_angle(quat[:, 0], reference.body_quat_wxyz[:, 0]).square(), 0.4),
        "anchor_lin_vel": _kernel((state.body_lin_vel_w - reference.body_lin_vel_w)[:, 0, :2].square().sum(-1), 0.25),
        "relative_body_pos": _kernel((pos - relative[0]).square().sum(-1).mean(-1), 0.3),
        "relative_body_ori": _kernel(quat_angle(quat, relative[1]).square().mean(-1), 0.4),
        "body_lin_vel": _kernel((state.body_lin_vel_w - reference.body_lin_vel_w).square().sum(-1).mean(-1), 1.0),
        "body_ang_vel": _kernel((state.body_ang_vel_w - reference.body_ang_vel_w).square().sum(-1).mean(-1), 3.14),
        "vr_points": _kernel(vr_error.square().sum(-1).mean(-1), 0.1),
        "action_rate": (action_pol - last_action_pol).square().sum(-1),
        "joint_limit": over.sum(-1),
        "undesired_contacts": (state.contact_force_w[:, device_index(_NO_TOUCH, device)].norm(dim=-1) > 1.0)
        .float()
        .sum(-1),
        "anti_shake": (wrist_rate - 1.5).clamp_min(0.0).square().mean(-1),
        "feet_acc": joint_acc_hw[:, device_index(_ANKLES, device)].square().sum(-1),
    }


def total_reward(terms: dict[str, Tensor], config: RewardConfig, step_s: float) -> Tensor:
    """Return the weighted sum (N,) over the control period."""
    return step_s * torch.stack([getattr(config, name) * term for name, term in terms.items()]).sum(0)


def _kernel(squared_error: Tensor, sigma: float) -> Tensor:
    return torch.exp(-squared_error / sigma**2)


def _vr_points_b(body_pos_w: Tensor, body_quat_wxyz: Tensor) -> Tensor:
    """Return torso and wrist reward points (N, 3, 3) [m] in the pelvis frame."""
    bodies = device_index(_VR_BODIES, body_pos_w.device)
    points = body_pos_w[:, bodies]
    up = torch.zeros_like(points)
    up[:, 0, 2] = _HEAD_OFFSET_M
    points = points + quat_rotate(body_quat_wxyz[:, bodies], up)
    root_quat = body_quat_wxyz[:, :1].expand(-1, 3, -1)
    return quat_rotate_inverse(root_quat, points - body_pos_w[:, :1])
