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


class Tick(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """One tick: time of the loop [ns], its messages as (topic, fields), and the numbers of their arrays."""

    now_ns: int
    rows: list[tuple[str, dict[str, Any]]]
    block: bytes
