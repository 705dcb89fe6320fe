"""What the robot did while it tracked, as a motion that can be tracked again."""

import numpy as np
import pytest

from sonic_runtime.contract.errors import MotionError
from sonic_runtime.contract.messages import Decision, TickReport
from sonic_runtime.motions.read import read_motions
from sonic_runtime.results.motion_recorder import MotionRecorder
from tests.fakes.parts import make_goal, make_state, make_target
from tests.teleop.clips import turning_clip

CLIP = turning_clip(30)


def report(frame, mode="active", place=True):
    state = make_state(
        joint_pos_hw=CLIP.joint_pos_hw[frame],
        joint_vel_hw=CLIP.joint_vel_hw[frame] + 0.5,
        base_quat_wxyz=CLIP.root_quat_wxyz[frame],
        base_pos_w=CLIP.root_pos_w[frame] if place else None,
    )
    return TickReport(
        index=frame, state=state, goal=make_goal(), mode=mode, decision=Decision(target=make_target()),
        target=make_target(),
    )  # fmt: skip


def record(folder, place=True, kept_ticks=100):
    said = []
    recorder = MotionRecorder(folder, said.append, kept_ticks)
    for mode in ("ready", "stand"):
        recorder.put(report(0, mode))
    for frame in range(30):
        recorder.put(report(frame, place=place))
    recorder.put(report(0, "damping"))
    recorder.close()
    recorder.close()
    return said


def test_what_was_measured_can_be_tracked_again(tmp_path):
    said = record(tmp_path / "run" / "tracked")
    (clip,) = read_motions(tmp_path / "run" / "tracked")
    assert (clip.name, len(clip)) == ("tracked", 30)
    np.testing.assert_allclose(clip.joint_pos_hw, CLIP.joint_pos_hw, atol=1e-8)
    np.testing.assert_allclose(clip.joint_vel_hw, CLIP.joint_vel_hw + 0.5, atol=1e-7)
    np.testing.assert_allclose(clip.body_pos_w, CLIP.body_pos_w, atol=1e-8)
    np.testing.assert_allclose(clip.body_quat_wxyz, CLIP.body_quat_wxyz, atol=1e-8)
    assert said == [f"recorded 0.6 s of tracked motion: {tmp_path}/run/tracked"]


def test_a_robot_that_does_not_know_where_it_is(tmp_path):
    record(tmp_path / "tracked", place=False)
    assert not (tmp_path / "tracked" / "body_pos.csv").exists()
    (clip,) = read_motions(tmp_path / "tracked")
    np.testing.assert_allclose(clip.joint_pos_hw, CLIP.joint_pos_hw, atol=1e-8)
    np.testing.assert_allclose(clip.root_pos_w[:, 2], 0.76, atol=0.02)


def test_nothing_tracked_is_nothing_written(tmp_path):
    said = []
    recorder = MotionRecorder(tmp_path / "tracked", said.append)
    recorder.put(report(0, "stand"))
    recorder.close()
    assert said == ["no motion was tracked, so that none was recorded"]
    assert not (tmp_path / "tracked").exists()


def test_a_full_memory_is_told_once_and_keeps_the_beginning(tmp_path):
    said = record(tmp_path / "tracked", kept_ticks=10)
    assert len(said) == 2
    assert "full after" in said[0]
    assert len(read_motions(tmp_path / "tracked")[0]) == 10
    assert "20 later frames" in (tmp_path / "tracked" / "metadata.txt").read_text()


def test_an_older_recording_stays(tmp_path):
    record(tmp_path / "tracked")
    with pytest.raises(MotionError, match="expected no such folder yet"):
        record(tmp_path / "tracked")
