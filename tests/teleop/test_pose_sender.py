"""The sender against a real receiver on the loopback."""

import threading
import time

import numpy as np
import pytest
import zmq

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.robots import g1
from teleop.inbox import ZmqInbox
from teleop.pose_sender import PoseSender, stream
from teleop.pose_stream import PoseStream
from teleop.stream_messages import messages_of
from teleop.stream_track import build_track
from tests.teleop.clips import turning_clip
from tests.teleop.test_pose_stream import state


@pytest.fixture
def endpoint():
    with zmq.Context() as context, context.socket(zmq.PUB) as probe:
        port = probe.bind_to_random_port("tcp://127.0.0.1")
    return f"tcp://127.0.0.1:{port}"


def test_nobody_listens(endpoint):
    sender = PoseSender(endpoint)
    assert not sender.wait_for_receiver(0.05)
    sender.close()
    sender.close()


def test_receiver_comes_and_leaves(endpoint):
    sender = PoseSender(endpoint)
    receiver = ZmqInbox(endpoint, ["pose"])
    assert sender.wait_for_receiver(5.0)
    receiver.close()
    deadline = time.monotonic() + 5.0
    while sender.receiving and time.monotonic() < deadline:
        time.sleep(0.01)
        sender._take_subscriptions()
    assert not sender.receiving
    sender.close()


def test_busy_port_is_named_with_the_way_out(endpoint):
    first = PoseSender(endpoint)
    with pytest.raises(ConfigError, match=rf"{endpoint}: the port is in use .* endpoint=tcp://127.0.0.1:PORT"):
        PoseSender(endpoint)
    first.close()


def test_whole_clip_is_played_frame_by_frame_without_delay(endpoint):
    """A receiver that ticks with the sender plays every frame of the clip once, and nothing breaks."""
    clip = turning_clip(40)
    track = build_track(clip, lead_in_s=0.0, end="stop")
    sender = PoseSender(endpoint)
    inbox = ZmqInbox(endpoint, ["pose"])
    receiver = PoseStream(inbox, {"g1": 46})
    assert sender.wait_for_receiver(5.0)
    numbers = []
    thread = threading.Thread(target=stream, args=(track, messages_of(track, 1, 60), sender, numbers.append))
    thread.start()
    assert inbox.wait(5.0)
    start = time.monotonic()
    played = []
    for tick in range(40):
        time.sleep(max(0.0, start + 0.01 + tick / 50 - time.monotonic()))
        goal = receiver.read(state())
        played.append(goal.reference.joint_pos_pol[goal.reference.cursor])
    thread.join()
    sender.close()
    assert receiver.counters.gaps == 0
    assert receiver.counters.resets == {"first": 1}
    np.testing.assert_allclose(played, g1.to_policy_order(clip.joint_pos_hw), atol=1e-6)
    assert numbers[-1] == 39
    receiver.close()


def test_held_up_sender_leaves_messages_out_and_stays_on_time(endpoint):
    track = build_track(turning_clip(40), lead_in_s=0.0, end="stop")
    sender = PoseSender(endpoint)
    numbers = []

    def slow_once(number):
        numbers.append(number)
        if number == 5:
            time.sleep(0.2)

    report = stream(track, messages_of(track, 1, 60), sender, slow_once)
    sender.close()
    # 0.2 s are ten frames: the message due then is sent next, the ones between are left out
    assert numbers[:6] == list(range(6))
    assert 14 <= numbers[6] <= 17
    assert report.skipped == 39 - len(numbers) + 1
    assert report.seconds == pytest.approx(40 / 50, abs=0.15)
