"""The planner topic without a planner: standing, with the arms and hands that it asks for."""

from dataclasses import replace

import numpy as np
import pytest

from sonic_runtime.contract.errors import WireError
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.contract.rotations import yaw_of_quat
from sonic_runtime.motions.standing_reference import standing_reference
from teleop.planner_packet import LOW_MODES, MODES, STATIC_MODES, PlannerCommand, pack_planner, unpack_planner
from teleop.planner_stream import TIMEOUT_NS, PlannerStream
from teleop.pose_packet import Hands
from teleop.wire import pack
from tests.teleop.inboxes import VR, HeldInbox
from tests.teleop.test_pose_stream import state

IDLE = PlannerCommand(mode=0, movement=np.zeros(3), facing=np.array([1.0, 0.0, 0.0]))
FULL = replace(
    IDLE,
    upper_body_pos_pol=np.linspace(-0.5, 0.5, 17),
    upper_body_vel_pol=np.linspace(0.1, 0.2, 17),
    hands=Hands(left_pos=np.full(7, 0.5), right_pos=np.full(7, -0.5)),
    vr=VR,
    compliance=np.array([0.1, 0.2, 0.0]),
)
REQUIRED = {
    "mode": np.array([2], np.int32),
    "movement": np.array([3.0, 4.0, 0.0], np.float32),
    "facing": np.array([0.0, -2.0, 0.0]),
}


def raw(**changes) -> bytes:
    return pack("planner", 1, {n: v for n, v in {**REQUIRED, **changes}.items() if v is not None})


def test_round_trip():
    back = unpack_planner(pack_planner(FULL))
    for name in ("movement", "facing", "upper_body_pos_pol", "upper_body_vel_pol", "compliance"):
        np.testing.assert_allclose(getattr(back, name), getattr(FULL, name), atol=1e-6)
    np.testing.assert_allclose(back.vr.pos_b, VR.pos_b, atol=1e-6)
    np.testing.assert_allclose(back.hands.right_pos, FULL.hands.right_pos)
    assert (back.mode, back.speed, back.height_m) == (0, -1.0, -1.0)


def test_directions_are_normalised_and_defaults_filled_in():
    back = unpack_planner(raw(vr_position=np.zeros((1, 9), np.float32)))
    assert back.movement.tolist() == pytest.approx([0.6, 0.8, 0.0])
    assert back.facing.tolist() == [0, -1, 0]
    assert (back.speed, back.height_m, back.compliance) == (-1.0, -1.0, None)
    assert back.vr.pos_b.shape == (3, 3)


def test_no_direction_stays_none():
    assert unpack_planner(raw(movement=np.zeros(3, np.float32))).movement.tolist() == [0, 0, 0]


def test_clamps_by_mode():
    for mode in range(len(MODES)):
        back = unpack_planner(raw(mode=np.array([mode]), speed=np.array([0.7]), height=np.array([0.05])))
        assert back.speed == (-1.0 if mode in STATIC_MODES else 0.7)
        assert back.height_m == (0.2 if mode in LOW_MODES else 0.05)
    assert unpack_planner(raw(vr_compliance=np.array([0.9, 0.5, 0.0]))).compliance.tolist() == [0.5, 0.5, 0.0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mode": None}, "mode"),
        ({"mode": np.array([-1])}, "from 0 to 26"),
        ({"mode": np.array([27])}, "from 0 to 26"),
        ({"mode": np.array([1.0])}, "float64"),
        ({"facing": None}, "facing"),
        ({"movement": np.zeros(2)}, "3 values"),
        ({"movement": np.array([np.nan, 0, 0])}, "finite"),
        ({"speed": np.array([np.inf])}, "finite"),
        ({"height": np.array([3.0])}, "height"),
        ({"upper_body_position": np.zeros(16)}, "17 values"),
        ({"upper_body_position": np.full(17, 90.0)}, "radians"),
        ({"upper_body_velocity": np.full(17, 300.0)}, "rad/s"),
        ({"left_hand_joints": np.zeros(6)}, "left_hand_joints"),
        ({"vr_orientation": np.ones(12)}, "unit quaternions"),
        ({"vr_compliance": np.array([-0.1, 0, 0])}, "vr_compliance"),
        ({"vr_compliance": np.array([1.1, 0, 0])}, "vr_compliance"),
    ],
)
def test_what_is_wrong_is_named(changes, says):
    with pytest.raises(WireError, match=says):
        unpack_planner(raw(**changes))


@pytest.fixture
def link():
    inbox, said = HeldInbox(), []
    return inbox, PlannerStream(inbox, ("g1", "teleop", "smpl"), said.append), said


def test_no_goal_before_the_first_message(link):
    assert link[1].read(state()) is None


