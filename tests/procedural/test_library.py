"""The library as its users see it: names, seeds, and motions that a robot could do."""

import numpy as np
import pytest

from sonic_runtime.contract.errors import MotionError
from sonic_runtime.contract.rotations import quat_angle
from sonic_runtime.motions.clip import Clip
from sonic_runtime.motions.procedural import KINDS, demo_walk, generate, library
from sonic_runtime.motions.procedural.stance import centre_of_mass, standing
from sonic_runtime.motions.procedural.whole_body import zmp_of_motion
from sonic_runtime.robots import g1
from sonic_runtime.robots.g1_shapes import SOLE_OFFSETS_M
from sonic_runtime.robots.kinematics import points_on_bodies

WALKS = ("step_in_place", "walk_forward", "walk_backward", "walk_sideways", "turn_in_place", "walk_arc", "walk_mixed")
GROUND_M = 0.002
FPS = 50


@pytest.fixture(scope="module")
def clips() -> dict[str, Clip]:
    return {kind: generate(kind, seed=3) for kind in KINDS}


def soles(clip: Clip) -> np.ndarray:
    """(T, 2, P, 3) points under both feet."""
    offsets = np.array(SOLE_OFFSETS_M)
    return np.stack(
        [
            points_on_bodies(clip.body_pos_w, clip.body_quat_wxyz, (name,) * len(offsets), offsets)
            for name in g1.FOOT_BODY_NAMES
        ],
        axis=1,
    )


def outside_support(point: np.ndarray, ground: np.ndarray) -> float:
    """How far a point (2,) lies outside the convex hull of ground points (P, 2); negative inside.

    By the support function over directions: exact enough at one degree.
    """
    angles = np.deg2rad(np.arange(360.0))
    directions = np.stack([np.cos(angles), np.sin(angles)])
    return float((point @ directions - (ground @ directions).max(axis=0)).max())


def test_every_kind_has_a_clip_of_its_name(clips):
    assert set(WALKS) < set(KINDS)
    for kind, clip in clips.items():
        assert clip.name == f"proc_{kind}_00"
        assert clip.fps == FPS
        assert 3.0 < clip.duration_s < 25.0


@pytest.mark.parametrize("kind", KINDS)
def test_feet_neither_float_nor_sink_nor_slide(clips, kind):
    points = soles(clips[kind])
    lowest_of_foot = points[..., 2].min(axis=2)
    assert lowest_of_foot.min() > -GROUND_M
    assert np.abs(lowest_of_foot.min(axis=1)).max() < GROUND_M, "one foot at least is on the ground"
    flat = (points[..., 2] < 0.001).all(axis=2)
    assert flat.any(axis=1).mean() > 0.75, "nearly always one foot is flat"
    both = flat[1:] & flat[:-1]
    step_m = np.linalg.norm(np.diff(points[..., :2], axis=0), axis=-1).max(axis=-1)
    assert step_m[both].max() < 0.001


@pytest.mark.parametrize("kind", KINDS)
def test_joints_stay_within_ranges_and_speeds(clips, kind):
    clip = clips[kind]
    assert np.all(clip.joint_pos_hw > g1.JOINT_RANGE_HW[:, 0] + 0.02)
    assert np.all(clip.joint_pos_hw < g1.JOINT_RANGE_HW[:, 1] - 0.02)
    assert np.all(np.abs(clip.joint_vel_hw) < 0.8 * g1.VELOCITY_LIMIT_HW)
    acceleration = np.diff(clip.joint_vel_hw, axis=0) * FPS
    assert np.abs(acceleration).max() < 400.0


@pytest.mark.parametrize("kind", KINDS)
def test_starts_and_ends_standing_still_in_the_default_pose(clips, kind):
    clip = clips[kind]
    for frames in (slice(0, 2), slice(-2, None)):
        assert np.abs(clip.joint_pos_hw[frames] - g1.DEFAULT_POS_HW).max() < 0.02
        assert np.abs(clip.joint_vel_hw[frames]).max() < 0.02
        assert np.abs(clip.root_pos_w[frames, 2] - standing().pelvis_height_m).max() < 0.002


