"""Profiles, the inverted pendulum, footsteps and the solver, each on its own."""

from dataclasses import replace

import numpy as np
import pytest

from sonic_runtime.contract.errors import MotionError
from sonic_runtime.motions.procedural import gestures
from sonic_runtime.motions.procedural.balance import com_for_zmp, zmp_of_com
from sonic_runtime.motions.procedural.footsteps import Command, GaitStyle, foot_paths, load_path, plan_footsteps
from sonic_runtime.motions.procedural.profiles import bump, frame_times, minimum_jerk, smoothed, through
from sonic_runtime.motions.procedural.stance import ANKLE_HEIGHT_M, LEFT, RIGHT, standing
from sonic_runtime.motions.procedural.whole_body import solve


@pytest.mark.parametrize(("profile", "end"), [(minimum_jerk, 1.0), (bump, 0.0)])
def test_profiles_start_and_end_at_rest(profile, end):
    s = np.linspace(-0.1, 1.1, 12001)
    values, step = profile(s), s[1] - s[0]
    assert values[0] == 0.0
    assert values[-1] == pytest.approx(end)
    assert values.max() == pytest.approx(1.0)
    speed = np.diff(values) / step
    outside = (s[:-1] < 0.0005) | (s[:-1] > 0.9995)
    assert np.abs(speed[outside]).max() < 1e-3
    assert np.abs(np.diff(speed)).max() / step < 40.0


def test_through_visits_its_points():
    times = frame_times(4.0)
    path = through(times, [1.0, 2.0, 3.0], [[0.0, 1.0], [2.0, -1.0], [1.0, 0.5]])
    np.testing.assert_allclose(path[[0, 50, 100, 150, -1]], [[0, 1], [0, 1], [2, -1], [1, 0.5], [1, 0.5]], atol=1e-12)


def test_smoothing_keeps_constants_and_lines():
    line = np.arange(100.0)[:, None] * [1.0, -2.0]
    np.testing.assert_allclose(smoothed(line, 0.4)[20:80], line[20:80])
    np.testing.assert_allclose(smoothed(np.full(30, 3.0), 0.5), 3.0)


def test_pendulum_returns_the_zero_moment_point_it_was_given():
    times = frame_times(6.0)
    wanted = through(times, [1.5, 1.8, 2.4, 2.8, 4.5], [[0, 0], [0.0, 0.1], [0.05, 0.1], [0.3, -0.1], [0.3, 0.0]])
    com = com_for_zmp(wanted, 0.67, settle_s=1.0)
    found = zmp_of_com(com, 0.67)
    between = slice(60, 230)  # away from the swings at both ends
    np.testing.assert_allclose(found[between], wanted[1:-1][between], atol=2e-3)
    np.testing.assert_allclose(com[[0, -1]], wanted[[0, -1]], atol=1e-9)
    assert np.abs(np.diff(com, axis=0)[[0, -1]]).max() < 1e-4


def test_footsteps_alternate_and_end_side_by_side():
    plan = plan_footsteps([Command(0.5, 0.0, 0.0, 8)], GaitStyle(), first_side=RIGHT)
    assert [step.side for step in plan.steps[:4]] == [RIGHT, LEFT, RIGHT, LEFT]
    np.testing.assert_allclose(plan.final[LEFT, 0], plan.final[RIGHT, 0])
    np.testing.assert_allclose(plan.final[LEFT, 1] - plan.final[RIGHT, 1], standing().width_m)
    lengths = [step.goal[0] - step.stance[0] for step in plan.steps[3:7]]
    np.testing.assert_allclose(lengths, 0.25, atol=1e-9)


def test_sideways_steps_keep_the_feet_apart():
    plan = plan_footsteps([Command(0.0, 0.2, 0.0, 8)], GaitStyle())
    gaps = [abs(step.goal[1] - step.stance[1]) for step in plan.steps]
    assert min(gaps) > 0.2


def test_a_foot_moves_only_in_its_own_swing_and_rolls_without_sinking():
    style = GaitStyle()
    plan = plan_footsteps([Command(0.6, 0.0, 0.3, 8)], style)
    times = frame_times(plan.duration_s)
    ankles, _, pitch = foot_paths(plan, style, times)
    assert ankles[..., 2].min() > ANKLE_HEIGHT_M - 1e-9
    assert pitch.min() >= 0.0
    step = plan.steps[4]
    standing_on = (times > step.start_s) & (times < step.end_s)
    assert np.ptp(ankles[standing_on, 1 - step.side], axis=0).max() < 1e-9
    assert np.ptp(ankles[standing_on, step.side, 0]) > 0.4


def test_the_load_is_on_the_stance_foot_during_a_swing():
    style = GaitStyle()
    plan = plan_footsteps([Command(0.4, 0.0, 0.0, 6)], style)
    times = frame_times(plan.duration_s)
    load = load_path(plan, style, times)
    for step in plan.steps:
        swing = (times >= step.start_s) & (times <= step.end_s)
        offset = load[swing] - step.stance[:2]
        assert np.all(offset[:, 0] > -0.03)
        assert np.all(offset[:, 0] < 0.11)
        assert np.abs(offset[:, 1]).max() < 0.02


def test_targets_out_of_reach_are_refused():
    targets = gestures.squat(np.random.default_rng(0))
    with pytest.raises(MotionError, match="out of reach"):
        solve(replace(targets, height_m=targets.height_m + 0.2), "too_tall")


def test_arms_through_the_body_are_refused():
    targets = gestures.stand_sway(np.random.default_rng(0))
    posture = targets.joint_pos_hw.copy()
    posture[:, gestures.JOINT_INDEX_HW["left_shoulder_roll_joint"]] = -0.5
    with pytest.raises(MotionError, match="overlap"):
        solve(replace(targets, joint_pos_hw=posture), "crossed")
