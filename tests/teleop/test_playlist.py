"""Motions that an operator chooses, plays and pauses: the reference never jumps."""

import dataclasses

import numpy as np
import pytest

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.operator import BINDINGS, OperatorEvent
from sonic_runtime.contract.rotations import quat_angle, quat_from_yaw, quat_multiply, quat_rotate, yaw_of_quat
from sonic_runtime.robots import g1
from teleop.bridge import BRIDGE_FRAMES
from teleop.playlist import Playlist, pose_reference
from tests.fakes.parts import make_state
from tests.teleop.clips import turning_clip

YAW = 1.0
DEFAULT_POL = g1.to_policy_order(g1.DEFAULT_POS_HW)


def clips():
    """Three motions of different lengths; the second ends far from where the third begins."""
    first, second, third = (turning_clip(frames) for frames in (30, 40, 50))
    joints = second.joint_pos_hw.copy()
    joints[:, 3] += np.linspace(0.3, 0.9, 40)
    return [
        dataclasses.replace(first, name="a"),
        dataclasses.replace(second, name="b", joint_pos_hw=joints, joint_vel_hw=np.gradient(joints, 0.02, axis=0)),
        dataclasses.replace(third, name="c"),
    ]


class Session:
    """A playlist, read tick by tick by a robot that follows exactly, and everything it gave."""

    def __init__(self, encoder="g1", **options):
        self.said = []
        self.playlist = Playlist(clips(), encoder, say=self.said.append, **options)
        self.state = make_state(base_quat_wxyz=quat_from_yaw(np.float64(YAW)), base_pos_w=np.array([2.0, 3.0, 0.76]))
        self.goals = []

    def read(self, *kinds, ticks=1, follow=True):
        for tick in range(ticks):
            events = [k if isinstance(k, OperatorEvent) else OperatorEvent(k) for k in kinds] if tick == 0 else []
            goal = self.playlist.read(self.state, events)
            if goal is not None:
                self.goals.append(goal)
                if follow:
                    self.state = make_state(
                        stamp_ns=self.state.stamp_ns + 20_000_000,
                        joint_pos_hw=g1.to_hw_order(joints(goal)), base_quat_wxyz=facing(goal), base_pos_w=place(goal),
                    )  # fmt: skip
        return goal


def joints(goal):
    return goal.reference.joint_pos_pol[goal.reference.cursor]


def facing(goal):
    return quat_multiply(goal.heading_quat_wxyz, goal.reference.root_quat_wxyz[goal.reference.cursor])


def place(goal):
    return quat_rotate(goal.heading_quat_wxyz, goal.reference.root_pos_w[goal.reference.cursor])


def frame(goal):
    return goal.reference.first_index + goal.reference.cursor


def yaw_between(one, other):
    return float(np.angle(np.exp(1j * (yaw_of_quat(facing(one)) - yaw_of_quat(facing(other))))))


@pytest.fixture
def session():
    return Session()


def test_before_the_first_play_there_is_no_goal(session):
    assert session.read("pause", "restart", "turn", "recenter", "encoder", "start", "policy") is None
    assert session.read("next") is None
    assert session.playlist.line() == "b 2/3: 40 frames, not begun, paused"
    assert session.said[-1] == "motion 2 of 3: b, 0.8 s"


