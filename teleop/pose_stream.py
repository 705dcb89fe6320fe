"""Goals from the `pose` topic over ZeroMQ: connect, take what has arrived, merge, play one frame per tick.

Runs in the command stage of the tick and never blocks: each call takes at most MAX_MESSAGES_PER_TICK messages from its
inbox without waiting. There is no thread of ours and no lock; one chunk of 60 frames costs about 0.15 ms
(tests/teleop/test_pose_stream.py measures it). What is malformed is counted and dropped, and the reference goes on as
it was. Messages are stamped with the time of the state they came with, so that the same states and messages give the
same goals again.

Playback holds its frame while fewer frames lie ahead than the policy looks at: 46 for the g1 encoder (ten frames, five
apart). A sender therefore sends chunks that reach further ahead than that, or accepts 0.92 s of delay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sonic_runtime.contract.errors import ConfigError, WireError
from sonic_runtime.contract.messages import Goal, Reference, RobotState
from sonic_runtime.contract.operator import OperatorEvent
from teleop.heading import Heading
from teleop.inbox import Inbox
from teleop.merge import ResetReason, Window, merge
from teleop.pose_packet import PoseFrames, unpack_pose

MAX_MESSAGES_PER_TICK = 8
"""A sender at 50 Hz brings one a tick; eight let a backlog shrink and keep a flood below 1 ms a tick."""


@dataclass(slots=True)
class StreamCounters:
    """What a stream has brought so far.

    Attributes:
        received: messages taken from the socket.
        rejected: messages that were malformed or foreign.
        last_rejection: why the last one was rejected.
        repeated: messages with the frame numbers of the one before; they do not keep a stream alive.
        resets: how often the window began anew, by reason; "first" is the ordinary start.
        holes: chunks that left frames out between the window and themselves.
        missing_frames: frames left out by holes.
        holds: how often playback, once begun, had to stop because the stream did not reach far enough ahead.
        held_ticks: ticks it stood still in all.
    """

    received: int = 0
    rejected: int = 0
    last_rejection: str = ""
    repeated: int = 0
    resets: dict[ResetReason, int] = field(default_factory=dict)
    holes: int = 0
    missing_frames: int = 0
    holds: int = 0
    held_ticks: int = 0

    @property
    def gaps(self) -> int:
        """Breaks of the reference the robot felt: jumps to a new window after the first, and stops of playback."""
        jumps = sum(count for reason, count in self.resets.items() if reason != "first")
        return jumps + self.holds

    def line(self) -> str:
        """Return the counts in one line, with the reason of the last rejection."""
        resets = ", ".join(f"{reason} {count}" for reason, count in self.resets.items()) or "none"
        rejected = f"{self.rejected} rejected" + (f" (the last: {self.last_rejection})" if self.rejected else "")
        return (
            f"{self.received} messages, {rejected}, {self.repeated} repeated; gaps: {self.gaps}, of these holds: "
            f"{self.holds} ({self.held_ticks} ticks); window begun: {resets}"
        )


class PoseStream:
    """A GoalSource that plays a `pose` version 1 stream with the g1 encoder.

    Args:
        inbox: where the messages come from; closed with the stream.
        window_frames: frames, the played one included, that the policy looks at.

    Raises:
        ConfigError: the window is below one frame.
    """

    def __init__(self, inbox: Inbox, *, window_frames: int) -> None:
        if window_frames < 1:
            raise ConfigError(f"stream window: expected at least 1 frame, got {window_frames}")
        self.counters = StreamCounters()
        self._window_frames = window_frames
        self._window: Window | None = None
        self._cursor = 0
        self._holding = False
        self._arrival_ns = 0
        self._last_chunk: tuple[int, int] | None = None
        self._heading = Heading()
        self._inbox = inbox

    def read(self, state: RobotState, events: Sequence[OperatorEvent] = ()) -> Goal | None:
        """Return the frame to track now, None until a first chunk came."""
        self._take_messages(state)
        if self._window is None:
            return None
        window, cursor = self._window, self._cursor
        if cursor == 0:
            self._heading.first_frame(window.root_quat_wxyz[0])
        goal = Goal(
            reference=Reference(
                joint_pos_pol=window.joint_pos_pol,
                joint_vel_pol=window.joint_vel_pol,
                root_quat_wxyz=window.root_quat_wxyz,
                cursor=cursor,
                first_index=window.start,
            ),
            encoder="g1",
            heading_quat_wxyz=self._heading.quat_wxyz(),
            stamp_ns=self._arrival_ns,
        )
        self._advance(window)
        return goal

    @property
    def frame_index(self) -> int | None:
        """Number of the frame the next goal will play, None before the first chunk."""
        return None if self._window is None else self._window.start + self._window.step * self._cursor

    def close(self) -> None:
        """Close the inbox; safe to call twice."""
        self._inbox.close()

    def _take_messages(self, state: RobotState) -> None:
        for message in self._inbox.take(MAX_MESSAGES_PER_TICK):
            self.counters.received += 1
            try:
                frames = unpack_pose(message)
            except WireError as error:
                self.counters.rejected += 1
                self.counters.last_rejection = str(error)
                continue
            self._note_arrival(frames, state.stamp_ns)
            self._merge(frames, state)

    def _note_arrival(self, frames: PoseFrames, now_ns: int) -> None:
        """Stamp the stream, unless a sender repeats its last chunk: it lives, but its motion does not go on."""
        first_and_last = int(frames.frame_index[0]), int(frames.frame_index[-1])
        if first_and_last == self._last_chunk:
            self.counters.repeated += 1
            return
        self._last_chunk = first_and_last
        self._arrival_ns = now_ns

    def _merge(self, frames: PoseFrames, state: RobotState) -> None:
        merged = merge(self._window, self._cursor, frames)
        if merged.reset == "hole" and self._window is not None:
            self.counters.holes += 1
            self.counters.missing_frames += (merged.window.start - self._window.end) // self._window.step - 1
        self._window, self._cursor = merged.window, merged.cursor
        if merged.reset is not None:
            self.counters.resets[merged.reset] = self.counters.resets.get(merged.reset, 0) + 1
            self._holding = False
            self._heading.restart(state.base_quat_wxyz, merged.window.root_quat_wxyz[0])
        if frames.heading_increment_rad:
            self._heading.turn(frames.heading_increment_rad)

    def _advance(self, window: Window) -> None:
        if self._cursor < len(window) - self._window_frames:
            self._cursor += 1
            self._holding = False
            return
        self.counters.held_ticks += 1
        if not self._holding and self._cursor > 0:
            self._holding = True
            self.counters.holds += 1
