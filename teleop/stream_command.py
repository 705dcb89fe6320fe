"""`sonic-stream`: sends a motion as a `pose` stream over ZeroMQ, in real time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from tqdm import tqdm

from sonic_runtime.command_line import help_text, run_command, say, stop_on_signal, wants_help
from sonic_runtime.config import load_config
from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.motions.clip import Clip
from sonic_runtime.motions.sources import find_clips
from teleop.pose_packet import MAX_FRAMES
from teleop.pose_sender import PoseSender, stream
from teleop.stream_messages import MakeMessage, messages_of
from teleop.stream_track import CONTROL_HZ, StreamTrack, build_track

_DESCRIPTION = """Streams a motion file, or a procedural motion by name (walk, squat, wave, ...), to whoever connects.
The motion begins when the first receiver is there; Ctrl-C ends it. Messages are SONIC's `pose`: robot joints (version
1), a person (2, and 3 with the robot's wrists), or ready motion tokens (4)."""


class StreamConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a motion is streamed."""

    endpoint: str
    """ZeroMQ address to bind; tcp://*:5556 lets other machines connect."""
    lead_in_s: Annotated[float, msgspec.Meta(ge=0.0, le=30.0)]
    """Blend from the standing pose to the first frame before the motion begins [s]."""
    end: Literal["hold", "stop", "loop"]
    """After the last frame: hold the last pose until the receiver leaves, stop, or go on from the first frame."""
    version: Literal[1, 2, 3, 4]
    """Protocol version: 1 robot joints, 2 a person, 3 a person and the robot's wrists, 4 tokens of the policy."""
    policy: str
    """Policy whose encoder makes the tokens of version 4; the receiver must run the same."""
    chunk_frames: Annotated[int, msgspec.Meta(ge=1, le=MAX_FRAMES)]
    """Frames in a message of versions 1 to 3; with fewer than 46, receivers with the g1 encoder play late."""
    wait_s: Annotated[float, msgspec.Meta(ge=0.0)] | None
    """Longest wait for a first receiver [s]; null waits until Ctrl-C."""


def main(arguments: list[str]) -> int:
    """Run the command."""
    if wants_help(arguments):
        say(help_text("sonic-stream MOTION [key=value ...]", _DESCRIPTION, "stream", StreamConfig))
        return 0
    if not arguments or "=" in arguments[0]:
        found = repr(arguments[0]) if arguments else "nothing"
        raise ConfigError(f"expected a motion file or name first, as in `sonic-stream walk`; got {found}")
    config = load_config("stream", arguments[1:], StreamConfig)
    clip = single_clip(arguments[0])
    track = build_track(clip, config.lead_in_s, config.end)
    make_message = messages_of(track, config.version, config.chunk_frames, config.policy)
    sender = PoseSender(config.endpoint)
    try:
        with stop_on_signal() as stop:
            say(f"{clip.name}: {len(clip) / clip.fps:.1f} s; waiting for a receiver on {config.endpoint}")
            return _send(config, track, make_message, sender, stop)
    finally:
        sender.close()


def single_clip(source: str) -> Clip:
    """Return the one motion that a file or a name stands for.

    Raises:
        ConfigError: it stands for several.
        MotionError: it stands for none, or the file cannot be read.
    """
    clips = find_clips(source)
    if len(clips) != 1:
        names = ", ".join(clip.name for clip in clips[:5])
        raise ConfigError(f"{source}: expected one motion, found {len(clips)} ({names}, ...); name one file")
    return clips[0]


def _send(
    config: StreamConfig, track: StreamTrack, make_message: MakeMessage, sender: PoseSender, stop: Callable[[], bool]
) -> int:
    if not _wait(sender, config.wait_s, stop):
        if stop():
            return 0
        raise ConfigError(f"{config.endpoint}: nobody connected within {config.wait_s:g} s; start sonic-run first")
    with _bar(track) as bar:
        report = stream(track, make_message, sender, lambda number: _show(bar, track, number), stop)
    say(f"sent {report.messages} messages in {report.seconds:.1f} s, {report.skipped} left out")
    return 0


def _wait(sender: PoseSender, wait_s: float | None, stop: Callable[[], bool]) -> bool:
    deadline = None if wait_s is None else time.monotonic() + wait_s
    while not stop() and (deadline is None or time.monotonic() < deadline):
        # short, so that Ctrl-C is heard
        if sender.wait_for_receiver(0.1):
            return True
    return False


def _bar(track: StreamTrack) -> tqdm:
    return tqdm(
        total=round(len(track) / CONTROL_HZ, 1), unit="s", desc="streaming", file=sys.stderr, disable=None,
        bar_format="{desc}: {percentage:3.0f}% |{bar}| {n:.1f}/{total:.1f} s",
    )  # fmt: skip


def _show(bar: tqdm, track: StreamTrack, number: int) -> None:
    if number > len(track) and number % 50 == 0:
        bar.set_description_str("looping" if track.end == "loop" else "holding the last pose, Ctrl-C ends")
    bar.n = min(number, len(track)) / CONTROL_HZ
    if number % 10 == 0:
        bar.refresh()


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