def test_play_leads_from_standing_to_the_first_frame_and_plays_to_the_end(session):
    goal = session.read("play")
    np.testing.assert_allclose(joints(goal), DEFAULT_POL, atol=0.01)
    assert yaw_of_quat(facing(goal)) == pytest.approx(YAW, abs=0.01)
    np.testing.assert_allclose(place(goal)[:2], [2.0, 3.0], atol=0.01)
    assert session.playlist.line() == "a 1/3: on the way to it, playing"
    session.read(ticks=BRIDGE_FRAMES - 2)
    assert frame(session.goals[-1]) == -1
    assert session.playlist.line() == "a 1/3: frame 1/30, playing"
    session.read(ticks=30)
    assert [frame(g) for g in session.goals] == list(range(1 - BRIDGE_FRAMES, 30))
    assert all(g.reference.playing for g in session.goals)
    np.testing.assert_array_equal(joints(session.goals[-1]), g1.to_policy_order(clips()[0].joint_pos_hw[-1]))
    # the motion begins in the direction of the robot and turns as it was recorded
    assert yaw_of_quat(facing(session.goals[BRIDGE_FRAMES - 1])) == pytest.approx(YAW, abs=1e-6)
    assert yaw_of_quat(facing(session.goals[-1])) == pytest.approx(YAW + 0.6, abs=1e-6)
    rest = session.read()
    assert (frame(rest), rest.reference.playing) == (29, False)
    assert session.playlist.line() == "a 1/3: frame 30/30, paused"


def test_a_policy_that_looks_ahead_sees_over_the_end_of_the_way(session):
    session.read("play", ticks=BRIDGE_FRAMES - 2)
    reference = session.goals[-1].reference
    motion = g1.to_policy_order(clips()[0].joint_pos_hw)
    np.testing.assert_array_equal(reference.joint_pos_pol[reference.cursor + 2 :], motion)


def test_pause_rests_at_once_and_play_goes_on(session):
    session.read("play", ticks=BRIDGE_FRAMES + 9)
    held = session.read("pause")
    assert (frame(held), held.reference.playing) == (10, False)
    assert frame(session.read(ticks=20)) == 10
    assert [frame(session.read("play")), frame(session.read())] == [10, 11]


def test_pause_on_the_way_rests_there_and_play_goes_on_to_the_motion(session):
    session.read("play", ticks=10)
    held = session.read("pause", ticks=5)
    assert (frame(held), held.reference.playing) == (11 - BRIDGE_FRAMES, False)
    goal = session.read("play", ticks=BRIDGE_FRAMES - 10)
    assert (frame(goal), goal.reference.playing) == (0, True)


def test_play_at_the_end_leads_back_to_the_beginning(session):
    session.read("play", ticks=BRIDGE_FRAMES + 40)
    assert frame(session.read("play")) == 1 - BRIDGE_FRAMES
    goal = session.read(ticks=BRIDGE_FRAMES)
    assert (frame(goal), goal.reference.playing) == (1, True)
    # it goes on where and in the direction in which it had ended
    assert yaw_of_quat(facing(session.goals[-2])) == pytest.approx(YAW + 0.6, abs=1e-6)
    np.testing.assert_allclose(place(goal)[:2], place(session.goals[BRIDGE_FRAMES + 30])[:2], atol=0.05)


@pytest.mark.parametrize(("kind", "name"), [("next", "b"), ("previous", "c"), ("restart", "a")])
def test_another_motion_is_led_to_and_rests_at_its_first_frame(session, kind, name):
    session.read("play", ticks=BRIDGE_FRAMES + 15)
    before = session.goals[-1]
    goal = session.read(kind, ticks=BRIDGE_FRAMES)
    assert session.playlist.name == name
    assert (frame(goal), goal.reference.playing) == (0, False)
    motion = next(c for c in clips() if c.name == name)
    np.testing.assert_array_equal(joints(goal), g1.to_policy_order(motion.joint_pos_hw[0]))
    # it coasts on for a moment and comes back to where it faced
    assert abs(yaw_between(goal, before)) < 1e-6
    assert frame(session.read(ticks=10)) == 0
    assert [frame(session.read("play")), frame(session.read())] == [0, 1]


def test_a_way_ends_at_rest(session):
    session.read("play", ticks=BRIDGE_FRAMES + 15)
    session.read("next", ticks=BRIDGE_FRAMES - 1)
    reference = session.goals[-1].reference
    assert len(reference) == BRIDGE_FRAMES
    assert np.all(reference.joint_vel_pol[-1] == 0.0)
    assert np.abs(reference.joint_vel_pol[-2]).max() < 0.05


