"""The pose stream: what is played, held, merged, refused and counted."""

import time

import numpy as np
import pytest

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.messages import RobotState
from sonic_runtime.contract.rotations import quat_from_yaw, yaw_of_quat
from teleop.pose_packet import PoseFrames, pack_pose
from teleop.pose_stream import MAX_MESSAGES_PER_TICK, PoseStream


def state(yaw: float = 0.0, stamp_ns: int = 0) -> RobotState:
    return RobotState(
        stamp_ns=stamp_ns,
        joint_pos_hw=np.zeros(29),
        joint_vel_hw=np.zeros(29),
        base_quat_wxyz=quat_from_yaw(np.float64(yaw)),
        base_ang_vel_b=np.zeros(3),
        joint_torque_hw=np.zeros(29),
    )


def chunk(first: int, count: int, yaw: float = 0.0, turn: float = 0.0) -> bytes:
    """Joint 0 holds a thousandth of the frame number."""
    joint_pos = np.zeros((count, 29))
    joint_pos[:, 0] = (first + np.arange(count)) / 1000.0
    return pack_pose(
        PoseFrames(
            frame_index=first + np.arange(count),
            joint_pos_pol=joint_pos,
            joint_vel_pol=np.zeros((count, 29)),
            root_quat_wxyz=np.tile(quat_from_yaw(np.float64(yaw)), (count, 1)),
            heading_increment_rad=turn,
        )
    )


class Sender:
    """An inbox that holds what a sender sent."""

    def __init__(self):
        self.messages: list[bytes] = []

    def send(self, *messages: bytes) -> None:
        self.messages += messages

    def take(self, limit: int) -> list[bytes]:
        taken, self.messages = self.messages[:limit], self.messages[limit:]
        return taken

    def close(self) -> None:
        self.messages.clear()


@pytest.fixture
def link():
    """A sender and a stream with a window of 4 frames."""
    sender = Sender()
    return sender, PoseStream(sender, {"g1": 4})


def test_nothing_yet(link):
    assert link[1].read(state()) is None
    assert link[1].frame_index is None


def test_plays_one_frame_per_tick_and_holds_at_the_window(link):
    sender, stream = link
    sender.send(chunk(100, 7))
    played = []
    for _ in range(6):
        goal = stream.read(state())
        played.append(goal.reference.joint_pos_pol[goal.reference.cursor, 0])
    # a window of 4 frames must stay ahead: of 100..106 the last playable one is 103
    assert played == pytest.approx([0.100, 0.101, 0.102, 0.103, 0.103, 0.103])
    assert (goal.encoder, goal.reference.playing) == ("g1", True)
    assert (stream.counters.holds, stream.counters.gaps, stream.counters.held_ticks) == (1, 1, 3)


def test_overlapping_chunks_play_without_a_break(link):
    sender, stream = link
    played = []
    for tick in range(40):
        sender.send(chunk(tick, 12))
        goal = stream.read(state())
        assert goal.reference.cursor + 4 <= len(goal.reference)
        played.append(round(1000 * goal.reference.joint_pos_pol[goal.reference.cursor, 0]))
    assert played == list(range(40))
    assert stream.counters.gaps == 0
    assert len(goal.reference) == 5 + 12


def test_lost_messages_within_the_overlap_do_no_harm(link):
    sender, stream = link
    played = []
    for tick in range(30):
        if tick % 5 in (0, 1):
            sender.send(chunk(tick, 12))
        goal = stream.read(state())
        played.append(round(1000 * goal.reference.joint_pos_pol[goal.reference.cursor, 0]))
    assert played == list(range(30))
    assert stream.counters.gaps == 0


