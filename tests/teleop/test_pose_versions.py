"""The four versions of the pose topic: what each says, which encoder reads it, and a change of version."""

import numpy as np
import pytest

from sonic_runtime.contract.errors import WireError
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.contract.rotations import yaw_of_quat
from sonic_runtime.motions.vr_points import VR_QUAT_STANDING_B_WXYZ
from sonic_runtime.robots import g1
from teleop.pose_packet import Hands, pack_pose, unpack_pose
from teleop.pose_stream import PLAYABLE_NS, VERSION_HANDOVER_NS, PoseStream
from teleop.wire import pack
from tests.teleop.inboxes import VR, HeldInbox, frames, message, token
from tests.teleop.test_pose_stream import state

LOOK_AHEAD = {"g1": 4, "teleop": 4, "smpl": 3}
MS = 1_000_000


@pytest.fixture
def link():
    inbox = HeldInbox()
    return inbox, PoseStream(inbox, LOOK_AHEAD, takes_tokens=True)


def published(version: int, **changes) -> bytes:
    """A message of two frames as SONIC's clients pack it, with changes; None leaves a field out."""
    fields = {
        "smpl_pose": np.zeros((2, 21, 3), np.float32),
        "smpl_joints": np.zeros((2, 24, 3), np.float32),
        "body_quat_w": np.tile(np.array([1, 0, 0, 0], np.float32), (2, 1)),
        "joint_pos": np.zeros((2, 29)),
        "joint_vel": np.zeros((2, 29)),
        "frame_index": np.array([7, 8]),
        "token_state": np.zeros((1, 64), np.float32),
    }
    fields.update(changes)
    return pack("pose", version, {name: value for name, value in fields.items() if value is not None})


