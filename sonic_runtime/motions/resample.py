"""Resampling and finite differences of motions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.rotations import (
    axis_angle_from_quat,
    quat_conjugate,
    quat_multiply,
    quat_slerp,
)

Array = npt.NDArray[np.floating]

CONTROL_HZ = 50.0
"""Rate of the policies and of every clip [Hz]."""


def sample_positions(frames: int, fps: float, target_hz: float = CONTROL_HZ) -> tuple[npt.NDArray[np.intp], Array]:
    """Say where the frames of a resampled motion lie between the frames of its source.

    The first frame stays; the last falls within half a target step of the source's last frame, onto which it is drawn
    where it would lie behind it.

    Args:
        frames: number T of source frames, at least 2.
        fps: source rate [Hz].
        target_hz: wanted rate [Hz].

    Returns:
        (N,) index of the source frame before each target frame, 0 <= index <= T - 2, and (N,) fraction in [0, 1] of the
        way to the next source frame.
    """
    # the tolerance keeps a half step that is exact up to rounding from losing the end
    count = int(np.floor((frames - 1) / fps * target_hz + 0.5 + 1e-9)) + 1
    position = np.minimum(np.arange(count) * (fps / target_hz), frames - 1.0)
    index = np.minimum(position.astype(np.intp), frames - 2)
    return index, position - index


def resample(values: Array, index: npt.NDArray[np.intp], fraction: Array) -> Array:
    """Interpolate values (T, ...) linearly at `sample_positions`; returns (N, ...)."""
    weight = fraction.reshape(-1, *([1] * (values.ndim - 1)))
    return (1.0 - weight) * values[index] + weight * values[index + 1]


def resample_quat(quat_wxyz: Array, index: npt.NDArray[np.intp], fraction: Array) -> Array:
    """Interpolate unit quaternions (T, 4) along the shorter arc at `sample_positions`; returns (N, 4)."""
    return quat_slerp(quat_wxyz[index], quat_wxyz[index + 1], fraction)


def continuous_quat(quat_wxyz: Array) -> Array:
    """Choose the signs of quaternions (T, 4) so that neighbours lie on one side: no jumps by -1."""
    flips = np.sign(np.sum(quat_wxyz[1:] * quat_wxyz[:-1], axis=-1))
    flips[flips == 0.0] = 1.0
    return quat_wxyz * np.concatenate([[1.0], np.cumprod(flips)])[:, None]


def velocity(values: Array, fps: float) -> Array:
    """Differentiate values (T, ...): central differences, one-sided at both ends; returns (T, ...) [1/s]."""
    return np.gradient(values, 1.0 / fps, axis=0)


def angular_velocity(quat_wxyz: Array, fps: float) -> Array:
    """Differentiate orientations: w = log(q[k+1] q[k-1]*) / 2 dt, one-sided at both ends.

    Args:
        quat_wxyz: (T, ..., 4) unit quaternions, T >= 2.
        fps: rate [Hz].

    Returns:
        (T, ..., 3) angular velocity in the world frame [rad/s].
    """
    last = len(quat_wxyz) - 1
    frames = np.arange(last + 1)
    before, after = np.maximum(frames - 1, 0), np.minimum(frames + 1, last)
    turn = axis_angle_from_quat(quat_multiply(quat_wxyz[after], quat_conjugate(quat_wxyz[before])))
    seconds = (after - before) / fps
    return turn / seconds.reshape(-1, *([1] * (quat_wxyz.ndim - 1)))
