"""What the recorder hands to the process that writes, as MessagePack."""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from sonic_runtime.record.about import About

LENGTH = struct.Struct("<I")
"""Stands before the first frame, which goes over the connection; ticks go through the ring."""
END = b"end"
"""What the recorder says when the last tick is in the ring."""


class Start(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The first frame.

    Attributes:
        path: file to write.
        about: what the run is.
        wall_ns: time of day now, since 1970 [ns].
    """

    path: str
    about: About
    wall_ns: int


GoalFrame = tuple[str, int, int, int, bool, int]
"""Encoder, cursor, frames, frame index, playing, stamp [ns] of a goal."""


class Tick(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """One tick; what is not told here is as in `TickReport` and `Cut`.

    Attributes:
        stamp_ns: of the state.
        remote: bytes of the wireless remote.
        events: kind, value and origin of each.
        fault: code and detail.
        clamped: joints, motor order, whose target the guard changed.
        stage_ns: durations in the order of the stages.
        sizes: number of elements of each array of the tick, -1 where there is none.
        numbers: the elements of all of them, float64.
    """

    index: int
    now_ns: int
    mode: str
    controller: str
    stamp_ns: int
    remote: bytes | None
    goal: GoalFrame | None
    events: list[tuple[str, float, str]]
    fault: tuple[str, str] | None
    clamped: list[int]
    warnings: list[str]
    refusal: str
    stage_ns: list[int]
    guard_calls: list[dict[str, Any]]
    takes: list[tuple[str, list[bytes]]]
    sizes: list[int]
    numbers: bytes