def test_play_on_the_way_plays_on_from_it(session):
    session.read("play", ticks=BRIDGE_FRAMES + 15)
    session.read("next", ticks=20)
    session.read("play", ticks=BRIDGE_FRAMES)
    assert frame(session.goals[-1]) == 20
    assert [frame(g) for g in session.goals[-21:]] == list(range(21))


def test_a_motion_that_is_left_while_it_moves_does_not_stop_dead(session):
    session.read("play", ticks=BRIDGE_FRAMES + 15)
    speed_before = joints(session.goals[-1]) - joints(session.goals[-2])
    speed_after = joints(session.read("restart")) - joints(session.goals[-2])
    fast = np.abs(speed_before) > 0.5 * np.abs(speed_before).max()
    np.testing.assert_allclose(speed_after[fast], speed_before[fast], rtol=0.2)


def test_a_turn_is_carried_out_steadily_and_is_bounded(session):
    session.read("play", ticks=BRIDGE_FRAMES + 40)
    rest = session.goals[-1]
    left = next(b.event for b in BINDINGS if b.event.kind == "turn" and b.event.value > 0)
    session.read(left, left, ticks=5)
    assert yaw_between(session.goals[-1], rest) == pytest.approx(0.1)
    session.read(ticks=60)
    assert yaw_between(session.goals[-1], rest) == pytest.approx(np.pi / 6)
    session.read(*[left] * 100, ticks=400)
    assert yaw_between(session.goals[-1], rest) == pytest.approx(np.pi / 6 + np.pi - 2 * np.pi)


def test_recenter_faces_where_the_robot_faces(session):
    session.read("play", ticks=BRIDGE_FRAMES + 40)
    session.state = make_state(base_quat_wxyz=quat_from_yaw(np.float64(-2.0)))
    assert yaw_of_quat(facing(session.read("recenter", follow=False))) == pytest.approx(-2.0)


def test_encoders_are_those_that_can_read_the_motion():
    session = Session(encoders_of=lambda motion: ["g1", "smpl"] if len(motion) > 35 else ["g1"])
    session.read("play", "encoder")
    assert session.goals[-1].encoder == "g1"
    assert session.said[-1] == "encoder: g1, the only one with data"
    assert session.read("next", "encoder").encoder == "smpl"
    assert session.read("encoder").encoder == "g1"
    assert session.read("encoder").encoder == "smpl"
    assert session.read("previous").encoder == "g1"


def test_a_motion_that_no_encoder_can_read_is_refused():
    with pytest.raises(ConfigError, match=r"motion a: expected one that the encoder 'smpl' .* can read, found .*: g1"):
        Session("smpl", encoders_of=lambda motion: ["g1"])
    with pytest.raises(ConfigError, match="at least one motion"):
        Playlist([], "g1")


def test_every_track_goes_along_on_the_way(session):
    session.read("play", ticks=BRIDGE_FRAMES + 15)
    here = session.goals[-1].reference
    session.read("next", ticks=BRIDGE_FRAMES)
    way, there = session.goals[-2].reference, session.goals[-1].reference
    for name in ("vr_pos_b", "vr5_pos_b", "smpl_joints_b"):
        track = getattr(way, name)
        np.testing.assert_allclose(track[0], getattr(here, name)[here.cursor], atol=0.02)
        np.testing.assert_allclose(track[-1], getattr(there, name)[0], atol=1e-9)
        assert np.abs(np.diff(track, axis=0)).max() < 0.03
    for name in ("vr_quat_b_wxyz", "vr5_quat_b_wxyz", "smpl_root_quat_wxyz"):
        track = getattr(way, name)
        np.testing.assert_allclose(np.linalg.norm(track, axis=-1), 1.0, atol=1e-9)
        assert quat_angle(track[-1], getattr(there, name)[0]).max() < 1e-6
        assert quat_angle(track[1:], track[:-1]).max() < 0.05


