"""Mending of recorded motions: jumps of the solver at the ends, and feet that float above or sink into the ground."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sonic_runtime.motions.formats import RawMotion
from sonic_runtime.motions.resample import velocity
from sonic_runtime.robots import g1
from sonic_runtime.robots.g1_shapes import SOLE_OFFSETS_M
from sonic_runtime.robots.kinematics import forward_kinematics, points_on_bodies

Array = npt.NDArray[np.floating]

JUMP_WINDOW_S = 1.0
"""How far from either end of a clip jumps are looked for [s]."""
JUMP_JOINT_RAD_S = 5.0
JUMP_ROOT_M_S = 5.0
JUMP_RATIO = 3.0
"""A step between two frames is a jump when it is faster than one of the speeds above and than this many times both its
neighbours: motion speeds up and slows down over several frames, a solver that finds its pose does not."""

PLANTED_SPEED_M_S = 0.25
"""A foot slower than this stands. Estimated feet creep by 0.1 to 0.2 m/s where recorded ones rest [m/s]."""
PLANTED_TIME_S = 0.1
"""How long it must be slow [s]; at the top of a jump the feet are slow for 0.05 s."""
PLANTED_BAND_M = 0.03
"""A standing foot is also at most this much above the lowest one, else it is held in the air [m]."""
GROUND_SPREAD_M = 0.2
"""Soles that stand at heights further apart than this stand on something, not on a badly estimated floor [m]."""
SMOOTHING_S = 0.1
"""Standard deviation of the smoothing of the estimated floor height [s]."""


def without_jumps(motion: RawMotion) -> RawMotion:
    """Drop what lies before the last jump of the first second, and after the first jump of the root in the last second.

    Joints that jump late are left: recorded walks hold single steps of a wrist or knee that stand out, and are sound.

    Returns:
        The motion unchanged where there is none, else a shorter one, whose source says which frames stayed.
    """
    frames = len(motion.joint_pos_hw)
    steps = np.arange(frames - 1)
    window = min(round(JUMP_WINDOW_S * motion.fps), frames // 2)
    joint_speed = np.abs(np.diff(motion.joint_pos_hw, axis=0)).max(axis=1) * motion.fps
    root_speed = np.linalg.norm(np.diff(motion.root_pos_w, axis=0), axis=1) * motion.fps
    root_jumps = _spikes(root_speed, JUMP_ROOT_M_S)
    leading = np.flatnonzero((_spikes(joint_speed, JUMP_JOINT_RAD_S) | root_jumps) & (steps < window))
    trailing = np.flatnonzero(root_jumps & (steps >= frames - 1 - window))
    start = int(leading[-1]) + 1 if len(leading) else 0
    stop = int(trailing[0]) + 1 if len(trailing) else frames
    if (start, stop) == (0, frames) or stop - start < 2:
        return motion
    smpl = motion.smpl_joints_w
    return replace(
        motion,
        root_pos_w=motion.root_pos_w[start:stop],
        root_quat_wxyz=motion.root_quat_wxyz[start:stop],
        joint_pos_hw=motion.joint_pos_hw[start:stop],
        smpl_joints_w=None if smpl is None else smpl[start:stop],
        source=f"{motion.source}; frames {start} to {stop - 1} of {frames} kept, the others jump",
    )


def _spikes(speed: Array, least: float) -> npt.NDArray[np.bool_]:
    """Mark the speeds (n,) that are above `least` and stand out from both neighbours; ends have one neighbour."""
    padded = np.concatenate([[0.0], speed, [0.0]])
    neighbours = np.maximum(padded[:-2], padded[2:])
    return (speed > least) & (speed > JUMP_RATIO * neighbours)


def on_ground(motion: RawMotion) -> RawMotion:
    """Lift or lower the pelvis so that standing feet stand at z = 0.

    Where a foot stands, the height of its sole is the height of the floor as the recording has it. Between such times,
    in a jump, the floor is interpolated, but never above the lowest sole. The floor, smoothed, is subtracted from the
    height of the pelvis. Motions estimated from video need this: their robot stands 5 to 12 cm above a floor that it
    touches when it squats, and one shift for all frames cannot mend that. A recording whose standing heights differ by
    more than `GROUND_SPREAD_M` (stairs, a box), or in which no foot ever stands, is shifted as a whole, by the first
    percentile of the lowest sole.

    Returns:
        The motion with its root (and SMPL joints) moved vertically; the source says how far.
    """
    floor = floor_height(motion)
    down = np.zeros((len(floor), 3))
    down[:, 2] = floor
    smpl = motion.smpl_joints_w
    return replace(
        motion,
        root_pos_w=motion.root_pos_w - down,
        smpl_joints_w=None if smpl is None else smpl - down[:, None],
        source=f"{motion.source}; moved down {1000 * floor.min():.0f} to {1000 * floor.max():.0f} mm onto the ground",
    )


def floor_height(motion: RawMotion) -> Array:
    """Return the height (T,) of the floor in the recording [m], estimated from the standing feet."""
    sole_height, foot_pos_w = _feet(motion)
    lowest = sole_height.min(axis=1)
    speed = np.linalg.norm(velocity(foot_pos_w, motion.fps), axis=-1)
    standing = (speed < PLANTED_SPEED_M_S) & (sole_height < lowest[:, None] + PLANTED_BAND_M)
    planted = _lasting(standing.any(axis=1), max(2, round(PLANTED_TIME_S * motion.fps)))
    if not np.any(planted) or np.ptp(lowest[planted]) > GROUND_SPREAD_M:
        return np.full(len(lowest), np.percentile(lowest, 1.0))
    frames = np.arange(len(lowest))
    # a sole below the interpolated floor has not left it: the floor lies deeper there
    floor = np.minimum(np.interp(frames, frames[planted], lowest[planted]), lowest)
    return _smoothed(floor, SMOOTHING_S * motion.fps)


def _feet(motion: RawMotion) -> tuple[Array, Array]:
    """Return the height of the lowest point of either sole (T, 2) [m], and the ankles' positions (T, 2, 3) [m]."""
    body_pos, body_quat = forward_kinematics(motion.root_pos_w, motion.root_quat_wxyz, motion.joint_pos_hw)
    soles = [
        points_on_bodies(body_pos, body_quat, (foot,) * len(SOLE_OFFSETS_M), np.array(SOLE_OFFSETS_M))
        for foot in g1.FOOT_BODY_NAMES
    ]
    height = np.stack([points[..., 2].min(axis=1) for points in soles], axis=1)
    return height, body_pos[:, [g1.BODY_NAMES.index(foot) for foot in g1.FOOT_BODY_NAMES]]


def _lasting(flags: npt.NDArray[np.bool_], least: int) -> npt.NDArray[np.bool_]:
    """Keep the runs of true flags (T,) that are at least `least` long."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    kept = np.zeros_like(flags)
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        kept[start:stop] = stop - start >= least
    return kept


def _smoothed(values: Array, sigma_frames: float) -> Array:
    """Smooth values (T,) with a Gaussian of standard deviation `sigma_frames`; the ends are held."""
    reach = max(1, int(np.ceil(3.0 * sigma_frames)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_frames) ** 2)
    return np.convolve(np.pad(values, reach, mode="edge"), kernel / kernel.sum(), mode="valid")
