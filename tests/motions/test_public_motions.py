"""The published clips, where a folder of them is at hand: $SONIC_MOTIONS or ../shared/motions beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from sonic_runtime.motions.read import read_motions
from sonic_runtime.motions.smpl import smpl_joints_of_robot
from sonic_runtime.robots import g1
from sonic_runtime.robots.g1_shapes import SOLE_OFFSETS_M
from sonic_runtime.robots.kinematics import points_on_bodies

FOLDER = Path(os.environ.get("SONIC_MOTIONS") or Path(__file__).parents[3] / "shared" / "motions")


@pytest.fixture(scope="module")
def clips():
    if not FOLDER.is_dir():
        pytest.skip(f"no published motions: set SONIC_MOTIONS to a folder of them ({FOLDER} is none)")
    return read_motions(FOLDER)


def test_all_are_read(clips):
    assert len(clips) == len([p for p in FOLDER.rglob("*") if p.suffix in (".pkl", ".csv", ".npz")])
    assert len({clip.name for clip in clips}) == len(clips)
    assert {clip.fps for clip in clips} == {50.0}


def test_joints_stay_in_range_and_speed(clips):
    for clip in clips:
        over = np.maximum(clip.joint_pos_hw - g1.JOINT_RANGE_HW[:, 1], g1.JOINT_RANGE_HW[:, 0] - clip.joint_pos_hw)
        assert over.max() < 0.02, clip.name
        assert np.all(np.abs(clip.joint_vel_hw) < g1.VELOCITY_LIMIT_HW), clip.name


def test_no_jump_is_left(clips):
    for clip in clips:
        assert np.linalg.norm(clip.body_lin_vel_w[:, 0], axis=1).max() < 5.0, clip.name
        assert np.abs(clip.joint_vel_hw[:40]).max() < 10.0 or "asap" in clip.name, clip.name


def test_feet_stand_on_the_ground(clips):
    count = len(SOLE_OFFSETS_M)
    for clip in clips:
        points = points_on_bodies(
            clip.body_pos_w,
            clip.body_quat_wxyz,
            tuple(foot for foot in g1.FOOT_BODY_NAMES for _ in range(count)),
            np.array(SOLE_OFFSETS_M * 2),
        )
        lowest = points[..., 2].min(axis=1)
        assert abs(np.median(lowest)) < 0.005, clip.name
        assert lowest.min() > -0.03, clip.name


def test_robot_stands_in_for_paired_smpl_joints(clips):
    """The points read off the robot lie near the paired joints, which were measured on a person of another build."""
    errors = [
        np.linalg.norm(smpl_joints_of_robot(clip.body_pos_w, clip.body_quat_wxyz) - clip.smpl_joints_b, axis=-1)
        for clip in clips
        if clip.smpl_measured
    ]
    if not errors:
        pytest.skip("no clip here has SMPL joints of its own")
    assert np.mean(np.concatenate(errors)) < 0.03