def test_after_something_else_was_in_charge_it_begins_at_the_robot(session):
    session.read("play", ticks=BRIDGE_FRAMES + 15)
    session.read("source")
    assert not session.read().reference.playing
    moved = g1.DEFAULT_POS_HW + 0.8 * np.sign(np.arange(29) - 14.5)
    session.state = make_state(joint_pos_hw=moved, base_quat_wxyz=quat_from_yaw(np.float64(-2.0)))
    goal = session.read("source")
    np.testing.assert_allclose(joints(goal), g1.to_policy_order(moved), atol=0.01)
    assert yaw_of_quat(facing(goal)) == pytest.approx(-2.0, abs=1e-3)
    goal = session.read(ticks=BRIDGE_FRAMES - 1)
    np.testing.assert_array_equal(joints(goal), g1.to_policy_order(clips()[0].joint_pos_hw[16]))
    assert not session.read(ticks=3).reference.playing
    assert frame(session.read("play", ticks=2)) == 17


def test_taking_over_before_anything_is_tracked_begins_nothing(session):
    assert session.read("source", ticks=3) is None
    assert session.playlist.line() == "a 1/3: 30 frames, not begun, paused"
    assert session.read("play") is not None


def test_handing_over_to_motions_that_were_never_begun_gives_a_goal_at_rest(session):
    goal = session.read(OperatorEvent("source", 1.0))
    np.testing.assert_allclose(joints(goal), DEFAULT_POL, atol=0.01)
    session.read(ticks=BRIDGE_FRAMES)
    assert (frame(session.goals[-1]), session.goals[-1].reference.playing) == (0, False)


def test_play_before_the_policy_is_in_charge_begins_anew_at_the_start(session):
    session.read("play", ticks=BRIDGE_FRAMES + 25, follow=False)
    far = make_state(joint_pos_hw=g1.DEFAULT_POS_HW - 0.6)
    session.state = far
    goal = session.read("start")
    np.testing.assert_allclose(joints(goal), g1.to_policy_order(far.joint_pos_hw), atol=0.01)
    assert session.read(ticks=BRIDGE_FRAMES + 1).reference.playing
    before = frame(session.goals[-1])
    assert frame(session.read("start")) == before + 1  # pressed by mistake while it tracks


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_asked_for_the_reference_never_jumps(seed):
    rng = np.random.default_rng(seed)
    session = Session()
    session.read("play")
    kinds = [b.event for b in BINDINGS if b.event.kind not in ("stop", "recenter")]
    for _ in range(600):
        pressed = [kinds[rng.integers(len(kinds))]] if rng.random() < 0.15 else []
        session.read(*pressed)
    for one, other in zip(session.goals[:-1], session.goals[1:], strict=True):
        assert np.abs(joints(other) - joints(one)).max() < 0.06  # 3 rad/s
        assert quat_angle(facing(other), facing(one)) < 0.07
        assert np.linalg.norm(place(other) - place(one)) < 0.06
        assert 0 <= other.reference.cursor < len(other.reference)
        assert np.isfinite(other.reference.joint_vel_pol).all()
        moved = other.reference
        low, high = g1.JOINT_RANGE_HW[g1.HW_INDEX_OF_POL].T
        assert np.all((moved.joint_pos_pol >= low - 1e-9) & (moved.joint_pos_pol <= high + 1e-9))


def test_a_pose_has_all_tracks_of_a_motion():
    pose = pose_reference(g1.DEFAULT_POS_HW, quat_from_yaw(np.float64(0.5)))
    motion = Session().playlist._motions[0]
    for field in dataclasses.fields(motion):
        value = getattr(motion, field.name)
        if isinstance(value, np.ndarray):
            assert getattr(pose, field.name).shape == (1, *value.shape[1:])
