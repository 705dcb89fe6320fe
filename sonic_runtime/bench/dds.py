"""States and commands over DDS on this machine, 500 times a second both ways: replies, round trip, cost.

Two processes on the loopback, in a DDS domain of their own. The robot's side, here, sends a LowState at a fixed rate;
the controller's side (`sonic_runtime.bench.dds_peer`) answers each with a LowCmd that carries its count, in
cyclonedds' receive thread. Both make and check every checksum.
"""

from __future__ import annotations

import os
import random
import time
from typing import Annotated, Any

import msgspec
import numpy as np
from cyclonedds.core import Listener
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from sonic_runtime.bench.loop import table_head, table_row
from sonic_runtime.child import Child
from sonic_runtime.contract.errors import RobotError
from sonic_runtime.pacing import Lateness, LatenessStats, Pacer
from sonic_runtime.realtime import quiet_heap, real_time
from sonic_runtime.robot_io.unitree.bus import LOW_CMD, LOW_STATE, Bus, hurry_receive_threads
from sonic_runtime.robot_io.unitree.config import LOOPBACK
from sonic_runtime.robot_io.unitree.crc import low_cmd_crc
from sonic_runtime.robot_io.unitree.idl import LowCmd, LowState, message_of, wire_of
from sonic_runtime.robot_io.unitree.layout import (
    BODY_MOTORS,
    LOW_CMD_BYTES,
    LowStateFields,
    low_cmd_fields,
    low_state_wire,
    payload_of,
)

READY, DONE = "ready", "done "
_START_S, _END_S, _LAST_S = 30.0, 10.0, 0.2
_MOST_TICK = 1 << 24
"""Counts are carried as a float32, exact up to here."""


class DdsBenchConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A measurement of DDS."""

    duration_s: Annotated[float, msgspec.Meta(ge=0.5, le=3600.0)]
    """Time measured [s]."""
    hz: Annotated[float, msgspec.Meta(ge=1.0, le=1000.0)]
    """States a second."""
    warm_up_s: Annotated[float, msgspec.Meta(ge=0.0, le=60.0)]
    """Time before that [s]."""
    priority: Annotated[int, msgspec.Meta(ge=0, le=98)]
    """SCHED_FIFO priority of the sender of states and of both receive threads, as in a run; 0 for none."""


class PeerReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the controller's side says at its end.

    Attributes:
        states: answered.
        bad: with a wrong checksum.
        parse_us, build_us: medians of reading and checking a state, and of building a command, in a row [us].
        parse_at_rate_us, build_at_rate_us: medians of the same in the measurement, 2 ms apart and between other work.
        cpu_share: of one core, without its start.
    """

    states: int
    bad: int
    parse_us: float
    build_us: float
    parse_at_rate_us: float
    build_at_rate_us: float
    cpu_share: float


class DdsBench(msgspec.Struct, frozen=True, kw_only=True):
    """States sent, replies to them, how long each was under way, and the controller's side."""

    sent: int
    replies: int
    bad_replies: int
    round_trip: LatenessStats
    peer: PeerReport
    notes: tuple[str, ...]

    def table(self) -> str:
        """Return a table of milliseconds, and lines of counts and costs."""
        peer = self.peer
        return "\n".join(
            [
                table_head("loopback"),
                table_row("round trip", self.round_trip),
                f"{self.sent} states sent, {self.replies} answered ({100.0 * self.replies / self.sent:.2f} %), "
                f"{self.bad_replies + peer.bad} with a wrong checksum",
                f"controller: parse {peer.parse_us:.1f} us ({peer.parse_at_rate_us:.1f} among other work), build "
                f"{peer.build_us:.1f} us ({peer.build_at_rate_us:.1f}), {100.0 * peer.cpu_share:.1f} % of a core",
            ]
        )

    def line(self) -> dict[str, Any]:
        """Return the numbers for a line of JSON."""
        peer = self.peer
        return {
            "sent": self.sent,
            "replies": self.replies,
            "reply_rate": round(self.replies / self.sent, 5),
            "bad_checksums": self.bad_replies + peer.bad,
            **self.round_trip.line("rtt_"),
            "parse_us": round(peer.parse_us, 2),
            "build_us": round(peer.build_us, 2),
            "parse_at_rate_us": round(peer.parse_at_rate_us, 2),
            "build_at_rate_us": round(peer.build_at_rate_us, 2),
            "cpu_share": round(peer.cpu_share, 4),
            "notes": self.notes,
        }