@pytest.mark.parametrize("kind", KINDS)
def test_zero_moment_point_stays_in_the_support_polygon(clips, kind):
    clip = clips[kind]
    qpos = np.concatenate([clip.root_pos_w, clip.root_quat_wxyz, clip.joint_pos_hw], axis=1)
    zmp, points = zmp_of_motion(qpos), soles(clip)
    worst = max(outside_support(zmp[t], points[t][points[t][..., 2] < 0.004][:, :2]) for t in range(1, len(clip) - 1))
    assert worst < 0.0


def test_zero_moment_point_of_a_still_robot_is_under_its_centre_of_mass(clips):
    clip = clips["squat"]
    qpos = np.concatenate([clip.root_pos_w, clip.root_quat_wxyz, clip.joint_pos_hw], axis=1)
    still = np.repeat(qpos[:1], 5, axis=0)
    com = centre_of_mass(clip.body_pos_w[:1], clip.body_quat_wxyz[:1])
    np.testing.assert_allclose(zmp_of_motion(still), np.repeat(com[:, :2], 5, axis=0), atol=1e-5)


def test_walks_go_where_their_names_say(clips):
    def path(kind: str) -> np.ndarray:
        return clips[kind].root_pos_w[-1] - clips[kind].root_pos_w[0]

    assert path("walk_forward")[0] > 1.0
    assert abs(path("walk_forward")[1]) < 0.05
    assert path("walk_backward")[0] < -0.5
    assert abs(path("walk_sideways")[1]) > 0.2
    assert np.linalg.norm(path("step_in_place")[:2]) < 0.02
    turn = clips["turn_in_place"].root_quat_wxyz
    assert quat_angle(turn[0], turn[len(turn) // 2]) > 0.3


def test_squats_and_bows_are_deep(clips):
    lowest = min(generate("squat", seed=0, number=n).root_pos_w[:, 2].min() for n in range(3))
    assert lowest < 0.6
    torso = clips["bow"].body_quat_wxyz[:, g1.BODY_NAMES.index("torso_link")]
    assert quat_angle(torso[:1], torso).max() > 0.3


def test_the_same_seed_gives_the_same_clip_and_another_seed_another():
    first, again, other = generate("wave", 5), generate("wave", 5), generate("wave", 6)
    np.testing.assert_array_equal(first.joint_pos_hw, again.joint_pos_hw)
    assert len(first) != len(other) or not np.allclose(first.joint_pos_hw, other.joint_pos_hw)
    assert not np.array_equal(generate("wave", 5, number=1).joint_pos_hw[:200], first.joint_pos_hw[:200])


def test_library_holds_every_kind_and_reports_progress():
    seen = []
    made = library(seed=1, clips_per_kind=1, progress=lambda done, total: seen.append((done, total)))
    assert [clip.name for clip in made] == [f"proc_{kind}_00" for kind in KINDS]
    assert seen == [(i + 1, len(KINDS)) for i in range(len(KINDS))]


def test_demo_walk_lasts_as_long_as_asked_and_moves_on():
    walk = demo_walk(seconds=20.0)
    assert walk.duration_s == pytest.approx(20.0, abs=0.6)
    assert np.ptp(walk.root_pos_w[:, 0]) > 2.0
    assert quat_angle(walk.root_quat_wxyz[0], walk.root_quat_wxyz[-1]) > 0.5


def test_an_unknown_kind_is_named_with_those_there_are():
    with pytest.raises(MotionError, match=r"walk_forward.*'moonwalk'"):
        generate("moonwalk")


def test_no_clips_or_workers_is_an_error():
    with pytest.raises(MotionError, match="at least 1"):
        library(workers=0)
    with pytest.raises(MotionError, match="at least 1"):
        library(clips_per_kind=0)
