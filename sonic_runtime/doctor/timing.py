"""Whether this machine wakes a process when it asked to be, and what it grants to one that must be on time."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sonic_runtime.doctor.finding import Finding, failure, graded, warning, well
from sonic_runtime.pacing import Lateness, LatenessStats, Pacer
from sonic_runtime.realtime import Note, real_time

_PROBE_HZ = 500.0
"""The rate of the process that writes to the motors."""
_LATE_MS = (1.0, 10.0)
"""At the first limit the motors' writer leaves a period out, at the second half of a control period is gone."""
_DISK_BYTES = (2_000_000_000, 100_000_000)
"""Room for more than an hour of recordings, and for some minutes."""


def check_sleep(stats: LatenessStats) -> list[Finding]:
    """Judge how late a process was woken.

    Args:
        stats: what `measure` found.
    """
    text = (
        f"woken late by {stats.p50_ms:.3f} ms (half), {stats.p999_ms:.3f} ms (99.9 %), {stats.max_ms:.3f} ms at worst, "
        f"of {stats.count} times"
    )
    remedy = (
        "end other programs, run on a machine that is not shared, set the governor to performance, or permit SCHED_FIFO"
    )
    return graded("sleep", text, stats.p999_ms, _LATE_MS, remedy)


def check_permissions(notes: Sequence[Note]) -> list[Finding]:
    """Judge what the system granted of real-time priority, pinning and locked memory.

    Args:
        notes: what `measure` found.
    """
    if not notes:
        return well("real time", "nothing asked of the system")
    return [finding for note in notes for finding in _of_note(note)]


def measure(seconds: float, priority: int, cpu: int | None, lock_memory: bool) -> tuple[LatenessStats, list[Note]]:
    """Measure how late this thread is woken 500 times a second, with what the system grants to a run.

    Args:
        seconds: how long [s].
        priority: SCHED_FIFO priority that a run asks for, 0 for none.
        cpu: core that a run is pinned to, None for none.
        lock_memory: whether a run locks its memory.

    Returns:
        The lateness, and one note for each thing asked for; all of it has been given back.
    """
    lateness = Lateness()
    with real_time("loop", priority, cpu, lock_memory) as notes:
        pacer, end = Pacer(_PROBE_HZ, lateness), time.monotonic() + seconds
        while time.monotonic() < end:
            pacer.wait()
    return lateness.stats(), list(notes)


def _of_note(note: Note) -> list[Finding]:
    if note.granted:
        return well("real time", note.text)
    # a run works without, and is late more often
    found, _, remedy = note.text.partition("; ")
    return warning("real time", found, remedy or "ask for what this system has, or leave it out")


def check_disk(run_dir: str, usage: Callable[[Path], int] | None = None) -> list[Finding]:
    """Check that the folder of the runs can be written to and has room.

    Args:
        run_dir: as configured; `{time}` in it stands for the start time.
        usage: returns the free bytes where a folder lies; None asks the system.
    """
    folder = Path(run_dir.split("{time}")[0]).expanduser().absolute()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    remedy = "choose another folder with run_dir=FOLDER/{time}"
    if not existing.is_dir():
        return failure("disk", f"run_dir={run_dir}: {existing} is a file", remedy)
    probe = existing / ".sonic-doctor"
    try:
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        return failure("disk", f"run_dir={run_dir}: {existing} cannot be written to ({error.strerror})", remedy)
    free = (lambda path: shutil.disk_usage(path).free)(existing) if usage is None else usage(existing)
    text = f"{free / 1e9:.1f} GB free in {existing}"
    warn, fail = _DISK_BYTES
    return graded("disk", text, -free, (-warn, -fail), f"free the disk, or {remedy}")