class _Replies(Listener):
    """Counts commands and how long after their states they came."""

    def __init__(self) -> None:
        self.sent_ns: dict[int, int] = {}
        self.round_trip = Lateness()
        self.replies = 0
        self.bad = 0
        super().__init__()

    def on_data_available(self, reader: DataReader) -> None:
        """Note what has come; called by cyclonedds."""
        messages: list[Any] = reader.take(N=8)
        for message in messages:
            if not isinstance(message, LowCmd):
                continue
            now_ns = time.monotonic_ns()
            payload = payload_of(wire_of(message), LOW_CMD_BYTES, LOW_CMD)
            fields = low_cmd_fields(payload)
            self.bad += fields.crc != low_cmd_crc(payload)
            sent_ns = self.sent_ns.pop(int(fields.joint_pos_hw[0]), None)
            if sent_ns is not None:
                self.replies += 1
                self.round_trip.add(now_ns - sent_ns)


def measure_dds(config: DdsBenchConfig) -> DdsBench:
    """Measure.

    Raises:
        RobotError: DDS cannot be used, or the other process does not start.
    """
    domain = random.Random(os.getpid()).randrange(20, 200)
    bus = Bus(LOOPBACK, domain, "bench")
    replies = _Replies()
    participant = bus.participant
    reader = DataReader(participant, Topic(participant, LOW_CMD, LowCmd), bus.reader_qos(), replies)
    writer = DataWriter(participant, Topic(participant, LOW_STATE, LowState), bus.writer_qos())
    with Child(
        "controller's side", "sonic_runtime.bench.dds_peer", [str(domain), str(os.getpid()), str(config.priority)]
    ) as child:
        child.wait_for_output(READY, _START_S)
        _await_peer(writer, reader)
        if config.priority:
            hurry_receive_threads(config.priority)
        with quiet_heap(), real_time("sender", config.priority, None, False) as notes:
            first = _send(writer, replies, 1, round(config.warm_up_s * config.hz), config.hz)
            time.sleep(_LAST_S)
            replies.sent_ns.clear()
            replies.round_trip.clear()
            replies.replies = 0
            sent = round(config.duration_s * config.hz)
            last = _send(writer, replies, first, sent, config.hz)
            time.sleep(_LAST_S)
            # count 0 asks the other side to end
            writer.write(message_of(LowState, _state(0)))
        child.wait_for_output(DONE, _END_S)
        report = msgspec.json.decode(child.output().split(DONE, 1)[1], type=PeerReport)
    if last >= _MOST_TICK:
        raise RobotError(f"sonic-bench dds: expected fewer than {_MOST_TICK} states, sent {last}; shorten duration_s")
    return DdsBench(
        sent=sent,
        replies=replies.replies,
        bad_replies=replies.bad,
        round_trip=replies.round_trip.stats(),
        peer=report,
        notes=tuple(note.text for note in notes),
    )


def _await_peer(writer: DataWriter, reader: DataReader) -> None:
    deadline = time.monotonic() + _START_S
    while not (writer.get_matched_subscriptions() and reader.get_matched_publications()):
        if time.monotonic() > deadline:
            raise RobotError(f"DDS on {LOOPBACK}: the two processes of the measurement do not find each other")
        time.sleep(0.01)


def _send(writer: DataWriter, replies: _Replies, first: int, count: int, hz: float) -> int:
    """Send states with the counts from `first` on; return the next count."""
    pacer = Pacer(hz, Lateness())
    for tick in range(first, first + count):
        pacer.wait()
        wire = _state(tick)
        replies.sent_ns[tick] = time.monotonic_ns()
        writer.write(message_of(LowState, wire))
    return first + count


def _state(tick: int) -> bytes:
    zeros = np.zeros(BODY_MOTORS)
    return low_state_wire(
        LowStateFields(
            tick=tick,
            mode_pr=0,
            mode_machine=5,
            quat_wxyz=np.array([1.0, 0.0, 0.0, 0.0]),
            gyro_b=np.zeros(3),
            accel_b=np.zeros(3),
            joint_pos_hw=zeros,
            joint_vel_hw=zeros,
            joint_torque_hw=zeros,
            temperature_c_hw=zeros,
            motor_error_hw=np.zeros(BODY_MOTORS, dtype=np.int64),
            wireless_remote=bytes(40),
            crc=0,
        )
    )
