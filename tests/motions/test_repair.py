"""Jumps at the ends are cut, and standing feet come to stand on the ground."""

from __future__ import annotations

import numpy as np
import pytest

from sonic_runtime.motions.formats import RawMotion
from sonic_runtime.motions.repair import _feet, floor_height, on_ground, without_jumps
from sonic_runtime.robots import g1

FPS = 30.0


def standing(frames=90, height=0.76):
    """A robot that stands in its default pose, sways a little, and waves an arm slowly."""
    t = np.arange(frames) / FPS
    joints = np.tile(g1.DEFAULT_POS_HW, (frames, 1))
    joints[:, g1.JOINT_NAMES_HW.index("left_elbow_joint")] += 0.3 * np.sin(2.0 * t)
    root = np.stack([0.02 * np.sin(t), np.zeros(frames), np.full(frames, height)], axis=1)
    quat = np.tile([1.0, 0.0, 0.0, 0.0], (frames, 1))
    return RawMotion(
        name="stand", fps=FPS, root_pos_w=root, root_quat_wxyz=quat, joint_pos_hw=joints, smpl_joints_w=None, source="x"
    )


def lowest_sole(motion):
    return _feet(motion)[0].min(axis=1)


def test_leading_joint_jumps_are_cut():
    motion = standing()
    motion.joint_pos_hw[:2, 18] += 1.0
    motion.joint_pos_hw[:1, 5] -= 0.1
    cut = without_jumps(motion)
    assert len(cut.joint_pos_hw) == 88
    np.testing.assert_array_equal(cut.joint_pos_hw, motion.joint_pos_hw[2:])
    assert "frames 2 to 89 of 90" in cut.source


def test_root_jumps_are_cut_at_both_ends():
    motion = standing()
    motion.root_pos_w[0, 2] += 1.0
    motion.root_pos_w[-3:, 2] += 0.3
    cut = without_jumps(motion)
    np.testing.assert_array_equal(cut.root_pos_w, motion.root_pos_w[1:-3])


def test_fast_but_smooth_motion_stays():
    """A kick that reaches 12 rad/s within the first second, as recorded kicks do."""
    motion = standing()
    t = np.arange(90) / FPS
    motion.joint_pos_hw[:, 3] += 1.2 * (1.0 - np.cos(10.0 * t)) * (t < 0.628)
    assert np.abs(np.diff(motion.joint_pos_hw[:, 3])).max() * FPS > 11.0
    assert without_jumps(motion) is motion


def test_late_joint_spike_stays():
    motion = standing()
    motion.joint_pos_hw[-5:, 20] += 0.5
    assert without_jumps(motion) is motion


@pytest.mark.parametrize("offset", [-0.05, 0.0, 0.08])
def test_floating_and_sunk_feet_come_to_the_ground(offset):
    motion = standing(height=0.76 + offset)
    assert abs(lowest_sole(motion)[0] - offset) < 0.012
    np.testing.assert_allclose(lowest_sole(on_ground(motion)), 0.0, atol=1e-9)


def test_float_that_changes_is_followed():
    motion = standing(180)
    motion.root_pos_w[:, 2] += np.linspace(0.0, 0.09, 180)
    np.testing.assert_allclose(lowest_sole(on_ground(motion)), 0.0, atol=2e-3)


def test_a_jump_stays_a_jump():
    """Flight is kept: 0.3 m of ballistic rise on top of a floor that reads 6 cm too high."""
    motion = standing(90, height=0.82)
    flight_s = np.clip(np.arange(90) / FPS - 1.0, 0.0, 2.0 * np.sqrt(2.0 * 0.3 / 9.81))
    rise = np.sqrt(2.0 * 9.81 * 0.3) * flight_s - 0.5 * 9.81 * flight_s**2
    before = lowest_sole(motion)[0]
    motion.root_pos_w[:, 2] += rise
    mended = lowest_sole(on_ground(motion))
    np.testing.assert_allclose(mended, rise, atol=5e-3)
    assert abs(before) > 0.04


def test_stairs_are_not_flattened():
    motion = standing(240)
    motion.root_pos_w[:, 2] += np.interp(np.arange(240), [60, 90, 150, 180], [0.0, 0.3, 0.3, 0.6])
    floor = floor_height(motion)
    assert np.ptp(floor) == 0.0
    assert abs(floor[0] - lowest_sole(motion).min()) < 1e-6


def test_smpl_joints_move_with_the_root():
    base = standing(height=0.86)
    smpl = np.zeros((90, 24, 3))
    motion = RawMotion(
        name="s",
        fps=FPS,
        root_pos_w=base.root_pos_w,
        root_quat_wxyz=base.root_quat_wxyz,
        joint_pos_hw=base.joint_pos_hw,
        smpl_joints_w=smpl,
        source="x",
    )
    mended = on_ground(motion)
    np.testing.assert_allclose(mended.smpl_joints_w[:, 5, 2], mended.root_pos_w[:, 2] - base.root_pos_w[:, 2])
