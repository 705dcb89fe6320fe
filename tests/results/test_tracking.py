"""Tracking metrics against numbers worked out by hand."""

import numpy as np
import pytest

from sonic_runtime.contract.rotations import quat_from_axis_angle, quat_from_yaw, quat_multiply, quat_rotate
from sonic_runtime.results.tracking import (
    Bodies,
    first_failure,
    judge_clip,
    relative_positions,
    summarize,
    tracking_errors,
)
from sonic_runtime.robots import g1
from sonic_runtime.robots.kinematics import forward_kinematics

FRAMES = 100
LEFT_FOOT = g1.BODY_NAMES.index("left_ankle_roll_link")
LEFT_WRIST = g1.BODY_NAMES.index("left_wrist_yaw_link")
LEFT_HIP_PITCH = g1.BODY_NAMES.index("left_hip_pitch_link")


@pytest.fixture
def walk() -> Bodies:
    rng = np.random.default_rng(5)
    root = np.zeros((FRAMES, 3))
    root[:, 0] = np.linspace(0, 1, FRAMES)
    root[:, 2] = 0.76
    joints = g1.DEFAULT_POS_HW + 0.1 * rng.normal(size=(FRAMES, 29)).cumsum(axis=0) / 10
    pos_w, quat = forward_kinematics(root, quat_from_yaw(np.linspace(0, 0.8, FRAMES)), joints)
    return Bodies(pos_w=pos_w, quat_wxyz=quat)


def moved(of: Bodies, pos=(0.0, 0.0, 0.0), frames=slice(None), body=slice(None)) -> Bodies:
    pos_w = of.pos_w.copy()
    pos_w[frames, body] += pos
    return Bodies(pos_w=pos_w, quat_wxyz=of.quat_wxyz)


def turned(of: Bodies, quat: np.ndarray, frames=slice(None)) -> Bodies:
    """All links turned together about the pelvis."""
    pos_w, quat_wxyz = of.pos_w.copy(), of.quat_wxyz.copy()
    root = pos_w[frames, :1]
    offset = pos_w[frames] - root
    pos_w[frames] = root + quat_rotate(np.broadcast_to(quat, (*offset.shape[:2], 4)), offset)
    quat_wxyz[frames] = quat_multiply(np.broadcast_to(quat, quat_wxyz[frames].shape), quat_wxyz[frames])
    return Bodies(pos_w=pos_w, quat_wxyz=quat_wxyz)


def test_same_motion_has_no_error(walk):
    errors = tracking_errors(walk, walk)
    for name in ("mpjpe_l_m", "mpjpe_g_m", "root_xy_m", "anchor_height_m", "end_height_m", "foot_m"):
        np.testing.assert_allclose(getattr(errors, name), 0.0, atol=1e-12)
    np.testing.assert_allclose(errors.anchor_angle_rad, 0.0, atol=1e-7)
    assert first_failure(errors) is None


def test_shift_counts_in_the_world_and_not_locally(walk):
    errors = tracking_errors(moved(walk, (0.3, 0.4, 0.1)), walk)
    np.testing.assert_allclose(errors.mpjpe_g_m, np.sqrt(0.09 + 0.16 + 0.01))
    np.testing.assert_allclose(errors.mpjpe_l_m, 0.0, atol=1e-12)
    np.testing.assert_allclose(errors.root_xy_m, 0.5)
    np.testing.assert_allclose(errors.anchor_height_m, 0.1)
    # the relative frame keeps the reference's height, so that ends carry the height error
    np.testing.assert_allclose(errors.end_height_m, 0.1)


def test_one_body_is_a_fourteenth_and_untracked_bodies_do_not_count(walk):
    assert tracking_errors(moved(walk, (0, 0.14, 0), body=LEFT_WRIST), walk).mpjpe_l_m == pytest.approx(0.01)
    assert tracking_errors(moved(walk, (0, 0.14, 0), body=LEFT_HIP_PITCH), walk).mpjpe_l_m == pytest.approx(0.0)


def test_local_error_is_not_aligned_in_rotation(walk):
    yaw = turned(walk, quat_from_yaw(np.array(0.5)))
    tracked = [g1.BODY_NAMES.index(name) for name in g1.TRACKED_BODY_NAMES]
    offset = walk.pos_w[:, tracked, :2] - walk.pos_w[:, :1, :2]
    # turning a point at distance r about z by a moves it by 2 r sin(a / 2)
    expected = (2 * np.linalg.norm(offset, axis=-1) * np.sin(0.25)).mean(axis=-1)
    np.testing.assert_allclose(tracking_errors(yaw, walk).mpjpe_l_m, expected)


