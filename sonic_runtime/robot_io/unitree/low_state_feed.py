"""Takes rt/lowstate, in cyclonedds' receive thread or when asked: notes the time, checks, keeps the newest good one.

A message that fails a check is dropped and counted, so that a stream of bad messages gets old and the guard damps. Ten
microseconds a message; what it means is read by whoever wants to know.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from cyclonedds.core import DDSException, Listener
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.robot_io.unitree.bus import LOW_STATE, Bus
from sonic_runtime.robot_io.unitree.crc import low_state_crc
from sonic_runtime.robot_io.unitree.idl import LowState, wire_of
from sonic_runtime.robot_io.unitree.layout import LOW_STATE_BYTES, payload_of

MODE_MACHINE_AT = 9
_TICK_AT = 12
_CRC_AT = 2084


class LowStateFeed(Listener):
    """Newest good state of a robot, as bytes.

    Args:
        crc, tick: whether to check them.

    Attributes:
        newest: time of arrival [ns, monotonic] and payload (2088 bytes) of the newest good message; None before it.
        received: messages so far, good and bad.
        dropped: bad messages by reason: "layout", "crc", "tick".
    """

    def __init__(self, crc: bool, tick: bool) -> None:
        self.newest: tuple[int, bytes] | None = None
        self.received = 0
        self.dropped: Counter[str] = Counter()
        self._crc = crc
        self._tick = tick
        super().__init__()

    def on_data_available(self, reader: DataReader) -> None:
        """Do it when something comes; called by cyclonedds."""
        self.take(reader)

    def take(self, reader: DataReader) -> None:
        """Take the newest message, where there is one."""
        stamp_ns = time.monotonic_ns()
        try:
            messages: list[Any] = reader.take(N=1)
        except DDSException:
            return
        for message in messages:
            # the end of a publisher is told as a sample without data
            if isinstance(message, LowState):
                self._judge(stamp_ns, wire_of(message))

    def _judge(self, stamp_ns: int, wire: bytes) -> None:
        self.received += 1
        try:
            payload = payload_of(wire, LOW_STATE_BYTES, LOW_STATE)
        except RobotError:
            self.dropped["layout"] += 1
            return
        if self._crc and int.from_bytes(payload[_CRC_AT:], "little") != low_state_crc(payload):
            self.dropped["crc"] += 1
        elif self._tick and self.newest is not None and _tick_of(payload) == _tick_of(self.newest[1]):
            self.dropped["tick"] += 1
        else:
            self.newest = stamp_ns, payload


def _tick_of(payload: bytes) -> bytes:
    return payload[_TICK_AT : _TICK_AT + 4]


def low_state_reader(bus: Bus, feed: LowStateFeed | None = None) -> DataReader:
    """Subscribe to rt/lowstate, with a feed to be told when something comes; the reader must be kept by the caller."""
    return DataReader(bus.participant, Topic(bus.participant, LOW_STATE, LowState), bus.reader_qos(), feed)
