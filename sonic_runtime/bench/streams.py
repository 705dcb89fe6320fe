"""What a stream costs: messages of each protocol version over a real socket, taken at the control rate.

The sender is a process of its own and sends all optional fields that SONIC's headset client sends. Timed is what the
command stage of a tick does for one message: decode, check, merge, make the goal. The share of a core is the processor
time of this whole process, ZeroMQ's own thread with it, less what the same loop takes without a stream.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from sonic_runtime.bench.loop import Condition, table_head, table_row
from sonic_runtime.bench.neighbour import start_neighbour, stolen_ms
from sonic_runtime.child import Child
from sonic_runtime.contract.messages import RobotState
from sonic_runtime.demo import free_endpoint
from sonic_runtime.loop import CONTROL_HZ
from sonic_runtime.pacing import Lateness, LatenessStats, Pacer
from sonic_runtime.realtime import quiet_heap
from sonic_runtime.robots import g1
from teleop.inbox import ZmqInbox
from teleop.pose_packet import MAX_FRAMES, TOPIC
from teleop.pose_stream import MAX_MESSAGES_PER_TICK, PoseStream

_LOOK_AHEAD = {"g1": 46, "teleop": 46, "smpl": 10}
"""Of the released policy."""
_START_S = 60.0
_WARM_UP_TICKS = 25
_EMPTY_SHARE = 0.25
"""Time without a stream, as a share of the time with one."""


class StreamsBenchConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A measurement of streams."""

    versions: Annotated[tuple[Literal[1, 2, 3, 4], ...], msgspec.Meta(min_length=1)]
    """Protocol versions measured, one after the other."""
    rate_hz: Annotated[float, msgspec.Meta(gt=0.0, le=400.0)]
    """Messages a second."""
    chunk_frames: Annotated[int, msgspec.Meta(ge=1, le=MAX_FRAMES)]
    """Frames in a message of versions 1 to 3."""
    duration_s: Annotated[float, msgspec.Meta(ge=0.5, le=3600.0)]
    """Time measured of each version in each condition [s]."""
    conditions: Annotated[tuple[Condition, ...], msgspec.Meta(min_length=1)]
    """idle: nothing else of ours runs; busy: another process keeps one core at work."""


class StreamBench(msgspec.Struct, frozen=True, kw_only=True):
    """A version in one condition.

    `message` is the time for one message, `tick` that for all messages of a tick with the receiving;
    `core_percent` the share of a core that the stream costs, `loop_percent` what the loop takes without it.
    """

    condition: Condition
    version: int
    messages: int
    rejected: int
    gaps: int
    bytes_per_message: int
    message: LatenessStats
    tick: LatenessStats
    core_percent: float
    loop_percent: float
    stolen_ms: float

    def line(self) -> dict[str, Any]:
        """Return the numbers for a line of JSON."""
        return {
            "messages": self.messages,
            "rejected": self.rejected,
            "gaps": self.gaps,
            "bytes_per_message": self.bytes_per_message,
            **self.message.line("message_"),
            **self.tick.line("tick_"),
            "core_percent": round(self.core_percent, 2),
            "loop_percent": round(self.loop_percent, 2),
            "stolen_ms": self.stolen_ms,
        }


def measure_streams(config: StreamsBenchConfig) -> list[StreamBench]:
    """Measure each version in each condition.

    Raises:
        SonicError: a process does not start.
    """
    return [_measure(config, condition, version) for condition in config.conditions for version in config.versions]


def streams_tables(results: list[StreamBench]) -> list[str]:
    """Return a table for each condition."""
    tables: list[str] = []
    for condition in dict.fromkeys(result.condition for result in results):
        lines = [f"{table_head(condition)}{'core %':>9}{'messages':>10}{'rejected':>10}{'bytes':>8}"]
        for result in results:
            if result.condition != condition:
                continue
            counts = f"{result.messages:>10}{result.rejected:>10}{result.bytes_per_message:>8}"
            lines.append(
                f"{table_row(f'v{result.version} message', result.message)}{result.core_percent:>9.2f}{counts}"
            )
            lines.append(table_row(f"v{result.version} tick", result.tick))
        tables.append("\n".join(lines))
    return tables


