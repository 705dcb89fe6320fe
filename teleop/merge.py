"""Merging of streamed chunks into one window of reference frames. Pure: no clock, no socket.

The rules are the published ones of SONIC. Window [start, end] and incoming chunk [first, last] in frame numbers,
`cursor` the position of the frame played now, checked in this order:

    no window yet                                        reset
    first <= start                                       reset   the sender began anew
    last <= end                                          reset   nothing new: a duplicate or an older chunk
    frames kept before the chunk > 205                   reset   playback lags too far (15000 with catch_up=false)
    first > end + step                                   reset   a hole between old and new frames
    otherwise                                            merge

On a merge at most five frames before the cursor are kept, and the incoming frames override the overlap. Two cases the
rules leave open are resets here: another spacing of frame numbers than before, and a chunk that falls between the
frame numbers of the window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sonic_runtime.contract.messages import Array
from teleop.pose_packet import PoseFrames

HISTORY_FRAMES = 5
"""[frame] Kept before the cursor."""
MAX_KEPT_FRAMES = 205
"""[frame] Gap of 200 plus the history."""
MAX_WINDOW_FRAMES = 15000
"""[frame] Five minutes; SONIC's buffer size. Without a bound a sender with catch_up=false could fill the memory."""

ResetReason = Literal["first", "restart", "not_newer", "lagging", "hole", "spacing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The reference frames known now.

    Attributes:
        start: number of the first frame.
        step: spacing of the frame numbers.
        joint_pos_pol: (T, 29) f64 [rad], policy order.
        joint_vel_pol: (T, 29) f64 [rad/s], policy order.
        root_quat_wxyz: (T, 4) f64, world of the reference.
    """

    start: int
    step: int
    joint_pos_pol: Array
    joint_vel_pol: Array
    root_quat_wxyz: Array

    def __len__(self) -> int:
        return len(self.joint_pos_pol)

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


def merge(window: Window | None, cursor: int, incoming: PoseFrames) -> Merge:
    """Add a chunk to the window.

    Args:
        window: frames known so far, None before the first chunk.
        cursor: position in `window` of the frame played now.
        incoming: the chunk.
    """
    if window is None:
        return _reset(incoming, "first")
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


def _reset(incoming: PoseFrames, reason: ResetReason) -> Merge:
    window = Window(
        start=int(incoming.frame_index[0]),
        step=incoming.step,
        joint_pos_pol=incoming.joint_pos_pol,
        joint_vel_pol=incoming.joint_vel_pol,
        root_quat_wxyz=incoming.root_quat_wxyz,
    )
    return Merge(window=window, cursor=0, reset=reason)


def _continue(window: Window, dropped: int, kept: int, incoming: PoseFrames) -> Window:
    old = slice(dropped, dropped + kept)
    return Window(
        start=window.start + window.step * dropped,
        step=window.step,
        joint_pos_pol=np.concatenate([window.joint_pos_pol[old], incoming.joint_pos_pol]),
        joint_vel_pol=np.concatenate([window.joint_vel_pol[old], incoming.joint_vel_pol]),
        root_quat_wxyz=np.concatenate([window.root_quat_wxyz[old], incoming.root_quat_wxyz]),
    )
