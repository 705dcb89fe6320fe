"""The procedural library: named kinds of motion, each drawn from a seed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from sonic_runtime.contract.errors import MotionError
from sonic_runtime.motions.clip import Clip, clip_from_qpos
from sonic_runtime.motions.procedural import gestures, walks
from sonic_runtime.motions.procedural.ik import Targets
from sonic_runtime.motions.procedural.profiles import RATE_HZ
from sonic_runtime.motions.procedural.whole_body import solve

SOURCE = "sonic procedural generator"

ATTEMPTS = 8
"""How often a motion is drawn anew that would not be in reach, or would let the arms touch the body."""

Maker = Callable[[np.random.Generator], Targets]

_MAKERS: dict[str, tuple[Maker, int]] = {
    "stand_sway": (gestures.stand_sway, 4),
    "reach": (gestures.reach, 8),
    "wave": (gestures.wave, 4),
    "arm_raise": (gestures.arm_raise, 5),
    "torso_turn": (gestures.torso_turn, 4),
    "bow": (gestures.bow, 4),
    "squat": (gestures.squat, 5),
    "squat_reach": (gestures.squat_reach, 4),
    "weight_shift": (gestures.weight_shift, 4),
    "step_in_place": (walks.step_in_place, 3),
    "walk_forward": (walks.walk_forward, 7),
    "walk_backward": (walks.walk_backward, 4),
    "walk_sideways": (walks.walk_sideways, 4),
    "turn_in_place": (walks.turn_in_place, 4),
    "walk_arc": (walks.walk_arc, 5),
    "walk_mixed": (walks.walk_mixed, 5),
    "walk_holding": (walks.walk_holding, 3),
}
KINDS: tuple[str, ...] = tuple(_MAKERS)
"""All kinds of motion that `generate` makes."""


def _clip(name: str, targets: Targets, seed: int) -> Clip:
    qpos = solve(targets, name)
    return clip_from_qpos(name, RATE_HZ, qpos[:, :3], qpos[:, 3:7], qpos[:, 7:], source=f"{SOURCE}, seed {seed}")


def _drawn(kind: str, maker: Maker, seed: int, number: int, name: str) -> Clip:
    """Draw targets until a motion can be done, each time from a generator of its own."""
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), number, attempt])
        try:
            return _clip(name, maker(rng), seed)
        except MotionError:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")


def generate(kind: str, seed: int = 0, number: int = 0) -> Clip:
    """Make one motion; the same arguments always give the same clip.

    Args:
        kind: one of `KINDS`.
        seed: seed of the library.
        number: which clip of its kind.

    Returns:
        The clip `proc_<kind>_<number>` at 50 Hz, standing still at both ends.

    Raises:
        MotionError: unknown kind.
    """
    if kind not in _MAKERS:
        raise MotionError(f"procedural motion: expected a kind out of {', '.join(KINDS)}; got {kind!r}")
    return _drawn(kind, _MAKERS[kind][0], seed, number, f"proc_{kind}_{number:02d}")


def _generate_job(job: tuple[str, int, int]) -> Clip:
    return generate(*job)


def library(
    seed: int = 0,
    clips_per_kind: int | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Clip]:
    """Make the whole library.

    Args:
        seed: seed of all clips.
        clips_per_kind: how many clips of each kind; None for the usual mix of about 75.
        workers: processes to share the work; the result does not depend on it.
        progress: called after each clip with the number of clips made and their total.

    Returns:
        The clips, kind by kind in the order of `KINDS`.

    Raises:
        MotionError: clips_per_kind or workers below 1.
    """
    if workers < 1 or (clips_per_kind is not None and clips_per_kind < 1):
        raise MotionError(
            f"procedural library: expected at least 1 clip per kind and worker, got {clips_per_kind}, {workers}"
        )
    jobs = [(kind, seed, i) for kind, (_, usual) in _MAKERS.items() for i in range(clips_per_kind or usual)]
    if workers == 1:
        return _collected(map(_generate_job, jobs), len(jobs), progress)
    # spawn, because a forked child of a process with threads may hang
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return _collected(pool.map(_generate_job, jobs), len(jobs), progress)


def _collected(clips: Iterable[Clip], total: int, progress: Callable[[int, int], None] | None) -> list[Clip]:
    result = []
    for clip in clips:
        result.append(clip)
        if progress is not None:
            progress(len(result), total)
    return result


def demo_walk(seed: int = 0, seconds: float = 25.0) -> Clip:
    """Make the walk of the demo: forward, a turn, forward again, sideways, back, and stop.

    Args:
        seed: varies speeds and turn a little.
        seconds: duration wanted; the clip is at least 12 s and within about a step of it.
    """
    return _drawn("demo_walk", lambda rng: walks.demo(rng, seconds), seed, 0, "proc_demo_walk")
