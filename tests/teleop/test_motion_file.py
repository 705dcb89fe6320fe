"""A clip as a goal source."""

import numpy as np
import pytest

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.rotations import quat_rotate, rotation_matrix, yaw_of_quat
from sonic_runtime.robots import g1
from teleop.motion_file import MotionFile
from tests.teleop.clips import turning_clip
from tests.teleop.test_pose_stream import state

CLIP = turning_clip(30)


def test_plays_every_frame_once_then_rests():
    source = MotionFile(CLIP, "g1", align_heading=False)
    cursors = []
    for _ in range(30):
        assert not source.finished
        goal = source.read(state())
        cursors.append(goal.reference.cursor)
        assert goal.reference.playing
    assert cursors == list(range(30))
    assert source.finished
    goal = source.read(state())
    assert (goal.reference.cursor, goal.reference.playing) == (29, False)


def test_joints_come_in_policy_order():
    goal = MotionFile(CLIP, "smpl", align_heading=False).read(state())
    assert goal.encoder == "smpl"
    left_shoulder = g1.JOINT_NAMES_HW.index("left_shoulder_pitch_joint")
    column = g1.JOINT_NAMES_POL.index("left_shoulder_pitch_joint")
    np.testing.assert_array_equal(goal.reference.joint_pos_pol[:, column], CLIP.joint_pos_hw[:, left_shoulder])
    np.testing.assert_array_equal(goal.reference.smpl_joints_b, CLIP.smpl_joints_b)


def test_three_points_are_seen_from_the_root():
    goal = MotionFile(CLIP, "teleop", align_heading=False).read(state())
    wrist = g1.BODY_NAMES.index("right_wrist_yaw_link")
    point_w = CLIP.body_pos_w[7, wrist] + rotation_matrix(CLIP.body_quat_wxyz[7, wrist]) @ [0.18, 0.025, 0.0]
    back = CLIP.root_pos_w[7] + quat_rotate(CLIP.root_quat_wxyz[7], goal.reference.vr_pos_b[7, 1])
    np.testing.assert_allclose(back, point_w, atol=1e-12)


def test_heading_is_aligned_once_when_asked_for():
    source = MotionFile(CLIP, "g1", align_heading=True)
    first = source.read(state(yaw=1.0)).heading_quat_wxyz
    assert yaw_of_quat(first) == pytest.approx(1.0 - 0.3, abs=1e-6)
    np.testing.assert_array_equal(source.read(state(yaw=2.0)).heading_quat_wxyz, first)
    untouched = MotionFile(CLIP, "g1", align_heading=False).read(state(yaw=1.0)).heading_quat_wxyz
    assert untouched.tolist() == [1, 0, 0, 0]


def test_unknown_encoder_is_named():
    with pytest.raises(ConfigError, match="g1, teleop, smpl, got 'vr'"):
        MotionFile(CLIP, "vr", align_heading=False)