def test_relative_frame_removes_place_and_heading(walk):
    robot = moved(turned(walk, quat_from_yaw(np.array(0.9))), (2.0, -1.0, 0.0))
    np.testing.assert_allclose(relative_positions(robot, walk), robot.pos_w, atol=1e-12)
    errors = tracking_errors(robot, walk)
    np.testing.assert_allclose(errors.foot_m, 0.0, atol=1e-12)
    np.testing.assert_allclose(errors.anchor_angle_rad, 0.9)


RULES = {
    "anchor_height": lambda walk, size: moved(walk, (0, 0, 0.25 * size), frames=slice(40, None), body=0),
    "end_effector_height": lambda walk, size: moved(walk, (0, 0, -0.25 * size), frames=slice(40, None), body=LEFT_FOOT),
    "root_xy": lambda walk, size: moved(walk, (0.6 * size, 0.8 * size, 0), frames=slice(40, None)),
    "anchor_orientation": lambda walk, size: turned(
        walk, quat_from_axis_angle(np.array([0.0, 0.0, 1.0 * size])), frames=slice(40, None)
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_breaks_just_above_its_limit(walk, rule):
    assert first_failure(tracking_errors(RULES[rule](walk, 0.99), walk)) is None
    assert first_failure(tracking_errors(RULES[rule](walk, 1.01), walk)) == (40, rule)


def test_wrist_height_is_judged_and_elbow_height_is_not(walk):
    elbow = g1.BODY_NAMES.index("left_elbow_link")
    assert first_failure(tracking_errors(moved(walk, (0, 0, 0.3), body=LEFT_WRIST), walk)) == (0, "end_effector_height")
    assert first_failure(tracking_errors(moved(walk, (0, 0, 0.3), body=elbow), walk)) is None


def test_nan_is_a_failure(walk):
    assert first_failure(tracking_errors(moved(walk, (np.nan, 0, 0), frames=slice(7, None)), walk)) is not None


def test_frames_after_a_failure_and_the_first_frame_are_not_counted(walk):
    robot = moved(walk, (0.1, 0, 0), frames=slice(1, None))
    robot = moved(robot, (5.0, 0, 0), frames=slice(41, None))
    robot = moved(robot, (1.0, 0, 0), frames=slice(40, 41))
    result = judge_clip("walk", 50.0, FRAMES, tracking_errors(robot, walk))
    assert (result.success, result.failure, result.failure_s, result.frames) == (False, "root_xy", 0.8, 40)
    # frames 1 to 39 at 0.1 m, frame 40 at 1.1 m
    assert result.root_xy_error_m == pytest.approx((39 * 0.1 + 1.1) / 40)
    assert result.root_xy_error_max_m == pytest.approx(1.1)
    assert result.mpjpe_g_mm == pytest.approx(1000 * (39 * 0.1 + 1.1) / 40)
    assert result.seconds == 2.0


def test_foot_rule_is_reported_and_no_part_of_success(walk):
    result = judge_clip("walk", 50.0, FRAMES, tracking_errors(moved(walk, (0, 0.21, 0), body=LEFT_FOOT), walk))
    assert (result.success, result.foot_rule) == (True, False)
    result = judge_clip("walk", 50.0, FRAMES, tracking_errors(moved(walk, (0, 0.19, 0), body=LEFT_FOOT), walk))
    assert (result.success, result.foot_rule) == (True, True)


def test_fault_and_early_end_are_failures(walk):
    errors = tracking_errors(walk.frames(slice(0, 60)), walk.frames(slice(0, 60)))
    result = judge_clip("walk", 50.0, FRAMES, errors, fault=(59, "tilt"))
    assert (result.success, result.failure, result.failure_s) == (False, "tilt", 1.18)
    assert judge_clip("walk", 50.0, FRAMES, errors).failure == "ended_early"


def test_means_over_clips_weigh_frames(walk):
    good = judge_clip("a", 50.0, FRAMES, tracking_errors(moved(walk, (0.1, 0, 0)), walk))
    short = walk.frames(slice(0, 34))
    bad = judge_clip("b", 50.0, 34, tracking_errors(moved(short, (1.5, 0, 0), frames=slice(33, None)), short))
    summary = summarize([good, bad])
    assert (summary.clips, summary.success_rate, summary.success_rate_foot_rule) == (2, 0.5, 0.5)
    assert summary.mpjpe_g_mm == pytest.approx((99 * 100 + 1 * 1500) / (99 + 33))
    assert summary.root_xy_error_m == pytest.approx((99 * 0.1 + 1.5) / 132)
    assert summary.mpjpe_l_mm_success == pytest.approx(0.0, abs=1e-9)
