"""The pose stream over real sockets on the loopback."""

import time

import numpy as np
import pytest
import zmq

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.messages import RobotState
from sonic_runtime.contract.rotations import quat_from_yaw, yaw_of_quat
from teleop.pose_packet import PoseFrames, pack_pose
from teleop.pose_stream import MAX_MESSAGES_PER_TICK, PoseStream


def state(yaw: float = 0.0) -> RobotState:
    return RobotState(
        stamp_ns=0,
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
    def __init__(self):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.PUB)
        self.socket.set(zmq.LINGER, 0)
        self.port = self.socket.bind_to_random_port("tcp://127.0.0.1")

    def send(self, *messages: bytes) -> None:
        for message in messages:
            self.socket.send(message)

    def close(self) -> None:
        self.context.destroy(linger=0)


@pytest.fixture
def link():
    """A sender and a connected stream with a window of 4 frames whose clock counts calls."""
    sender = Sender()
    ticks = iter(range(1, 10_000))
    stream = PoseStream(f"tcp://127.0.0.1:{sender.port}", window_frames=4, now_ns=lambda: next(ticks))
    # until the subscription has reached the sender, what it sends is lost
    deadline = time.monotonic() + 5
    while stream.counters.received == 0 and time.monotonic() < deadline:
        sender.send(b"pose-hello")
        time.sleep(0.01)
        stream._take_messages(state())
    settle(stream)
    yield sender, stream
    stream.close()
    sender.close()


def settle(stream: PoseStream) -> None:
    """Empty the socket and begin counting anew."""
    while stream._socket.poll(50):
        stream._socket.recv()
    stream.counters.received = stream.counters.rejected = 0


def wait(stream: PoseStream) -> None:
    assert stream._socket.poll(2000), "nothing arrived within 2 s"
    time.sleep(0.02)


def test_nothing_yet(link):
    assert link[1].read(state()) is None
    assert link[1].frame_index is None


def test_plays_one_frame_per_tick_and_holds_at_the_window(link):
    sender, stream = link
    sender.send(chunk(100, 7))
    wait(stream)
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
        wait(stream)
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
            wait(stream)
        goal = stream.read(state())
        played.append(round(1000 * goal.reference.joint_pos_pol[goal.reference.cursor, 0]))
    assert played == list(range(30))
    assert stream.counters.gaps == 0


def test_hole_jumps_counts_and_anchors_heading_anew(link):
    sender, stream = link
    sender.send(chunk(0, 10, yaw=0.4))
    wait(stream)
    assert yaw_of_quat(stream.read(state(yaw=1.0)).heading_quat_wxyz) == pytest.approx(0.6)
    sender.send(chunk(1, 10, yaw=0.4))
    wait(stream)
    assert yaw_of_quat(stream.read(state(yaw=2.0)).heading_quat_wxyz) == pytest.approx(0.6), "kept while merging"
    sender.send(chunk(20, 10, yaw=-0.1))
    wait(stream)
    goal = stream.read(state(yaw=2.0))
    assert yaw_of_quat(goal.heading_quat_wxyz) == pytest.approx(2.1)
    assert goal.reference.joint_pos_pol[goal.reference.cursor, 0] == pytest.approx(0.020)
    assert (stream.counters.holes, stream.counters.missing_frames) == (1, 9)
    assert stream.counters.resets == {"first": 1, "hole": 1}


def test_heading_increments_turn_the_reference(link):
    sender, stream = link
    sender.send(chunk(0, 10), chunk(1, 10, turn=0.2), chunk(2, 10, turn=0.1))
    wait(stream)
    assert yaw_of_quat(stream.read(state()).heading_quat_wxyz) == pytest.approx(0.3)


def test_stamp_is_the_arrival_of_the_newest_sound_chunk(link):
    sender, stream = link
    sender.send(chunk(0, 10))
    wait(stream)
    first = stream.read(state()).stamp_ns
    sender.send(b"pose-noise")
    wait(stream)
    assert stream.read(state()).stamp_ns == first
    sender.send(chunk(1, 10))
    wait(stream)
    assert stream.read(state()).stamp_ns > first


def test_foreign_messages_are_counted_and_the_stream_goes_on(link):
    sender, stream = link
    sender.send(b"pose2", b"pose" + bytes(1280), chunk(0, 10)[:-1], chunk(0, 10))
    sender.socket.send_multipart([chunk(50, 3), b"second part"])
    wait(stream)
    goal = stream.read(state())
    assert goal.reference.joint_pos_pol[0, 0] == 0.0
    assert (stream.counters.received, stream.counters.rejected) == (5, 4)
    assert "one part, got 2" in stream.counters.last_rejection


def test_flood_is_taken_in_bounded_portions(link):
    sender, stream = link
    sender.send(*[chunk(i, 10) for i in range(3 * MAX_MESSAGES_PER_TICK)])
    wait(stream)
    for tick in range(1, 4):
        stream.read(state())
        assert stream.counters.received == tick * MAX_MESSAGES_PER_TICK


def test_bad_endpoint_is_named():
    with pytest.raises(ConfigError, match="nonsense"):
        PoseStream("nonsense", window_frames=46, now_ns=lambda: 0)


def test_close_twice(link):
    link[1].close()
    link[1].close()


@pytest.mark.benchmark
def test_cost_of_a_tick(link, capsys):
    sender, _ = link
    stream = PoseStream(f"tcp://127.0.0.1:{sender.port}", window_frames=46, now_ns=time.monotonic_ns)
    time.sleep(0.2)
    cost_us = []
    for tick in range(300):
        sender.send(chunk(tick, 60))
        assert stream._socket.poll(2000)
        begin = time.perf_counter_ns()
        stream.read(state())
        cost_us.append((time.perf_counter_ns() - begin) / 1000)
    stream.close()
    p50, p99 = np.quantile(cost_us, [0.5, 0.99])
    with capsys.disabled():
        print(f"\n[pose stream: 60 frames a tick, p50 {p50:.0f} us, p99 {p99:.0f} us]")  # noqa: T201


def test_a_sender_that_repeats_its_last_chunk_does_not_keep_the_stream_alive(link):
    sender, stream = link
    sender.send(chunk(0, 10))
    wait(stream)
    alive = stream.read(state())
    for _ in range(3):
        sender.send(chunk(0, 10))
        wait(stream)
        frozen = stream.read(state())
        assert frozen.stamp_ns == alive.stamp_ns
    assert stream.counters.repeated == 3
    sender.send(chunk(1, 10))
    wait(stream)
    assert stream.read(state()).stamp_ns > alive.stamp_ns
