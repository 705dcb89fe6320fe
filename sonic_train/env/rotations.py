"""Quaternion algebra on torch tensors; wxyz, any leading shape. The torch twin of sonic_runtime.contract.rotations.

A test holds the two against each other. Everything here is elementwise, so that it can be fused and captured.
"""

from __future__ import annotations

import torch
from torch import Tensor


def quat_wxyz_from_xyzw(quat_xyzw: Tensor) -> Tensor:
    """Move the scalar part of quaternions (..., 4) from last to first."""
    return torch.cat([quat_xyzw[..., 3:4], quat_xyzw[..., :3]], dim=-1)


def quat_xyzw_from_wxyz(quat_wxyz: Tensor) -> Tensor:
    """Move the scalar part of quaternions (..., 4) from first to last."""
    return torch.cat([quat_wxyz[..., 1:], quat_wxyz[..., :1]], dim=-1)


def quat_conjugate(quat_wxyz: Tensor) -> Tensor:
    """Return conjugates (..., 4): the inverse of unit quaternions."""
    return torch.cat([quat_wxyz[..., :1], -quat_wxyz[..., 1:]], dim=-1)


def quat_multiply(left_wxyz: Tensor, right_wxyz: Tensor) -> Tensor:
    """Return Hamilton products (..., 4): rotate by `right`, then by `left`."""
    w1, x1, y1, z1 = left_wxyz.unbind(-1)
    w2, x2, y2, z2 = right_wxyz.unbind(-1)
    return torch.stack(
        [
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
        ],
        dim=-1,
    )


def quat_rotate(quat_wxyz: Tensor, vector: Tensor) -> Tensor:
    """Rotate vectors (..., 3) by unit quaternions (..., 4)."""
    w, axis = quat_wxyz[..., :1], quat_wxyz[..., 1:].expand_as(vector)
    t = 2.0 * torch.linalg.cross(axis, vector)
    return vector + w * t + torch.linalg.cross(axis, t)


def quat_rotate_inverse(quat_wxyz: Tensor, vector: Tensor) -> Tensor:
    """Rotate vectors (..., 3) by the inverse of unit quaternions (..., 4): world to body frame."""
    return quat_rotate(quat_conjugate(quat_wxyz), vector)


def quat_from_rpy(rpy_rad: Tensor) -> Tensor:
    """Return rotations (..., 4) of roll, pitch, yaw angles (..., 3) [rad] about fixed x, then y, then z."""
    half = rpy_rad / 2.0
    cr, cp, cy = half.cos().unbind(-1)
    sr, sp, sy = half.sin().unbind(-1)
    return torch.stack(
        [
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        ],
        dim=-1,
    )


def heading_quat(quat_wxyz: Tensor) -> Tensor:
    """Return the twist about z (..., 4) of orientations (..., 4): x and y parts zeroed, then normalised.

    This is the heading the ancestor trains with; it equals the direction of the x axis for an upright robot.
    """
    w, z = quat_wxyz[..., 0], quat_wxyz[..., 3]
    zero = torch.zeros_like(w)
    norm = torch.sqrt(w * w + z * z).clamp_min(1e-9)
    return torch.stack([w / norm, zero, zero, z / norm], dim=-1)


def rot6d_from_quat(quat_wxyz: Tensor) -> Tensor:
    """Return the first two matrix columns row by row, R00 R01 R10 R11 R20 R21: (..., 6)."""
    w, x, y, z = quat_wxyz.unbind(-1)
    return torch.stack(
        [
            1 - 2 * (y * y + z * z),
            2 * (x * y - w * z),
            2 * (x * y + w * z),
            1 - 2 * (x * x + z * z),
            2 * (x * z - w * y),
            2 * (y * z + w * x),
        ],
        dim=-1,
    )


def quat_angle(left_wxyz: Tensor, right_wxyz: Tensor) -> Tensor:
    """Return geodesic angles (...) [rad] in [0, pi] between unit quaternions (..., 4)."""
    delta = quat_multiply(quat_conjugate(left_wxyz), right_wxyz)
    return 2.0 * torch.atan2(delta[..., 1:].norm(dim=-1), delta[..., 0].abs())