@pytest.mark.parametrize("version", [1, 2, 3])
def test_round_trip_of_frames(version):
    hands = Hands(left_pos=np.linspace(0, 1, 7), right_pos=-np.linspace(0, 1, 7))
    sent = frames(version, 40, 5, yaw=0.3, vr=VR, hands=hands)
    back = unpack_pose(pack_pose(sent))
    assert (type(back), back.version, back.frame_index.tolist()) == (type(sent), version, list(range(40, 45)))
    for name, track in sent.tracks().items():
        np.testing.assert_allclose(back.tracks()[name], track, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(back.vr.pos_b, VR.pos_b, atol=1e-6)
    np.testing.assert_allclose(back.vr.quat_b_wxyz, VR.quat_b_wxyz, atol=1e-6)
    np.testing.assert_allclose(back.hands.left_pos, hands.left_pos, atol=1e-6)
    np.testing.assert_allclose(back.hands.right_pos, hands.right_pos, atol=1e-6)


def test_round_trip_of_a_token():
    back = unpack_pose(pack_pose(token(9)))
    assert (back.version, back.frame_index) == (4, 9)
    assert back.token.dtype == np.float32
    np.testing.assert_array_equal(back.token, token(9).token)


def test_the_headset_client_s_message_is_understood():
    """All fields that it sends, with their dtypes and shapes."""
    one = np.zeros(1, np.float32)
    extras = {name: one for name in ("left_trigger", "right_trigger", "left_grip", "right_grip", "pico_dt", "pico_fps")}
    sent = published(
        3, token_state=None, vr_position=np.arange(9, dtype=np.float32) / 10,
        vr_orientation=np.tile(np.array([1, 0, 0, 0], np.float32), 3), left_hand_joints=np.full(7, 0.5, np.float32),
        right_hand_joints=np.full((2, 7), [[-0.5], [0.9]], np.float32),
        heading_increment=np.array([0.1], np.float32),
        timestamp_realtime=np.array([1.7e9]), timestamp_monotonic=np.array([12.5]),
        toggle_data_collection=np.array([False]), **extras,
    )  # fmt: skip
    back = unpack_pose(sent)
    assert back.version == 3
    assert back.vr.pos_b[2].tolist() == pytest.approx([0.6, 0.7, 0.8])
    assert back.hands.right_pos.tolist() == [-0.5] * 7
    assert (back.heading_increment_rad, back.sent_s) == (pytest.approx(0.1), 12.5)


def test_version_2_has_the_default_joints_at_rest():
    tracks = unpack_pose(published(2)).tracks()
    np.testing.assert_array_equal(tracks["joint_pos_pol"], np.tile(g1.to_policy_order(g1.DEFAULT_POS_HW), (2, 1)))
    assert not tracks["joint_vel_pol"].any()


def test_vr_points_without_orientations_have_the_standing_ones():
    back = unpack_pose(published(1, vr_position=np.zeros((1, 9))))
    np.testing.assert_array_equal(back.vr.quat_b_wxyz, VR_QUAT_STANDING_B_WXYZ)


BAD = {
    "no smpl_pose": (2, {"smpl_pose": None}, "smpl_pose"),
    "no joints in v3": (3, {"joint_pos": None}, "joint_pos"),
    "23 joints": (2, {"smpl_joints": np.zeros((2, 23, 3), np.float32)}, r"\[2, 24, 3\]"),
    "millimetres": (2, {"smpl_joints": np.full((2, 24, 3), 900.0)}, "within 3 m"),
    "pose in degrees": (3, {"smpl_pose": np.full((2, 21, 3), 90.0)}, "radians"),
    "NaN wrist": (3, {"joint_pos": np.full((2, 29), np.nan)}, "finite"),
    "other count": (3, {"smpl_joints": np.zeros((3, 24, 3))}, r"\[2, 24, 3\]"),
    "63 tokens": (4, {"token_state": np.zeros(63, np.float32)}, "64 values"),
    "no token": (4, {"token_state": None}, "token_state"),
    "large token": (4, {"token_state": np.full(64, 1.26)}, r"1\.25"),
    "NaN token": (4, {"token_state": np.full(64, np.nan)}, "finite"),
    "token of integers": (4, {"token_state": np.zeros(64, np.int32)}, "int32"),
    "eight fingers": (1, {"left_hand_joints": np.zeros(8)}, "left_hand_joints"),
    "hand far": (4, {"right_hand_joints": np.full(7, 4.0)}, "right_hand_joints"),
    "hand in 3-D": (1, {"left_hand_joints": np.zeros((1, 1, 7))}, "left_hand_joints"),
    "no hand rows": (1, {"left_hand_joints": np.zeros((0, 7))}, "left_hand_joints"),
    "eight VR numbers": (1, {"vr_position": np.zeros(8)}, "9 values"),
    "VR far": (3, {"vr_position": np.full(9, 50.0)}, "within 3 m"),
    "VR not turned": (1, {"vr_position": np.zeros(9), "vr_orientation": np.zeros(12)}, "unit quaternions"),
    "VR orientation alone": (1, {"vr_orientation": np.full(12, np.nan)}, "finite"),
    "clock": (1, {"timestamp_monotonic": np.array([np.inf])}, "timestamp_monotonic"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named(case):
    version, changes, says = BAD[case]
    with pytest.raises(WireError, match=says):
        unpack_pose(published(version, **changes))


@pytest.mark.parametrize(("version", "encoder", "frames_ahead"), [(1, "g1", 4), (2, "smpl", 3), (3, "smpl", 3)])
def test_each_version_is_held_at_the_look_ahead_of_its_encoder(link, version, encoder, frames_ahead):
    inbox, stream = link
    inbox.send(message(version, 100, 10))
    goals = [stream.read(state()) for _ in range(12)]
    assert {goal.encoder for goal in goals} == {encoder}
    assert max(goal.reference.cursor for goal in goals) == 10 - frames_ahead
    assert stream.counters.versions == {version: 1}


def test_smpl_tracks_are_merged_frame_by_frame(link):
    inbox, stream = link
    played = []
    for tick in range(20):
        inbox.send(message(3, tick, 6))
        reference = stream.read(state()).reference
        k = reference.cursor
        numbers = (reference.joint_pos_pol[k, 28], reference.smpl_joints_b[k, 3, 2], reference.smpl_pose_rad[k, 5, 1])
        assert numbers == pytest.approx([numbers[0]] * 3)
        played.append(round(numbers[0] * 1000))
    assert played == list(range(20))
    assert (stream.counters.gaps, len(reference)) == (0, 5 + 6)


def test_the_person_s_root_is_both_roots(link):
    inbox, stream = link
    inbox.send(message(2, yaw=0.5))
    reference = stream.read(state()).reference
    np.testing.assert_array_equal(reference.smpl_root_quat_wxyz, reference.root_quat_wxyz)
    assert reference.vr_pos_b is None


def test_vr_points_beside_joints_are_read_by_teleop_and_end_with_them(link):
    inbox, stream = link
    inbox.send(message(1, 0, vr=VR))
    goal = stream.read(state())
    assert goal.encoder == "teleop"
    assert goal.reference.vr_pos_b.shape == (12, 3, 3)
    np.testing.assert_allclose(goal.reference.vr_pos_b[goal.reference.cursor], VR.pos_b, atol=1e-6)
    inbox.send(message(1, 1))
    goal = stream.read(state())
    assert (goal.encoder, goal.reference.vr_pos_b) == ("g1", None)


def test_vr_points_beside_smpl_do_not_change_the_encoder(link):
    inbox, stream = link
    inbox.send(message(3, 0, vr=VR))
    assert stream.read(state()).encoder == "smpl"


def test_vr_points_are_left_out_where_the_policy_has_no_teleop_encoder():
    inbox = HeldInbox(message(1, 0, vr=VR))
    assert PoseStream(inbox, {"g1": 4}).read(state()).encoder == "g1"


@pytest.mark.parametrize(("version", "says"), [(1, "encoder g1"), (2, "encoder smpl"), (3, "encoder smpl"), (4, "tok")])
def test_a_version_the_policy_cannot_read_is_rejected_and_counted(version, says):
    stream = PoseStream(HeldInbox(message(version)), {"teleop": 4})
    assert stream.read(state()) is None
    assert stream.counters.rejected == 1
    assert says in stream.counters.last_rejection


def test_tokens_are_passed_on_and_stamped_with_their_arrival(link):
    inbox, stream = link
    inbox.send(message(4, 3))
    goal = stream.read(state(yaw=0.7, stamp_ns=5))
    assert (goal.token[0], goal.stamp_ns, len(goal.reference)) == (3 / 16, 5, 1)
    assert yaw_of_quat(goal.heading_quat_wxyz) == pytest.approx(0.7)
    goal = stream.read(state(stamp_ns=900 * MS))
    assert goal.stamp_ns == 5, "the guard must see that nothing new came"
    inbox.send(message(4, 4))
    assert stream.read(state(stamp_ns=901 * MS)).token[0] == 4 / 16


def test_hands_keep_what_was_not_sent_again(link):
    inbox, stream = link
    assert stream.read(state()) is None
    inbox.send(message(4))
    assert stream.read(state()).hand_joint_pos is None
    inbox.send(message(4, hands=Hands(left_pos=np.full(7, 0.5))))
    assert stream.read(state()).hand_joint_pos[:, 0].tolist() == [0.5, 0.0]
    inbox.send(message(4, hands=Hands(right_pos=np.full(7, -0.25))))
    assert stream.read(state()).hand_joint_pos[:, 0].tolist() == [0.5, -0.25]


@pytest.mark.parametrize("old", [1, 2, 3, 4])
@pytest.mark.parametrize("new", [1, 2, 3, 4])
def test_another_version_is_taken_when_the_old_one_has_been_silent(link, old, new):
    if old == new:
        return
    inbox, stream = link
    inbox.send(message(old, 5, yaw=0.1) if old != 4 else message(4))
    before = stream.read(state(stamp_ns=0))
    inbox.send(message(new, 6))
    during = stream.read(state(stamp_ns=VERSION_HANDOVER_NS - 1))
    assert (stream.counters.rejected, stream.version) == (1, old)
    assert f"expected version {old}" in stream.counters.last_rejection
    assert (during.encoder, during.token is None) == (before.encoder, before.token is None)
    inbox.send(message(new, 7))
    after = stream.read(state(yaw=1.2, stamp_ns=VERSION_HANDOVER_NS))
    assert stream.version == new
    assert stream.counters.resets == {"first": 1, "version": 1}
    assert (after.token is None) == (new != 4)
    assert after.reference.cursor == 0
    assert yaw_of_quat(after.heading_quat_wxyz) == pytest.approx(1.2)
    assert after.stamp_ns == VERSION_HANDOVER_NS


def test_two_senders_of_two_versions_do_not_take_turns(link):
    inbox, stream = link
    for tick in range(100):
        inbox.send(message(1, tick), message(3, 1000 + tick))
        goal = stream.read(state(stamp_ns=tick * 20 * MS))
        assert goal.encoder == "g1"
    assert stream.counters.rejected == 100
    assert stream.counters.gaps == 0


def test_pause_holds_the_frame_at_rest_and_play_goes_on_from_the_newest(link):
    inbox, stream = link
    for tick in range(3):
        inbox.send(message(3, tick))
        stream.read(state(stamp_ns=tick))
    pause, play = OperatorEvent("pause"), OperatorEvent("play")
    held = stream.read(state(stamp_ns=50), [pause])
    for tick in range(4, 400, 7):
        inbox.send(message(3, tick, yaw=0.9))
        held = stream.read(state(stamp_ns=50 + tick))
        assert (held.reference.playing, held.stamp_ns, held.encoder) == (False, 50 + tick, "smpl")
        assert held.reference.smpl_joints_b[held.reference.cursor, 3, 2] == pytest.approx(0.003)
    goal = stream.read(state(yaw=-0.4, stamp_ns=900), [play])
    assert goal.reference.playing
    assert goal.reference.smpl_joints_b[goal.reference.cursor, 3, 2] == pytest.approx(0.396)
    facing = yaw_of_quat(goal.heading_quat_wxyz) + 0.9
    assert facing == pytest.approx(-0.4)
    assert stream.counters.gaps == 0


def test_pause_of_tokens_stands(link):
    inbox, stream = link
    inbox.send(message(4))
    stream.read(state())
    held = stream.read(state(yaw=0.3, stamp_ns=7), [OperatorEvent("pause")])
    assert (held.token, held.encoder, held.reference.playing, held.stamp_ns) == (None, "g1", False, 7)
    assert yaw_of_quat(held.heading_quat_wxyz) == pytest.approx(0.3)
    assert stream.read(state(), [OperatorEvent("play")]).token is not None


def test_pause_before_the_first_message_is_nothing(link):
    inbox, stream = link
    assert stream.read(state(), [OperatorEvent("pause")]) is None
    inbox.send(message(1))
    assert stream.read(state()).reference.playing


@pytest.mark.parametrize("kind", ["start", "recenter", "source"])
@pytest.mark.parametrize("version", [1, 3, 4])
def test_the_reference_faces_where_the_robot_faces_when_it_is_asked_for(link, kind, version):
    inbox, stream = link
    inbox.send(message(version) if version == 4 else message(version, yaw=0.5))
    stream.read(state(yaw=0.2))
    stream.read(state(yaw=0.2), [OperatorEvent("turn", 0.4)])
    goal = stream.read(state(yaw=2.0), [OperatorEvent(kind)])
    root_yaw = 0.0 if version == 4 else 0.5
    assert yaw_of_quat(goal.heading_quat_wxyz) == pytest.approx(2.0 - root_yaw)


def test_turns_of_the_operator_add_to_the_heading(link):
    inbox, stream = link
    inbox.send(message(3))
    stream.read(state())
    goal = stream.read(state(), [OperatorEvent("turn", 0.25), OperatorEvent("turn", 0.5)])
    assert yaw_of_quat(goal.heading_quat_wxyz) == pytest.approx(0.02), "a step of the heading would be a blow"
    for _ in range(40):
        goal = stream.read(state())
    assert yaw_of_quat(goal.heading_quat_wxyz) == pytest.approx(0.75)


def test_an_anchor_ends_a_turn_that_is_under_way(link):
    inbox, stream = link
    inbox.send(message(3))
    stream.read(state(), [OperatorEvent("turn", 3.0)])
    stream.read(state(yaw=1.0), [OperatorEvent("recenter")])
    assert yaw_of_quat(stream.read(state()).heading_quat_wxyz) == pytest.approx(1.0)


def test_play_is_refused_while_the_sender_of_a_paused_stream_is_gone():
    said: list[str] = []
    inbox = HeldInbox(message(1))
    stream = PoseStream(inbox, {"g1": 4}, say=said.append)
    stream.read(state())
    stream.read(state(), [OperatorEvent("pause")])
    now = 3_000_000_000
    goal = stream.read(state(stamp_ns=now), [OperatorEvent("play")])
    assert (goal.reference.playing, goal.stamp_ns) == (False, now), "held at rest, and never stale"
    assert said == ["stream: still paused: nothing has come for 3.0 s; play again when its sender is back"]
    inbox.send(message(1, 100))
    assert not stream.read(state(stamp_ns=now)).reference.playing, "it does not begin to move by itself"
    inbox.send(message(1, 101))
    goal = stream.read(state(stamp_ns=now + PLAYABLE_NS // 2), [OperatorEvent("play")])
    assert (goal.reference.playing, goal.stamp_ns, len(said)) == (True, now + PLAYABLE_NS // 2, 1)