def test_idle_stands_where_the_robot_faces_and_never_gets_old(link):
    inbox, stream, said = link
    inbox.send(pack_planner(IDLE))
    goal = stream.read(state(yaw=0.8, stamp_ns=5))
    assert (goal.encoder, goal.reference.playing, goal.stamp_ns) == ("g1", False, 5)
    np.testing.assert_array_equal(goal.reference.joint_pos_pol, standing_reference().joint_pos_pol)
    assert yaw_of_quat(stream.read(state(yaw=0.9, stamp_ns=6)).heading_quat_wxyz) == pytest.approx(0.8)
    assert (said, stream.counters.unplanned) == ([], 0)


def test_a_motion_is_answered_with_standing_and_one_message(link):
    inbox, stream, said = link
    for _ in range(5):
        inbox.send(raw())
        assert len(stream.read(state()).reference) == 1
    assert stream.counters.unplanned == 5
    assert len(said) == 1
    assert "walk was asked for, but no planner is loaded" in said[0]
    assert "5 answered with standing" in stream.line()


def test_arms_hands_and_compliance_are_followed(link):
    inbox, stream, _ = link
    inbox.send(pack_planner(FULL))
    goal = stream.read(state())
    assert (goal.encoder, goal.reference.playing) == ("teleop", True)
    np.testing.assert_allclose(goal.upper_body_pos_pol, FULL.upper_body_pos_pol, atol=1e-6)
    np.testing.assert_allclose(goal.upper_body_vel_pol, FULL.upper_body_vel_pol, atol=1e-6)
    np.testing.assert_allclose(goal.vr_compliance, [0.1, 0.2, 0.0], atol=1e-6)
    np.testing.assert_allclose(goal.hand_joint_pos[:, 0], [0.5, -0.5])
    np.testing.assert_allclose(goal.reference.vr_pos_b[0], VR.pos_b, atol=1e-6)
    np.testing.assert_allclose(goal.reference.vr_quat_b_wxyz[0], VR.quat_b_wxyz, atol=1e-6)


def test_a_message_without_them_ends_arms_and_vr(link):
    inbox, stream, _ = link
    inbox.send(pack_planner(FULL), pack_planner(IDLE))
    goal = stream.read(state())
    assert (goal.encoder, goal.upper_body_pos_pol, goal.reference.vr_pos_b, goal.vr_compliance) == (
        "g1",
        None,
        None,
        None,
    )
    assert goal.hand_joint_pos[:, 0].tolist() == [0.5, -0.5], "hands hold what they hold"


def test_after_a_second_of_silence_it_is_idle(link):
    inbox, stream, _ = link
    inbox.send(pack_planner(FULL))
    stream.read(state(stamp_ns=0))
    assert stream.read(state(stamp_ns=TIMEOUT_NS)).encoder == "teleop"
    for later in (1, 2):
        goal = stream.read(state(stamp_ns=TIMEOUT_NS + later))
        assert (goal.encoder, goal.upper_body_pos_pol, goal.hand_joint_pos) == ("g1", None, None)
        assert goal.stamp_ns == TIMEOUT_NS + later
    assert stream.counters.timeouts == 1
    inbox.send(pack_planner(FULL))
    assert stream.read(state(stamp_ns=3 * TIMEOUT_NS)).encoder == "teleop"


def test_vr_points_without_the_teleop_encoder_are_counted_and_said_once():
    said = []
    stream = PlannerStream(HeldInbox(pack_planner(FULL), pack_planner(FULL)), ("g1",), said.append)
    goal = stream.read(state())
    assert (goal.encoder, goal.reference.vr_pos_b, stream.counters.vr_unused, len(said)) == ("g1", None, 2, 1)
    assert "no teleop encoder" in said[0]


def test_events_turn_the_stand(link):
    inbox, stream, _ = link
    inbox.send(pack_planner(IDLE))
    stream.read(state(yaw=0.3))
    goals = [stream.read(state(), [OperatorEvent("turn", 0.2)]), *(stream.read(state()) for _ in range(12))]
    yaws = [float(yaw_of_quat(goal.heading_quat_wxyz)) for goal in goals]
    assert yaws == pytest.approx([min(0.32 + 0.02 * tick, 0.5) for tick in range(13)]), "at 1 rad/s"
    assert yaw_of_quat(stream.read(state(yaw=1.0), [OperatorEvent("source")]).heading_quat_wxyz) == pytest.approx(1.0)


def test_malformed_messages_are_counted_and_change_nothing(link):
    inbox, stream, _ = link
    inbox.send(pack_planner(FULL), raw(mode=np.array([99])), b"planner")
    assert stream.read(state()).encoder == "teleop"
    assert (stream.counters.received, stream.counters.rejected) == (3, 2)
