"""Recordings, traces of streams, and the judgement of an evaluated clip."""

from dataclasses import replace

import numpy as np
import pytest

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.contract.messages import Fault
from sonic_runtime.contract.rotations import quat_from_yaw, quat_multiply, quat_rotate
from sonic_runtime.evaluate import judge
from sonic_runtime.results.recording import Recorder
from sonic_runtime.results.trace import streamed_trace
from teleop.standing import Standing
from teleop.stream_track import build_track
from tests.results.runs import recorded, report
from tests.teleop.clips import turning_clip

CLIP = turning_clip(60)


def test_rows_are_what_the_ticks_saw():
    recording = recorded(CLIP, range(10, 30)).recording()
    assert len(recording) == 20
    np.testing.assert_array_equal(recording.joint_pos_hw, CLIP.joint_pos_hw[10:30])
    np.testing.assert_array_equal(recording.reference_pos_hw, CLIP.joint_pos_hw[10:30])
    np.testing.assert_allclose(recording.robot.pos_w, CLIP.body_pos_w[10:30], atol=1e-9)
    assert recording.frame_index.tolist() == list(range(10, 30))
    np.testing.assert_allclose(recording.stage_ms, [[1, 2, 3, 4, 5, 6]] * 20)
    assert recording.fault is None


def test_first_fault_is_kept_and_a_full_store_drops():
    recorder = Recorder(kept_ticks=3)
    for tick in range(5):
        fault = Fault(code=f"fault{tick}", detail="why") if tick > 2 else None
        recorder.put(report(CLIP, tick, tick, fault=fault))
    recording = recorder.recording()
    assert (len(recording), recording.dropped_ticks, recording.fault) == (3, 2, (3, "fault3", "why"))


def test_ticks_without_a_moving_reference_have_no_frame():
    recorder = Recorder()
    standing = report(CLIP, 0, 0)
    recorder.put(replace(standing, goal=Standing().read(standing.state)))
    recorder.put(replace(standing, goal=None))
    recording = recorder.recording()
    assert recording.frame_index.tolist() == [-1, -1]
    assert np.isnan(recording.reference_pos_hw[1]).all()


def test_empty_recording():
    assert len(Recorder().recording()) == 0


def test_clip_followed_exactly_succeeds_without_error():
    result = judge(CLIP, recorded(CLIP, range(60)).recording(), wall_s=1.0).result
    assert (result.success, result.failure, result.frames, result.foot_rule) == (True, "", 59, True)
    assert result.mpjpe_g_mm == pytest.approx(0.0, abs=1e-6)


def test_clip_that_lags_by_ten_frames_has_the_error_of_ten_frames():
    lagging = range(10, 60)
    evaluation = judge(CLIP, recorded(CLIP, lagging).recording(), wall_s=1.0)
    moved = np.linalg.norm(CLIP.root_pos_w[11:60, :2] - CLIP.root_pos_w[1:50, :2], axis=-1)
    assert evaluation.result.root_xy_error_m == pytest.approx(moved.mean())
    assert (evaluation.result.success, evaluation.result.failure) == (False, "ended_early")


def test_fault_ends_a_clip():
    recorder = recorded(CLIP, range(20))
    recorder.put(report(CLIP, 20, 20, mode="damping", fault=Fault(code="joint_range", detail="why")))
    result = judge(CLIP, recorder.recording(), wall_s=1.0).result
    assert (result.success, result.failure, result.failure_s) == (False, "joint_range", 0.4)


def test_streamed_reference_is_laid_over_the_robot_where_tracking_began():
    """A robot that stands elsewhere, faces elsewhere, and does the streamed motion exactly, has no error."""
    track = build_track(CLIP, lead_in_s=0.0, end="hold")
    turn = quat_from_yaw(np.array(1.1))
    recorder = Recorder()
    for tick, frame in enumerate(range(7, 60)):
        made = report(CLIP, tick, frame, heading_quat_wxyz=turn)
        place = quat_rotate(turn, CLIP.root_pos_w[frame]) + np.array([3.0, -2.0, 0.0])
        state = replace(made.state, base_pos_w=place, base_quat_wxyz=quat_multiply(turn, CLIP.root_quat_wxyz[frame]))
        recorder.put(replace(made, state=state, mode="ramp" if tick < 5 else "active"))
    trace = streamed_trace(recorder.recording(), track.joints, track.root_poses, 50.0)
    assert len(trace) == 48
    np.testing.assert_allclose(trace.errors.mpjpe_g_m, 0.0, atol=1e-9)
    np.testing.assert_allclose(trace.errors.anchor_angle_rad, 0.0, atol=1e-6)
    assert trace.failure_s is None


def test_run_in_which_the_stream_never_came_is_an_error():
    track = build_track(CLIP, lead_in_s=0.0, end="hold")
    with pytest.raises(RobotError, match="never arrived"):
        streamed_trace(recorded(CLIP, range(5), mode="ready").recording(), track.joints, track.root_poses, 50.0)
