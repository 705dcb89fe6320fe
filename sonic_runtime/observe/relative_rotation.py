"""Orientations seen from another orientation, in the six numbers that the published models read."""

from __future__ import annotations

import numpy as np

from sonic_runtime.contract.messages import Array


def relative_rot6d(left_wxyz: Array, heading_wxyz: Array, quats_wxyz: Array) -> Array:
    """Return R6(conj(left) * heading * q): the first two matrix columns, row by row, R00 R01 R10 R11 R20 R21.

    Args:
        left_wxyz: (4,) unit quaternion to look from.
        heading_wxyz: (4,) rotation that takes q into the world of `left`.
        quats_wxyz: (K, 4) unit quaternions q.

    Returns:
        (K, 6), in three array operations.
    """
    # q -> a * q is linear in q: one 4 x 4 matrix for all frames
    aw, ax, ay, az = _conjugate_times(left_wxyz, heading_wxyz)
    left_t = np.array([[aw, ax, ay, az], [-ax, aw, az, -ay], [-ay, -az, aw, ax], [-az, ay, -ax, aw]])
    turned = quats_wxyz @ left_t
    return (turned[:, :, None] * turned[:, None, :]).reshape(-1, 16) @ _ROT6D_OF_PRODUCTS


def rot6d_of_yaw(yaw_rad: Array) -> Array:
    """Return R6(Rz(yaw)) of angles (K,) [rad]: cos, -sin, sin, cos, 0, 0; (K, 6)."""
    cos, sin, zero = np.cos(yaw_rad), np.sin(yaw_rad), np.zeros_like(yaw_rad)
    return np.stack([cos, -sin, sin, cos, zero, zero], axis=-1)


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


_ROT6D_OF_PRODUCTS = _rot6d_of_products()


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
