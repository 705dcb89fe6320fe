"""Motions by what a user types: a file, a folder, or the name of something the procedural generator makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sonic_runtime.contract.errors import MotionError
from sonic_runtime.motions.clip import Clip
from sonic_runtime.motions.read import read_motions

LIBRARY = "procedural"
DEMO_WALK = "walk"


def find_clips(
    source: str,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    clips_per_kind: int | None = None,
) -> list[Clip]:
    """Return the clips that a word or a path stands for.

    Args:
        source: "procedural" for the whole built-in library, "walk" for the walk of the demo, a kind of procedural
            motion such as "squat", or a motion file or folder.
        workers: processes for the built-in library.
        progress: called with the number of clips made and their total, for the built-in library.
        clips_per_kind: size of the built-in library, None for the whole.

    Raises:
        MotionError: if there is neither such a name nor such a file, or a file cannot be read.
    """
    if Path(source).expanduser().exists():
        return read_motions(Path(source).expanduser())
    # here, so that motions from files need no inverse kinematics
    from sonic_runtime.motions.procedural import KINDS, demo_walk, generate, library

    if source == LIBRARY:
        return library(clips_per_kind=clips_per_kind, workers=workers, progress=progress)
    if source == DEMO_WALK:
        return [demo_walk()]
    if source in KINDS:
        return [generate(source)]
    names = ", ".join((LIBRARY, DEMO_WALK, *KINDS))
    raise MotionError(f"motion {source!r}: expected a motion file, a folder of them, or one of {names}; found none")
