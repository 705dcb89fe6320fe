"""Quaternion algebra on numpy arrays; wxyz everywhere, scalar first.

Every function works on any leading shape; arrays are float64 unless the caller passes float32. Formulas:
Hamilton product and the rotation v' = q v q*, see Sola, "Quaternion kinematics for the error-state Kalman
filter" (arXiv 1711.02508), sections 1-2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]


def quat_wxyz_from_xyzw(quat_xyzw: Array) -> Array:
    """Move the scalar part of a quaternion (..., 4) from last to first."""
    return np.concatenate([quat_xyzw[..., 3:4], quat_xyzw[..., :3]], axis=-1)


def quat_normalize(quat_wxyz: Array) -> Array:
    """Scale quaternions (..., 4) to unit norm; the caller guarantees a norm above zero."""
    return quat_wxyz / np.linalg.norm(quat_wxyz, axis=-1, keepdims=True)


def quat_conjugate(quat_wxyz: Array) -> Array:
    """Return the conjugate (..., 4), which is the inverse of a unit quaternion."""
    return quat_wxyz * np.array([1.0, -1.0, -1.0, -1.0], dtype=quat_wxyz.dtype)


def quat_multiply(left_wxyz: Array, right_wxyz: Array) -> Array:
    """Return the Hamilton product left * right, (..., 4): first rotate by `right`, then by `left`."""
    w1, x1, y1, z1 = np.moveaxis(left_wxyz, -1, 0)
    w2, x2, y2, z2 = np.moveaxis(right_wxyz, -1, 0)
    return np.stack(
        [
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
        ],
        axis=-1,
    )


def quat_rotate(quat_wxyz: Array, vector: Array) -> Array:
    """Rotate vectors (..., 3) by unit quaternions (..., 4)."""
    w, axis = quat_wxyz[..., :1], quat_wxyz[..., 1:]
    t = 2.0 * np.cross(axis, vector)
    return vector + w * t + np.cross(axis, t)


def quat_rotate_inverse(quat_wxyz: Array, vector: Array) -> Array:
    """Rotate vectors (..., 3) by the inverse of unit quaternions (..., 4): world to body frame."""
    return quat_rotate(quat_conjugate(quat_wxyz), vector)


def quat_from_axis_angle(axis_angle_rad: Array) -> Array:
    """Return unit quaternions (..., 4) of rotation vectors (..., 3) [rad]."""
    angle = np.linalg.norm(axis_angle_rad, axis=-1, keepdims=True)
    # sin(a/2)/a by sinc, which is exact and finite at zero
    scale = 0.5 * np.sinc(angle / (2.0 * np.pi))
    return np.concatenate([np.cos(angle / 2.0), axis_angle_rad * scale], axis=-1)


def axis_angle_from_quat(quat_wxyz: Array) -> Array:
    """Return rotation vectors (..., 3) [rad], of angle at most pi, of unit quaternions (..., 4)."""
    q = np.where(quat_wxyz[..., :1] < 0.0, -quat_wxyz, quat_wxyz)
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, q[..., :1])
    # angle / sin(angle/2) tends to 2 at zero
    scale = np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 2.0)
    return q[..., 1:] * scale


def quat_from_yaw(yaw_rad: Array) -> Array:
    """Return rotations about z, (..., 4), of angles (...) [rad]."""
    half = np.asarray(yaw_rad) / 2.0
    zero = np.zeros_like(half)
    return np.stack([np.cos(half), zero, zero, np.sin(half)], axis=-1)


def yaw_of_quat(quat_wxyz: Array) -> Array:
    """Return the heading (...) [rad] of orientations (..., 4): direction of the rotated x axis in the ground plane."""
    w, x, y, z = np.moveaxis(quat_wxyz, -1, 0)
    return np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def rotation_matrix(quat_wxyz: Array) -> Array:
    """Return rotation matrices (..., 3, 3) of unit quaternions (..., 4)."""
    w, x, y, z = np.moveaxis(quat_wxyz, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def rot6d_from_quat(quat_wxyz: Array) -> Array:
    """Return the first two matrix columns, flattened row by row: R00 R01 R10 R11 R20 R21, shape (..., 6).

    This order is what the published SONIC models read.
    """
    w, x, y, z = np.moveaxis(quat_wxyz, -1, 0)
    return np.stack(
        [
            1 - 2 * (y * y + z * z),
            2 * (x * y - w * z),
            2 * (x * y + w * z),
            1 - 2 * (x * x + z * z),
            2 * (x * z - w * y),
            2 * (y * z + w * x),
        ],
        axis=-1,
    )


def quat_slerp(start_wxyz: Array, end_wxyz: Array, fraction: Array) -> Array:
    """Interpolate along the shorter arc.

    Args:
        start_wxyz, end_wxyz: (..., 4) unit quaternions.
        fraction: (...) in [0, 1].

    Returns:
        (..., 4) unit quaternions.
    """
    delta = quat_multiply(quat_conjugate(start_wxyz), end_wxyz)
    step = axis_angle_from_quat(delta) * np.asarray(fraction)[..., None]
    return quat_normalize(quat_multiply(start_wxyz, quat_from_axis_angle(step)))


def quat_angle(left_wxyz: Array, right_wxyz: Array) -> Array:
    """Return the geodesic angle (...) [rad] in [0, pi] between unit quaternions (..., 4)."""
    delta = quat_multiply(quat_conjugate(left_wxyz), right_wxyz)
    return 2.0 * np.arctan2(np.linalg.norm(delta[..., 1:], axis=-1), np.abs(delta[..., 0]))
