"""Where raw messages come from: a ZeroMQ subscription, or a recording of one.

A stream takes its messages through this seam once a tick, before it decodes anything. Whoever records what `take`
returned, tick by tick, can replay the run bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import zmq

from sonic_runtime.contract.errors import ConfigError
from teleop.wire import MAX_MESSAGE_BYTES

MAX_BYTES_PER_TAKE = 256 * 1024
"""[byte] After which no more is taken at once: the largest messages take milliseconds to read."""
RECEIVE_QUEUE = 64
"""[message] Held by ZeroMQ between two ticks; what comes on top waits in TCP and at the sender, or is dropped."""
MAX_DRAINED, MAX_DRAINED_BYTES = 512, 2 << 20
"""[message], [byte] After which a fresh inbox looks no further in one call: 1.5 ms of receiving. What a flood leaves
behind is younger than it looks: 25 000 messages or 100 MB a second pass before anything waits longer than a tick."""


class Inbox(Protocol):
    """Messages that have arrived, oldest first."""

    def take(self, limit: int) -> list[bytes]:
        """Return at most `limit` messages that are there now, an empty list where none is; never blocks or raises."""
        ...

    def close(self) -> None:
        """Release the connection; safe to call twice."""
        ...


class ZmqInbox:
    """Messages of some topics from one ZeroMQ sender, which may come and go.

    ZeroMQ's own I/O thread fills the queue, and connects again where the sender went. Where the sender broke the
    protocol, with a message too large for instance, ZeroMQ would leave it for ever; `take` connects again. A message
    of several parts is given as their concatenation, so that topic and body may come apart.

    Attributes:
        disconnects: how often a connection ended.
        left_out: messages that came and were not given, because newer ones were there.

    Args:
        endpoint: ZeroMQ address to connect to; the sender binds it.
        topics: the first bytes of the messages wanted. ZeroMQ compares beginnings: "pose" brings "pose2" too.
        fresh: for data that is stamped when it is taken, and must not have waited: nothing is subscribed to before the
            first `take`, each `take` empties the queue, and what exceeds its limits is left out from the oldest on.
            Otherwise every message is given, sooner or later: for commands.

    Raises:
        ConfigError: the endpoint is no ZeroMQ address.
    """

    def __init__(self, endpoint: str, topics: Sequence[str], *, fresh: bool = False) -> None:
        self.disconnects = 0
        self.left_out = 0
        self._endpoint = endpoint
        self._fresh = fresh
        self._later = tuple(topics) if fresh else ()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, RECEIVE_QUEUE)
        self._socket.set(zmq.LINGER, 0)
        # a larger message is cut off by ZeroMQ before it is held in memory
        self._socket.set(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        if not fresh:
            self._subscribe(topics)
        self._disconnected = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise ConfigError(
                f"stream endpoint: expected an address such as tcp://127.0.0.1:5556, got {endpoint!r} ({error})"
            ) from error

    def take(self, limit: int) -> list[bytes]:
        """Return at most `limit` messages that are there now, less where they are very large; the newest if `fresh`."""
        if self._later:
            self._subscribe(self._later)
            self._later = ()
        messages = self._newest(limit) if self._fresh else self._oldest(limit)
        if not messages:
            self._connect_again_where_lost()
        return messages

    def _oldest(self, limit: int) -> list[bytes]:
        messages: list[bytes] = []
        size = 0
        while len(messages) < limit and size < MAX_BYTES_PER_TAKE and (message := self._receive()) is not None:
            messages.append(message)
            size += len(message)
        return messages

    def _newest(self, limit: int) -> list[bytes]:
        there: list[bytes] = []
        drained = 0
        while len(there) < MAX_DRAINED and drained < MAX_DRAINED_BYTES and (message := self._receive()) is not None:
            there.append(message)
            drained += len(message)
        kept = size = 0
        while kept < min(limit, len(there)) and size < MAX_BYTES_PER_TAKE:
            kept += 1
            size += len(there[-kept])
        self.left_out += len(there) - kept
        return there[len(there) - kept :]

    def _receive(self) -> bytes | None:
        try:
            parts = self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.ZMQError:
            # nothing there, or the socket is closed
            return None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _subscribe(self, topics: Sequence[str]) -> None:
        with suppress(zmq.ZMQError):  # closed
            for topic in topics:
                self._socket.setsockopt_string(zmq.SUBSCRIBE, topic)

    def wait(self, timeout_s: float) -> bool:
        """Return whether a message is there, waiting for one for at most so long; for senders and tests, not ticks."""
        return bool(self._socket.poll(round(timeout_s * 1000.0)))

    def close(self) -> None:
        """Close the socket; safe to call twice."""
        if not self._socket.closed:
            self._socket.disable_monitor()
        self._disconnected.close(linger=0)
        self._socket.close(linger=0)
        self._context.term()

    def _connect_again_where_lost(self) -> None:
        try:
            self._disconnected.recv_multipart(zmq.NOBLOCK)
        except zmq.ZMQError:
            return
        self.disconnects += 1
        # what is left of the old connection goes first: two connections would bring every message twice
        with suppress(zmq.ZMQError):
            self._socket.disconnect(self._endpoint)
        with suppress(zmq.ZMQError):
            self._socket.connect(self._endpoint)


class RecordedInbox:
    """What an inbox gave in an earlier run: call k of `take` gives the messages of call k then.

    Args:
        messages_per_tick: the messages of each call; after the last there are none.
    """

    def __init__(self, messages_per_tick: Sequence[Sequence[bytes]]) -> None:
        self._calls = iter(messages_per_tick)
        self._waiting: list[bytes] = []

    def take(self, limit: int) -> list[bytes]:
        """Return the next call's messages; what exceeds the limit comes first next time."""
        self._waiting += next(self._calls, ())
        taken, self._waiting = self._waiting[:limit], self._waiting[limit:]
        return taken

    def close(self) -> None:
        """Do nothing."""
