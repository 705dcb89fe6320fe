"""A way from one reference to another: the frames between the one shown last and the one to come.

A policy that is shown a jump of its reference tries to jump. Between two motions, and from standing to the first one,
it is therefore led along a way of about a second: each track goes from its value now to its value then by
s(t) = 3 (t/T)^2 - 2 (t/T)^3, at rest at its end. A motion that is left while it moves does not stop dead: what it
moved with dies away within `_COASTING_S`, by v t (1 - t/tau)^2.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sonic_runtime.contract.messages import Array, Reference
from sonic_runtime.contract.rotations import (
    axis_angle_from_quat,
    quat_conjugate,
    quat_from_axis_angle,
    quat_multiply,
    quat_rotate,
    quat_slerp,
)
from sonic_runtime.robots import g1

CONTROL_HZ = 50.0
BRIDGE_FRAMES = 50
"""Frames of a way: a second."""
_COASTING_S = 0.3

_POINTS = ("joint_pos_pol", "root_pos_w", "vr_pos_b", "vr5_pos_b", "smpl_joints_b", "smpl_pose_rad")
_ROTATIONS = ("root_quat_wxyz", "vr_quat_b_wxyz", "vr5_quat_b_wxyz", "smpl_root_quat_wxyz")
_WORLD_ROTATIONS = ("root_quat_wxyz", "smpl_root_quat_wxyz")
_TRACKS = ("joint_vel_pol", *_POINTS, *_ROTATIONS)
_RANGE_POL = g1.JOINT_RANGE_HW[g1.HW_INDEX_OF_POL]


def bridge(start: Reference, target: Reference, turn_wxyz: Array) -> Reference:
    """Return the frames between the cursor of one reference and the cursor of another.

    Args:
        start: what was shown last, at its cursor; `playing` says whether it moves.
        target: where to go, at its cursor.
        turn_wxyz: (4,) rotation about z from the world of `start` to the world of `target`.

    Returns:
        BRIDGE_FRAMES - 1 frames in the world of `target`, numbered from -(BRIDGE_FRAMES - 1): the first is a step after
        `start`, the last a step before `target`. A track that `start` lacks is that of the target from the beginning.
    """
    time_s = np.arange(1, BRIDGE_FRAMES) / CONTROL_HZ
    share = time_s * CONTROL_HZ / BRIDGE_FRAMES
    weight = share * share * (3.0 - 2.0 * share)
    coasting_s = np.where(time_s < _COASTING_S, time_s * (1.0 - time_s / _COASTING_S) ** 2, 0.0)
    before = max(start.cursor - 1, 0) if start.playing else start.cursor
    tracks: dict[str, Array] = {}
    for name in (*_POINTS, *_ROTATIONS):
        goes, comes = getattr(start, name), getattr(target, name)
        if comes is None:
            continue
        end = comes[target.cursor]
        ends = (end, end, end) if goes is None else (goes[before], goes[start.cursor], end)
        way = _way_of_rotations if name in _ROTATIONS else _way_of_points
        if name in _WORLD_ROTATIONS and goes is not None:
            ends = (quat_multiply(turn_wxyz, ends[0]), quat_multiply(turn_wxyz, ends[1]), end)
        if name == "root_pos_w" and goes is not None:
            ends = (quat_rotate(turn_wxyz, ends[0]), quat_rotate(turn_wxyz, ends[1]), end)
        tracks[name] = way(*ends, weight, coasting_s)
    first, last = start.joint_pos_pol[start.cursor], target.joint_pos_pol[target.cursor]
    tracks["joint_pos_pol"] = _within_reach(tracks["joint_pos_pol"], first, last)
    tracks["joint_vel_pol"] = np.gradient(np.vstack([first, tracks["joint_pos_pol"], last]), axis=0)[1:-1] * CONTROL_HZ
    return Reference(cursor=0, playing=True, first_index=1 - BRIDGE_FRAMES, **tracks)


def followed_by(way: Reference, target: Reference, frames: int) -> Reference:
    """Return a way with what comes after it, so that a policy that looks ahead sees it.

    Args:
        way: from `bridge`.
        target: the reference that it leads to.
        frames: frames of the target to show, from its cursor on; 1 where it will rest there.
    """
    behind = slice(target.cursor, target.cursor + frames)
    tracks: dict[str, Array | None] = {}
    for name in _TRACKS:
        one, other = getattr(way, name), getattr(target, name)
        tracks[name] = None if one is None else np.concatenate([one, other[behind]])
    extended = replace(way, **tracks)
    if frames == 1:
        extended.joint_vel_pol[-1] = 0.0
    return extended


def moved_by(reference: Reference, way_m: Array) -> Reference:
    """Return a reference whose root is moved by (3,) `way_m` in the ground plane; the height stays."""
    if reference.root_pos_w is None:
        return reference
    return replace(reference, root_pos_w=reference.root_pos_w + way_m * np.array([1.0, 1.0, 0.0]))


def _way_of_points(before: Array, start: Array, end: Array, weight: Array, coasting_s: Array) -> Array:
    """Return (T, ...) values from `start` to `end`; `before` is the value a frame before `start`."""
    shape = (-1, *([1] * start.ndim))
    velocity = (start - before) * CONTROL_HZ
    return start + weight.reshape(shape) * (end - start) + coasting_s.reshape(shape) * velocity


def _way_of_rotations(before: Array, start: Array, end: Array, weight: Array, coasting_s: Array) -> Array:
    """Return (T, ..., 4) rotations from `start` to `end` along the shorter arc, which may be turned on at first."""
    frames = (len(weight), *start.shape)
    weights = np.broadcast_to(weight.reshape(-1, *([1] * (start.ndim - 1))), frames[:-1])
    way = quat_slerp(np.broadcast_to(start, frames), np.broadcast_to(end, frames), weights)
    speed = axis_angle_from_quat(quat_multiply(start, quat_conjugate(before))) * CONTROL_HZ
    return quat_multiply(quat_from_axis_angle(coasting_s.reshape(-1, *([1] * start.ndim)) * speed), way)


def _within_reach(joint_pos_pol: Array, first: Array, last: Array) -> Array:
    """Keep what coasts on (T, 29) within the joint range, or within the two ends where these lie outside."""
    low = np.minimum(np.minimum(first, last), _RANGE_POL[:, 0])
    high = np.maximum(np.maximum(first, last), _RANGE_POL[:, 1])
    return np.clip(joint_pos_pol, low, high)
