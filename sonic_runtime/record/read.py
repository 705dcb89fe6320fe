"""Reads recordings: what a run was, and its ticks one after the other. A file that breaks off is read up to there."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import zstandard
from mcap.exceptions import McapError
from mcap.records import Attachment as AttachmentRecord
from mcap.records import Channel as ChannelRecord
from mcap.records import DataEnd, McapRecord, Message, Metadata
from mcap.stream_reader import CRCValidationError, StreamReader

from sonic_runtime.contract.errors import RecordingError
from sonic_runtime.contract.messages import Array, Fault, JointTarget, Mode, RobotState
from sonic_runtime.contract.operator import EventKind, OperatorEvent
from sonic_runtime.record import channels as ch
from sonic_runtime.record.about import About, Attachment

_BROKEN_OFF = (McapError, CRCValidationError, zstandard.ZstdError, struct.error, EOFError, ValueError, OSError)
"""What the MCAP reader raises where a file breaks off or is damaged: bad lengths, checksums, compression."""
Content = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class RecordedTick:
    """One tick of a recording; messages by field, arrays as numpy arrays.

    Attributes:
        index: number of the tick.
        now_ns: time of the loop when the mode was decided [ns].
        wall_ns: the same as a time of day, since 1970 [ns].
        mode: mode of the guard.
        controller: controller in charge.
        state: what the robot measured.
        events: what the operator asked for.
        goal: fields of /goal, None without a goal.
        action: fields of /action, empty where no network ran.
        command: what the motors were told.
        wanted_pos_hw: (29,) f64 [rad] target angles before the guard.
        fault: the first fault of the run, None while there is none.
        timing: fields of /timing.
        guard_calls: what the loop told the guard before this tick, in order.
        takes: (inbox, messages) of each time a source took messages, in order.
    """

    index: int
    now_ns: int
    wall_ns: int
    mode: Mode
    controller: str
    state: RobotState
    events: list[OperatorEvent]
    goal: Content | None
    action: Content
    command: JointTarget
    wanted_pos_hw: Array
    fault: Fault | None
    timing: Content
    guard_calls: list[Content]
    takes: list[tuple[str, list[bytes]]]


@dataclass(slots=True)
class Recording:
    """An MCAP file of a run.

    Args:
        path: the file.

    Attributes:
        path: the file.
        about: what the run was.
        broken_off: why the file ended before its end, empty where it is whole; known once the ticks have been read.

    Raises:
        RecordingError: there is no such file, it is no MCAP file, or no recording of a run.
    """

    path: Path
    about: About = field(init=False)
    broken_off: str = field(init=False, default="")

    def __post_init__(self) -> None:
        """Read what stands before the first tick."""
        metadata: dict[str, dict[str, str]] = {}
        attachments: list[Attachment] = []
        with self._open() as stream:
            for record in self._records(stream):
                if isinstance(record, Metadata):
                    metadata[record.name] = dict(record.metadata)
                elif isinstance(record, AttachmentRecord):
                    attachments.append(Attachment(record.name, record.media_type, record.data))
                elif isinstance(record, Message):
                    break
        if "sonic" not in metadata:
            why = self.broken_off or "it has no metadata record 'sonic'"
            raise RecordingError(f"{self.path}: expected the recording of a run as MCAP, but {why}")
        found = metadata["sonic"].get("format_version")
        if found != str(ch.FORMAT_VERSION):
            raise RecordingError(
                f"{self.path}: expected a recording of format {ch.FORMAT_VERSION}, found {found}; read it with the "
                "version of this program that wrote it"
            )
        self.about = About(metadata, attachments)

    def ticks(self) -> Iterator[RecordedTick]:
        """Yield the ticks in order; a tick that the end of a broken file cuts in two is left out.

        Raises:
            RecordingError: a message is malformed.
        """
        self.broken_off = ""
        waiting: list[tuple[str, Content]] = []
        wall_ns = 0
        for topic, content, time_ns in self._messages():
            if topic == ch.TICK.topic and waiting:
                yield _tick(waiting, wall_ns, self.path)
                waiting = []
            wall_ns = time_ns
            waiting.append((topic, content))
        # the last tick of a broken file may lack messages
        if waiting and not self.broken_off:
            yield _tick(waiting, wall_ns, self.path)

    def messages(self, topic: str) -> Iterator[Content]:
        """Yield the messages of one channel, such as the inputs of a network."""
        yield from (content for found, content, _ in self._messages() if found == topic)

    def _messages(self) -> Iterator[tuple[str, Content, int]]:
        topics: dict[int, str] = {}
        with self._open() as stream:
            for record in self._records(stream):
                if isinstance(record, ChannelRecord):
                    topics[record.id] = record.topic
                elif isinstance(record, Message) and topics.get(record.channel_id) in ch.CHANNELS:
                    topic = topics[record.channel_id]
                    yield topic, ch.from_json(ch.CHANNELS[topic], record.data), record.log_time

    def _open(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise RecordingError(f"{self.path}: expected a recording here ({error.strerror})") from error

    def _records(self, stream: BinaryIO) -> Iterator[McapRecord]:
        """Yield records until the end of the data, or the point where the file breaks off."""
        # no record is larger than its file: a damaged length must not ask for memory
        size = self.path.stat().st_size
        records = StreamReader(stream, validate_crcs=True, record_size_limit=size).records
        while True:
            try:
                record = next(records, None)
            except _BROKEN_OFF as error:
                self.broken_off = f"it breaks off or is damaged after {stream.tell()} of {size} bytes ({error!r})"
                return
            if record is None or isinstance(record, DataEnd):
                return
            yield record


def _tick(messages: list[tuple[str, Content]], wall_ns: int, path: Path) -> RecordedTick:
    found = {topic: content for topic, content in messages if topic not in (ch.OPERATOR.topic, ch.STREAM.topic)}
    missing = [c.topic for c in (ch.TICK, ch.STATE, ch.COMMAND, ch.GUARD, ch.TIMING, ch.INPUTS) if c.topic not in found]
    if missing:
        number = messages[0][1].get("tick")
        raise RecordingError(f"{path}: tick {number}: expected messages on {', '.join(missing)}, found none")
    events = [content for topic, content in messages if topic == ch.OPERATOR.topic]
    head, guard, command = found[ch.TICK.topic], found[ch.GUARD.topic], found[ch.COMMAND.topic]
    return RecordedTick(
        index=head["tick"],
        now_ns=head["now_ns"],
        wall_ns=wall_ns,
        mode=cast("Mode", head["mode"]),
        controller=head["controller"],
        state=RobotState(**_without_tick(found[ch.STATE.topic])),
        events=[OperatorEvent(cast("EventKind", e["kind"]), e["value"], e["origin"]) for e in events],
        goal=found.get(ch.GOAL.topic),
        action=_without_tick(found.get(ch.ACTION.topic, {})),
        command=JointTarget(**{k: v for k, v in command.items() if k not in ("tick", "wanted_pos_hw")}),
        wanted_pos_hw=np.asarray(command["wanted_pos_hw"]),
        fault=Fault(code=guard["fault"], detail=guard["detail"]) if guard["fault"] else None,
        timing=_without_tick(found[ch.TIMING.topic]),
        guard_calls=found[ch.INPUTS.topic]["guard_calls"],
        takes=_takes(found[ch.INPUTS.topic], [c for topic, c in messages if topic == ch.STREAM.topic]),
    )


def _takes(inputs: Content, stream: list[Content]) -> list[tuple[str, list[bytes]]]:
    waiting = iter(stream)
    return [
        (name, [next(waiting)["data"] for _ in range(count)])
        for name, count in zip(inputs["inboxes"], inputs["taken"], strict=True)
    ]


def _without_tick(content: Content) -> Content:
    return {name: value for name, value in content.items() if name != "tick"}