def streams_line(config: StreamsBenchConfig, results: list[StreamBench]) -> dict[str, Any]:
    """Return the last line of output: conditions, and in them versions, by name."""
    by_condition: dict[str, dict[str, Any]] = {}
    for result in results:
        by_condition.setdefault(result.condition, {})[f"v{result.version}"] = result.line()
    return {
        "rate_hz": config.rate_hz,
        "chunk_frames": config.chunk_frames,
        "duration_s": config.duration_s,
        **by_condition,
    }


class _OneByOne:
    """An inbox that gives a stream one message, so that each can be timed."""

    def __init__(self) -> None:
        self.message: bytes | None = None

    def take(self, limit: int) -> list[bytes]:
        message, self.message = self.message, None
        return [] if message is None else [message]

    def close(self) -> None:
        """Hold nothing."""


def _measure(config: StreamsBenchConfig, condition: Condition, version: int) -> StreamBench:
    endpoint = free_endpoint()
    arguments = [endpoint, str(version), str(config.rate_hz), str(config.chunk_frames)]
    with ExitStack() as opened:
        if condition == "busy":
            opened.callback(start_neighbour().close)
        inbox = ZmqInbox(endpoint, [TOPIC])
        opened.callback(inbox.close)
        receiver = _Receiver(inbox)
        with quiet_heap():
            receiver.run(_WARM_UP_TICKS)
            loop_share = receiver.run(max(_WARM_UP_TICKS, round(_EMPTY_SHARE * config.duration_s * CONTROL_HZ)))
            sender = opened.enter_context(Child("sender", "sonic_runtime.bench.stream_sender", arguments))
            sender.wait_for_output("bound", _START_S)
            inbox.wait(_START_S)
            receiver.run(_WARM_UP_TICKS)
            receiver.clear()
            stolen = stolen_ms()
            share = receiver.run(round(config.duration_s * CONTROL_HZ))
            stolen = stolen_ms() - stolen
    counters = receiver.stream.counters
    return StreamBench(
        condition=condition,
        version=version,
        messages=receiver.messages.stats().count,
        rejected=counters.rejected,
        gaps=counters.gaps,
        bytes_per_message=receiver.size,
        message=receiver.messages.stats(),
        tick=receiver.ticks.stats(),
        core_percent=100.0 * max(0.0, share - loop_share),
        loop_percent=100.0 * loop_share,
        stolen_ms=stolen,
    )


class _Receiver:
    """Takes messages at the control rate and times them."""

    def __init__(self, inbox: ZmqInbox) -> None:
        self._inbox = inbox
        self._one = _OneByOne()
        self.stream = PoseStream(self._one, _LOOK_AHEAD, takes_tokens=True)
        self.messages, self.ticks = Lateness(), Lateness()
        self.size = 0
        rest = np.zeros(len(g1.JOINT_NAMES_HW))
        self._state = RobotState(
            stamp_ns=0,
            joint_pos_hw=g1.DEFAULT_POS_HW,
            joint_vel_hw=rest,
            base_quat_wxyz=np.array([1.0, 0.0, 0.0, 0.0]),
            base_ang_vel_b=np.zeros(3),
            joint_torque_hw=rest,
        )

    def clear(self) -> None:
        """Count anew."""
        self.messages.clear()
        self.ticks.clear()

    def run(self, ticks: int) -> float:
        """Run ticks; return the processor time of this process as a share of the time that passed."""
        pacer, wall, busy = Pacer(CONTROL_HZ, Lateness()), time.monotonic(), time.process_time()
        for _ in range(ticks):
            self._tick()
            pacer.wait()
        return (time.process_time() - busy) / (time.monotonic() - wall)

    def _tick(self) -> None:
        start = time.perf_counter_ns()
        state = replace(self._state, stamp_ns=time.monotonic_ns())
        messages = self._inbox.take(MAX_MESSAGES_PER_TICK)
        for message in messages:
            begin = time.perf_counter_ns()
            self._one.message = message
            self.stream.read(state)
            self.messages.add(time.perf_counter_ns() - begin)
        if messages:
            self.size = len(messages[-1])
            self.ticks.add(time.perf_counter_ns() - start)
