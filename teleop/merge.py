"""Merging of streamed chunks into one window of reference frames. Pure: no clock, no socket.

The rules are the published ones of SONIC. Window [start, end] and incoming chunk [first, last] in frame numbers,
`cursor` the position of the frame played now, checked in this order:

    no window yet                                        reset
    another protocol version                             reset
    first <= start                                       reset   the sender began anew
    last <= end                                          reset   nothing new: a duplicate or an older chunk
    frames kept before the chunk > 205                   reset   playback lags too far (3000 with catch_up=false)
    first > end + step                                   reset   a hole between old and new frames
    otherwise                                            merge

Versions 1 to 3 of the protocol merge alike, each with the tracks it carries. SONIC ends streaming where the version
changes; here the window begins anew, and `pose_stream.py` says when a change is taken at all.

On a merge at most five frames before the cursor are kept, and the incoming frames override the overlap. Two cases the
rules leave open are resets here: another spacing of frame numbers than before, and a chunk that falls between the
frame numbers of the window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sonic_runtime.contract.messages import Array
from teleop.pose_packet import Frames

HISTORY_FRAMES = 5
"""[frame] Kept before the cursor."""
MAX_KEPT_FRAMES = 205
"""[frame] Gap of 200 plus the history."""
MAX_WINDOW_FRAMES = 3000
"""[frame] A minute. Without a bound a sender with catch_up=false could fill the memory, and a merge copies the window:
5 MB of version 3. SONIC's buffer has 15000."""

ResetReason = Literal["first", "version", "restart", "not_newer", "lagging", "hole", "spacing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The reference frames known now.

    Attributes:
        version: protocol version of its frames.
        start: number of the first frame.
        step: spacing of the frame numbers.
        tracks: arrays of T frames by the name of the field of a `Reference` that they fill.
    """

    version: int
    start: int
    step: int
    tracks: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.tracks["root_quat_wxyz"])

    @property
    def end(self) -> int:
        """Number of the last frame."""
        return self.start + self.step * (len(self) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """The window after a chunk, where to play in it, and why it was begun anew (None where it was continued)."""

    window: Window
    cursor: int
    reset: ResetReason | None


def merge(window: Window | None, cursor: int, incoming: Frames) -> Merge:
    """Add a chunk to the window.

    Args:
        window: frames known so far, None before the first chunk.
        cursor: position in `window` of the frame played now.
        incoming: the chunk.
    """
    if window is None:
        return _reset(incoming, "first")
    if incoming.version != window.version:
        return _reset(incoming, "version")
    step = window.step
    first = int(incoming.frame_index[0])
    last = first + incoming.step * (len(incoming) - 1)
    if first <= window.start:
        return _reset(incoming, "restart")
    if last <= window.end:
        return _reset(incoming, "not_newer")
    new_start = min(window.start + step * max(0, cursor - HISTORY_FRAMES), first)
    if (len(incoming) > 1 and incoming.step != step) or (first - window.start) % step:
        return _reset(incoming, "spacing")
    kept = (first - new_start) // step
    if kept > (MAX_KEPT_FRAMES if incoming.catch_up else MAX_WINDOW_FRAMES):
        return _reset(incoming, "lagging")
    if first > window.end + step:
        return _reset(incoming, "hole")
    dropped = (new_start - window.start) // step
    return Merge(window=_continue(window, dropped, kept, incoming), cursor=cursor - dropped, reset=None)


def _reset(incoming: Frames, reason: ResetReason) -> Merge:
    window = Window(
        version=incoming.version,
        start=int(incoming.frame_index[0]),
        step=incoming.step,
        tracks=incoming.tracks(),
    )
    return Merge(window=window, cursor=0, reset=reason)


def _continue(window: Window, dropped: int, kept: int, incoming: Frames) -> Window:
    old = slice(dropped, dropped + kept)
    return Window(
        version=window.version,
        start=window.start + window.step * dropped,
        step=window.step,
        tracks={name: np.concatenate([window.tracks[name][old], new]) for name, new in incoming.tracks().items()},
    )
