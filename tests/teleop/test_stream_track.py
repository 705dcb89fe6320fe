"""What a sender streams: lead-in, clip, and what follows."""

import numpy as np
import pytest

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.rotations import quat_angle, quat_from_yaw, yaw_of_quat
from sonic_runtime.robots import g1
from teleop.stream_messages import messages_of
from teleop.stream_track import build_track
from tests.teleop.clips import turning_clip

CLIP = turning_clip()


def test_lead_in_goes_from_standing_to_the_first_frame_without_a_jump():
    track = build_track(CLIP, lead_in_s=1.0, end="hold")
    assert (track.clip_start, len(track)) == (50, 150)
    np.testing.assert_array_equal(track.joint_pos_hw[0], g1.DEFAULT_POS_HW)
    np.testing.assert_array_equal(track.joint_pos_hw[50:], CLIP.joint_pos_hw)
    np.testing.assert_allclose(track.root_quat_wxyz[0], quat_from_yaw(yaw_of_quat(CLIP.root_quat_wxyz[0])))
    assert np.abs(np.diff(track.joint_pos_hw[:52], axis=0)).max() < 0.05
    assert quat_angle(track.root_quat_wxyz[:50], track.root_quat_wxyz[1:51]).max() < 0.02


def test_chunk_holds_frames_by_number_in_policy_order():
    frames = build_track(CLIP, lead_in_s=0.0, end="hold").chunk(10, 4)
    assert frames.frame_index.tolist() == [10, 11, 12, 13]
    np.testing.assert_array_equal(frames.joint_pos_pol, g1.to_policy_order(CLIP.joint_pos_hw[10:14]))
    np.testing.assert_array_equal(frames.joint_vel_pol, g1.to_policy_order(CLIP.joint_vel_hw[10:14]))
    np.testing.assert_array_equal(frames.root_quat_wxyz, CLIP.root_quat_wxyz[10:14])


@pytest.mark.parametrize("end", ["hold", "stop"])
def test_after_the_end_the_last_pose_is_held_at_rest(end):
    frames = build_track(CLIP, lead_in_s=0.0, end=end).chunk(98, 5)
    expected = g1.to_policy_order(CLIP.joint_pos_hw[[98, 99, 99, 99, 99]])
    np.testing.assert_array_equal(frames.joint_pos_pol, expected)
    assert np.abs(frames.joint_vel_pol[2:]).max() == 0.0


def test_loop_goes_on_in_the_direction_and_at_the_place_where_the_clip_ended():
    track = build_track(CLIP, lead_in_s=0.4, end="loop")
    period = len(CLIP) + 50
    assert (track.repeat_from, len(track)) == (20, 20 + period)
    index = np.arange(20 + 3 * period)
    pos_w, quat = track.root_poses(index)
    joints = track.joints(index)
    np.testing.assert_array_equal(joints[20 + 2 * period : 20 + 2 * period + 100], CLIP.joint_pos_hw)
    # each repetition turns by 0.6 rad and goes on from where the one before it stopped
    yaw = yaw_of_quat(quat[[20, 20 + period, 20 + 2 * period]])
    np.testing.assert_allclose(yaw, [0.3, 0.9, 1.5], atol=1e-6)
    last_of_round = pos_w[[20 + 99, 20 + period + 99], :2]
    np.testing.assert_allclose(pos_w[[20 + period, 20 + 2 * period], :2], last_of_round, atol=1e-9)
    first = pos_w[20 + 99, :2] - pos_w[20, :2]
    second = pos_w[20 + period + 99, :2] - pos_w[20 + period, :2]
    turn = np.array([[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]])
    np.testing.assert_allclose(second, turn @ first, atol=1e-9)
    assert np.abs(np.diff(joints, axis=0)).max() < 0.05
    assert np.abs(np.diff(pos_w, axis=0)).max() < 0.02
    assert quat_angle(quat[:-1], quat[1:]).max() < 0.03


def test_smpl_frames_are_those_of_the_clip_after_a_lead_in_without_a_jump():
    track = build_track(CLIP, lead_in_s=1.0, end="hold")
    frames = track.smpl_chunk(50, 20, wrists=True)
    assert frames.version == 3
    np.testing.assert_array_equal(frames.smpl_joints_b, CLIP.smpl_joints_b[:20])
    np.testing.assert_allclose(frames.root_quat_wxyz, CLIP.smpl_root_quat_wxyz[:20], atol=1e-12)
    np.testing.assert_array_equal(frames.joint_pos_pol, g1.to_policy_order(CLIP.joint_pos_hw[:20]))
    lead = track.smpl_chunk(0, 52, wrists=False)
    assert (lead.version, lead.joint_pos_pol) == (2, None)
    assert np.abs(np.diff(lead.smpl_joints_b, axis=0)).max() < 0.03
    assert quat_angle(lead.root_quat_wxyz[:-1], lead.root_quat_wxyz[1:]).max() < 0.02


def test_the_person_of_a_loop_turns_with_the_robot():
    track = build_track(CLIP, lead_in_s=0.4, end="loop")
    index = np.arange(0, 3 * len(track))
    frames = track.smpl_chunk(0, len(index), wrists=False)
    np.testing.assert_allclose(frames.root_quat_wxyz, track.root_poses(index)[1], atol=1e-9)
    assert np.abs(np.diff(frames.smpl_joints_b, axis=0)).max() < 0.05


@pytest.mark.parametrize("version", [1, 2, 3])
def test_messages_of_a_track_are_of_the_version(version):
    message = messages_of(build_track(CLIP, 0.0, "hold"), version, 7)(5)
    assert (message.version, message.frame_index.tolist()) == (version, list(range(5, 12)))


def test_tokens_of_a_track_are_those_of_the_policy_s_encoder():
    make_message = messages_of(build_track(CLIP, 0.0, "hold"), 4, 60, "default")
    first, again, later = make_message(3), make_message(3), make_message(60)
    assert (first.version, first.frame_index, first.token.shape) == (4, 3, (64,))
    np.testing.assert_array_equal(first.token, again.token)
    assert (first.token != later.token).any()
    np.testing.assert_array_equal(np.round(first.token * 16), first.token * 16)


@pytest.mark.parametrize(("version", "says"), [(5, "1, 2, 3, 4"), (4, "policy")])
def test_what_cannot_be_made_is_named(version, says):
    with pytest.raises(ConfigError, match=says):
        messages_of(build_track(CLIP, 0.0, "hold"), version, 60)
