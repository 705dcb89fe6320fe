"""What a stream has brought so far, in numbers and in one line."""

from __future__ import annotations

from dataclasses import dataclass, field

from teleop.merge import ResetReason

_MAX_REASON = 300
"""[character] Of a rejection that is kept; a name in a hostile header is 64 long at most."""


@dataclass(slots=True)
class MessageCounters:
    """Messages of one topic.

    Attributes:
        received: messages taken from the inbox.
        rejected: messages that were malformed, foreign, or of no use to the policy.
        last_rejection: why the last one was rejected.
    """

    received: int = 0
    rejected: int = 0
    last_rejection: str = ""

    def reject(self, error: Exception) -> None:
        """Count a message that is not used, and keep the reason."""
        self.rejected += 1
        self.last_rejection = str(error)[:_MAX_REASON]

    def messages_line(self) -> str:
        """Return how many came and were rejected, with the reason of the last rejection."""
        reason = f" (the last: {self.last_rejection})" if self.rejected else ""
        return f"{self.received} messages, {self.rejected} rejected{reason}"


@dataclass(slots=True)
class StreamCounters(MessageCounters):
    """Messages of the `pose` topic and what playback made of them.

    Attributes:
        versions: messages taken, by protocol version.
        repeated: messages with the frame numbers of the one before; they change nothing and do not keep a stream alive.
        resets: how often the window began anew, by reason; "first" is the ordinary start.
        holes: chunks that left frames out between the window and themselves.
        missing_frames: frames left out by holes.
        holds: how often playback, once begun, had to stop because the stream did not reach far enough ahead.
        held_ticks: ticks it stood still in all.
    """

    versions: dict[int, int] = field(default_factory=dict)
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

    def count_reset(self, reason: ResetReason) -> None:
        """Count a window that began anew."""
        self.resets[reason] = self.resets.get(reason, 0) + 1

    def count_version(self, version: int) -> None:
        """Count a message that was taken."""
        self.versions[version] = self.versions.get(version, 0) + 1

    def line(self) -> str:
        """Return the counts in one line, with the reason of the last rejection."""
        resets = ", ".join(f"{reason} {count}" for reason, count in self.resets.items()) or "none"
        versions = ", ".join(f"v{version} {count}" for version, count in self.versions.items()) or "none"
        return (
            f"{self.messages_line()}, taken: {versions}, {self.repeated} repeated; gaps: {self.gaps}, of these holds: "
            f"{self.holds} ({self.held_ticks} ticks); window begun: {resets}"
        )