def test_hole_jumps_counts_and_anchors_heading_anew(link):
    sender, stream = link
    sender.send(chunk(0, 10, yaw=0.4))
    assert yaw_of_quat(stream.read(state(yaw=1.0)).heading_quat_wxyz) == pytest.approx(0.6)
    sender.send(chunk(1, 10, yaw=0.4))
    assert yaw_of_quat(stream.read(state(yaw=2.0)).heading_quat_wxyz) == pytest.approx(0.6), "kept while merging"
    sender.send(chunk(20, 10, yaw=-0.1))
    goal = stream.read(state(yaw=2.0))
    assert yaw_of_quat(goal.heading_quat_wxyz) == pytest.approx(2.1)
    assert goal.reference.joint_pos_pol[goal.reference.cursor, 0] == pytest.approx(0.020)
    assert (stream.counters.holes, stream.counters.missing_frames) == (1, 9)
    assert stream.counters.resets == {"first": 1, "hole": 1}


def test_heading_increments_turn_the_reference(link):
    sender, stream = link
    sender.send(chunk(0, 10), chunk(1, 10, turn=0.2), chunk(2, 10, turn=0.1))
    yaws = [float(yaw_of_quat(stream.read(state()).heading_quat_wxyz)) for _ in range(20)]
    assert yaws == pytest.approx([min(0.02 * (tick + 1), 0.3) for tick in range(20)]), "at 1 rad/s"


def test_stamp_is_the_arrival_of_the_newest_sound_chunk(link):
    sender, stream = link
    sender.send(chunk(0, 10))
    assert stream.read(state(stamp_ns=5)).stamp_ns == 5
    sender.send(b"pose-noise")
    assert stream.read(state(stamp_ns=6)).stamp_ns == 5
    sender.send(chunk(1, 10))
    assert stream.read(state(stamp_ns=7)).stamp_ns == 7


def test_foreign_messages_are_counted_and_the_stream_goes_on(link):
    sender, stream = link
    sender.send(b"pose2", b"pose" + bytes(1280), chunk(0, 10)[:-1], chunk(0, 10))
    goal = stream.read(state())
    assert goal.reference.joint_pos_pol[0, 0] == 0.0
    assert (stream.counters.received, stream.counters.rejected) == (4, 3)
    assert "announces" in stream.counters.last_rejection


def test_flood_is_taken_in_bounded_portions(link):
    sender, stream = link
    sender.send(*[chunk(i, 10) for i in range(3 * MAX_MESSAGES_PER_TICK)])
    for tick in range(1, 4):
        stream.read(state())
        assert stream.counters.received == tick * MAX_MESSAGES_PER_TICK


def test_a_window_without_a_frame_is_refused():
    with pytest.raises(ConfigError, match="at least 1 frame"):
        PoseStream(Sender(), {"g1": 0})


def test_closing_closes_the_inbox(link):
    sender, stream = link
    sender.send(b"x")
    stream.close()
    stream.close()
    assert not sender.messages


@pytest.mark.benchmark
def test_cost_of_a_tick(capsys):
    sender = Sender()
    stream = PoseStream(sender, {"g1": 46})
    cost_us = []
    for tick in range(300):
        sender.send(chunk(tick, 60))
        begin = time.perf_counter_ns()
        stream.read(state())
        cost_us.append((time.perf_counter_ns() - begin) / 1000)
    p50, p99 = np.quantile(cost_us, [0.5, 0.99])
    with capsys.disabled():
        print(f"\n[pose stream: 60 frames a tick, p50 {p50:.0f} us, p99 {p99:.0f} us]")  # noqa: T201


def test_a_sender_that_repeats_its_last_chunk_does_not_keep_the_stream_alive(link):
    sender, stream = link
    sender.send(chunk(0, 10))
    stream.read(state(stamp_ns=1))
    for now in (2, 3, 4):
        sender.send(chunk(0, 10))
        assert stream.read(state(stamp_ns=now)).stamp_ns == 1
    assert stream.counters.repeated == 3
    sender.send(chunk(1, 10))
    assert stream.read(state(stamp_ns=5)).stamp_ns == 5
