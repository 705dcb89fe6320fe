"""`sonic-replay`: runs a recording through the tick again and compares bit for bit, or exports it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from sonic_runtime.command_line import help_text, say, wants_help
from sonic_runtime.config import load_config
from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.record.export_csv import write_csv
from sonic_runtime.record.export_motion import write_motion
from sonic_runtime.record.read import Recording
from sonic_runtime.record.rebuild import changes_since, rebuild
from sonic_runtime.record.replay import ReplayResult, replay
from sonic_runtime.record.stand_ins import RecordedWorld

_DESCRIPTION = """Feeds what a recorded run saw through the same tick again and compares what comes out, bit for bit.
Exit code 0 where everything is the same, 1 where it is not; the last line is JSON.
With csv or motion the recording is exported and not replayed. Foxglove opens the recording itself."""


class ReplayConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do with a recording."""

    policy: str | None
    """Policy to run in the place of the recorded one, to see where it would act otherwise; null for that one."""
    csv: str | None
    """Folder to make with the CSV files and columns of SONIC's runtime."""
    motion: str | None
    """Reference motion folder to make of what was tracked."""
    motion_of: Literal["robot", "reference"]
    """What becomes that motion: what the robot did, or what it was to do."""


def main(arguments: list[str]) -> int:
    """Run the command; the exit code is 0 where the replay is the recording, or the export was written."""
    if wants_help(arguments):
        say(help_text("sonic-replay FILE.mcap [key=value ...]", _DESCRIPTION, "replay", ReplayConfig))
        return 0
    if not arguments or "=" in arguments[0]:
        found = repr(arguments[0]) if arguments else "nothing"
        raise ConfigError(f"expected a recording first, as in `sonic-replay runs/run/TIME/run.mcap`; got {found}")
    config = load_config("replay", arguments[1:], ReplayConfig)
    recording = Recording(Path(arguments[0]).expanduser())
    if config.csv is None and config.motion is None:
        return _replay(recording, config.policy)
    _export(recording, config)
    return 0


def _export(recording: Recording, config: ReplayConfig) -> None:
    if config.csv is not None:
        folder = Path(config.csv).expanduser()
        count = write_csv(recording, folder)
        say(f"{folder}: {count} ticks")
    if config.motion is not None:
        folder = Path(config.motion).expanduser()
        clip = write_motion(recording, folder, config.motion_of)
        say(f"{folder}: {len(clip)} frames, {clip.duration_s:.1f} s, of the {config.motion_of}")
    if recording.broken_off:
        say(f"{recording.path} is not whole: {recording.broken_off}")


def _replay(recording: Recording, policy: str | None) -> int:
    world = RecordedWorld()
    parts = rebuild(recording, world, policy)
    changed = changes_since(recording.about, policy)
    result = replay(recording.ticks(), parts, world)
    if recording.broken_off:
        say(f"{recording.path} is not whole: {recording.broken_off}")
    if changed:
        say("not as it was when the run was recorded: " + "; ".join(changed))
    if result.unseen:
        say(f"{result.unseen} ticks ended in an exception and are not in the recording; goals after them not compared")
    say(str(result.first) if result.first is not None else "every bit is the same")
    say(f"{result.ticks} ticks compared, in {result.networks} of them a network ran; {result.differing} differ")
    say(msgspec.json.encode(_line(recording, result, changed)).decode())
    return 0 if result.first is None and result.ticks else 1


def _line(recording: Recording, result: ReplayResult, changed: list[str]) -> dict[str, Any]:
    first = result.first
    return {
        "same": first is None and result.ticks > 0,
        "ticks": result.ticks,
        "network_ticks": result.networks,
        "differing_ticks": result.differing,
        "first_tick": None if first is None else first.tick,
        "first_field": None if first is None else first.field,
        "changed": changed,
        "whole": not recording.broken_off,
    }
