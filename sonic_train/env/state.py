"""What the simulator hands to the terms, and what the motion library hands to them: plain tensors."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class RobotTensors:
    """State of every robot after a control step. N environments; all float32.

    Attributes:
        joint_pos_hw: (N, 29) [rad], hardware order.
        joint_vel_hw: (N, 29) [rad/s].
        body_pos_w: (N, 14, 3) [m], tracked bodies, pelvis first, relative to the environment's origin.
        body_quat_wxyz: (N, 14, 4).
        body_lin_vel_w: (N, 14, 3) [m/s], velocity of the link frames.
        body_ang_vel_w: (N, 14, 3) [rad/s], world frame.
        contact_force_w: (N, 30, 3) [N], net contact force on every body, model order.
    """

    joint_pos_hw: Tensor
    joint_vel_hw: Tensor
    body_pos_w: Tensor
    body_quat_wxyz: Tensor
    body_lin_vel_w: Tensor
    body_ang_vel_w: Tensor
    contact_force_w: Tensor


@dataclass(frozen=True, slots=True)
class ReferenceTensors:
    """The reference at the frame to track now, and the future the encoders look at.

    Attributes:
        joint_pos_hw, joint_vel_hw: (N, 29) at the current frame.
        body_pos_w, body_quat_wxyz, body_lin_vel_w, body_ang_vel_w: (N, 14, .) at the current frame, clip world.
        vr_pos_b: (N, 9) [m] left wrist, right wrist, torso points in the reference root frame, current frame.
        vr_quat_b_wxyz: (N, 12) their orientations, w >= 0.
        future_joint_pos_pol: (N, 10, 29) [rad] at frames 0, 5, ... 45 ahead, policy order.
        future_joint_vel_pol: (N, 10, 29) [rad/s].
        future_root_quat_wxyz: (N, 10, 4).
        smpl_joints_b: (N, 10, 24, 3) [m] at frames 0 ... 9 ahead, in the SMPL root frame.
        smpl_root_quat_wxyz: (N, 10, 4).
        smpl_wrist_pos: (N, 10, 6) [rad] robot wrist joints at the SMPL frames, policy order.
    """

    joint_pos_hw: Tensor
    joint_vel_hw: Tensor
    body_pos_w: Tensor
    body_quat_wxyz: Tensor
    body_lin_vel_w: Tensor
    body_ang_vel_w: Tensor
    vr_pos_b: Tensor
    vr_quat_b_wxyz: Tensor
    future_joint_pos_pol: Tensor
    future_joint_vel_pol: Tensor
    future_root_quat_wxyz: Tensor
    smpl_joints_b: Tensor
    smpl_root_quat_wxyz: Tensor
    smpl_wrist_pos: Tensor


@functools.cache
def device_index(indices: tuple[int, ...], device: torch.device) -> Tensor:
    """Return constant indices as an int64 tensor on a device, made once: a list would be copied there at every use."""
    return torch.tensor(indices, device=device)
