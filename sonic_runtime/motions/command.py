"""`sonic-motions`: make the procedural library, or turn motion files into clips of our own format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from sonic_runtime.command_line import say, wants_help
from sonic_runtime.contract.errors import ConfigError, MotionError
from sonic_runtime.motions.clip import Clip, save_clip
from sonic_runtime.motions.procedural import KINDS, demo_walk, library
from sonic_runtime.motions.read import read_motions

USAGE = f"""usage: sonic-motions generate OUT [seed=0] [clips_per_kind=N] [workers=1]
       sonic-motions convert IN OUT

generate  makes the procedural library and the walk of the demo: one NPZ a clip in the folder OUT.
          Kinds: {", ".join(KINDS)}.
convert   reads a motion file or folder IN of any known format and writes one NPZ a clip, at 50 Hz, in the folder OUT.
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command.

    Args:
        arguments: command line without the program's name.

    Returns:
        Exit code 0.

    Raises:
        SonicError: wrong arguments, unreadable motions, or an output folder that cannot be written.
    """
    if not arguments or wants_help(arguments):
        say(USAGE.rstrip())
        return 0
    action, *rest = arguments
    actions: dict[str, Callable[[list[str]], int]] = {"generate": _generate, "convert": _convert}
    if action not in actions:
        raise ConfigError(f"sonic-motions: expected one of {', '.join(actions)}; got {action!r}\n{USAGE}")
    return actions[action](rest)


def _generate(arguments: list[str]) -> int:
    paths = [a for a in arguments if "=" not in a]
    options = _options([a for a in arguments if "=" in a], {"seed": 0, "clips_per_kind": 0, "workers": 1})
    if len(paths) != 1:
        raise ConfigError(f"sonic-motions generate: expected one output folder, got {paths or 'none'}\n{USAGE}")
    folder = _output_folder(paths[0])
    with tqdm(unit="clip") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        clips = library(options["seed"], options["clips_per_kind"] or None, options["workers"], progress=show)
    return _write([*clips, demo_walk(options["seed"])], folder)


def _convert(arguments: list[str]) -> int:
    if len(arguments) != 2:
        raise ConfigError(f"sonic-motions convert: expected IN and OUT, got {len(arguments)} arguments\n{USAGE}")
    clips = read_motions(Path(arguments[0]))
    repeated = sorted({clip.name for clip in clips if sum(c.name == clip.name for c in clips) > 1})
    if repeated:
        raise MotionError(
            f"{arguments[0]}: expected clips of different names, found {', '.join(repeated)} more than once; "
            "convert the folders one by one"
        )
    return _write(clips, _output_folder(arguments[1]))


def _options(pairs: list[str], defaults: dict[str, int]) -> dict[str, int]:
    values = dict(defaults)
    for pair in pairs:
        key, text = pair.split("=", 1)
        if key not in defaults:
            raise ConfigError(f"sonic-motions generate: expected one of {', '.join(defaults)}; got {key!r}")
        if not text.isdecimal():
            raise ConfigError(f"sonic-motions generate: expected a whole number of at least 0 for {key}, got {text!r}")
        values[key] = int(text)
    return values


def _output_folder(text: str | Path) -> Path:
    folder = Path(text)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MotionError(f"{folder}: cannot be made as a folder for clips: {error.strerror}") from error
    return folder


def _write(clips: list[Clip], folder: Path) -> int:
    for clip in tqdm(clips, unit="file"):
        # a clip that was read from a folder carries its subfolders in its name
        path = folder / f"{clip.name}.npz"
        _output_folder(path.parent)
        save_clip(clip, path)
    seconds = sum(clip.duration_s for clip in clips)
    say(f"{len(clips)} clips, {seconds:.0f} s in {folder}")
    return 0
