"""Sends a motion as `pose` at 50 Hz, for `sonic-stream`.

What to send. An encoder looks some frames ahead, g1 of the released policy 46 (ten frames, five apart), and a receiver
holds playback while less than that lies before it. A sender that knows its motion in advance can therefore remove all
delay: message k carries frames k to k + 59, so that a receiver plays frame k when message k arrives, sees its 46
frames, and has 14 frames (0.28 s) to spare for messages that come late or are lost, without a break. One message of
version 1 is 15 kB, 0.8 MB/s in all; one of version 3 is 47 kB. A token is for one tick: what is lost is lost.

When to begin. ZeroMQ drops what is published before somebody listens. The socket is an XPUB, to receivers the same as a
PUB, which also reports subscriptions: the motion begins when the first receiver is there.

Time. Message k is due at start + k / 50 s. A sender that was held up leaves out the messages it missed; the overlap of
the chunks covers it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import zmq

from teleop.debug_output import bind_publisher
from teleop.pose_packet import TOPIC, PoseMessage, pack_pose
from teleop.stream_messages import MakeMessage
from teleop.stream_track import CONTROL_HZ, StreamTrack

_SUBSCRIBED, _LEFT = b"\x01" + TOPIC.encode(), b"\x00" + TOPIC.encode()


class PoseSender:
    """A bound socket that publishes `pose` messages and knows whether anyone listens.

    Args:
        endpoint: ZeroMQ address to bind.

    Raises:
        ConfigError: if the port is busy or the address is none.
    """

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.Context()
        self._socket = bind_publisher(self._context, endpoint, "endpoint", zmq.XPUB)
        self.receiving = False
        self.sent = 0

    def wait_for_receiver(self, timeout_s: float) -> bool:
        """Return whether somebody listens, waiting for it for at most so long."""
        deadline = time.monotonic() + timeout_s
        self._take_subscriptions()
        while not self.receiving and (left_s := deadline - time.monotonic()) > 0:
            self._socket.poll(max(1, int(left_s * 1000)))
            self._take_subscriptions()
        return self.receiving

    def send(self, message: PoseMessage) -> None:
        """Publish a message without waiting; dropped where receivers do not keep up."""
        self._take_subscriptions()
        self._socket.send(pack_pose(message), zmq.NOBLOCK)
        self.sent += 1

    def close(self) -> None:
        """Close the socket; safe to call twice."""
        self._socket.close(linger=0)
        self._context.term()

    def _take_subscriptions(self) -> None:
        # ZeroMQ reports the first subscription of a topic and the end of the last, not each receiver
        while True:
            try:
                message = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            if message in (_SUBSCRIBED, b"\x01"):
                self.receiving = True
            elif message in (_LEFT, b"\x00"):
                self.receiving = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SendReport:
    """What was sent: messages, messages left out because the sender was late, and seconds it took."""

    messages: int
    skipped: int
    seconds: float


def stream(
    track: StreamTrack,
    make_message: MakeMessage,
    sender: PoseSender,
    progress: Callable[[int], None],
    stop: Callable[[], bool] = lambda: False,
) -> SendReport:
    """Send a track in real time until it ends, its last receiver leaves after its end, or `stop` says so.

    Args:
        track: the motion; one that stops ends when its last frame has been played, one that holds or loops goes on.
        make_message: makes its messages.
        sender: where to.
        progress: called with the number of the frame that receivers play now, after each message.
        stop: asked before each message.
    """
    start = time.monotonic()
    number = sent = skipped = 0
    while not stop():
        if number >= len(track) and (track.end == "stop" or not sender.receiving):
            break
        sender.send(make_message(number))
        sent += 1
        progress(number)
        due = max(number + 1, int((time.monotonic() - start) * CONTROL_HZ))
        skipped += due - number - 1
        number = due
        time.sleep(max(0.0, start + number / CONTROL_HZ - time.monotonic()))
    return SendReport(messages=sent, skipped=skipped, seconds=time.monotonic() - start)
