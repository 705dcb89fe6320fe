"""What an operating system can do for a process that must be on time, and a plain word where it does not.

Nothing here is needed for a run, and nothing here ends one: what the system refuses is told with its remedy. The
scheduling is that of the calling thread alone; threads and processes started later are ordinary ones, so that logs,
plots and network keep out of its way.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NamedTuple

import msgspec

_PR_SET_PDEATHSIG, _PR_SET_TIMERSLACK = 1, 29
_TIMER_SLACK_NS, _DEFAULT_TIMER_SLACK_NS = 1, 50_000
_MCL_CURRENT, _MCL_FUTURE = 1, 2
_SWITCH_INTERVAL_S = 0.0005
"""How long another Python thread may keep the interpreter once the loop wants it; Python's own value is 5 ms."""
_LIMITS_FILE = "/etc/security/limits.d/sonic.conf"


class RealTimeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the processes of a run keep their deadlines, and watch each other."""

    command_max_age_ms: Annotated[float, msgspec.Meta(ge=5.0, le=1000.0)]
    """Oldest command that the writer still repeats [ms]; beyond it, the writer damps by itself and for ever."""
    heartbeat_max_age_ms: Annotated[float, msgspec.Meta(ge=5.0, le=1000.0)]
    """Oldest heartbeat of the writer with which the loop goes on [ms]; the loop kills an older one, and damps."""
    writer_hz: Annotated[float, msgspec.Meta(ge=100.0, le=1000.0)]
    """Rate at which commands are written to the robot [1/s]."""
    orphan_damping_s: Annotated[float, msgspec.Meta(ge=0.1, le=600.0)]
    """How long the writer goes on damping when the loop's process is gone and nobody can tell it to end [s]."""
    priority: Annotated[int, msgspec.Meta(ge=0, le=98)]
    """SCHED_FIFO priority of the loop, the writer's is one higher; 0 leaves both ordinary processes."""
    cpu: Annotated[int, msgspec.Meta(ge=0, le=1023)] | None
    """Core that the loop is pinned to; null lets the system choose."""
    writer_cpu: Annotated[int, msgspec.Meta(ge=0, le=1023)] | None
    """Core that the writer is pinned to; null lets the system choose."""
    lock_memory: bool
    """Keep the memory of loop and writer from being swapped out (mlockall)."""


class Note(NamedTuple):
    """One thing that was asked of the operating system: whether it was granted, and a line that says so."""

    granted: bool
    text: str


@contextmanager
def real_time(who: str, priority: int, cpu: int | None, lock_memory: bool) -> Iterator[list[Note]]:
    """Give the calling thread what the configuration asks for, and take it back at the end of the block.

    Memory stays locked: unlocking it would be no use to anyone.

    Args:
        who: name of the thread in the notes, "loop".
        priority: SCHED_FIFO priority, 0 for none.
        cpu: core to pin to, None for none.
        lock_memory: lock the process's memory.

    Yields:
        One note for each thing asked for.
    """
    # the whole process has affinity and policy of its main thread only on paper: 0 means this thread
    cpus_before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    policy_before = _policy()
    interval_before = sys.getswitchinterval()
    notes = []
    if cpu is not None:
        notes.append(_pin(who, cpu))
    if priority:
        notes.append(_schedule_fifo(who, priority))
    if lock_memory:
        notes.append(_lock_memory(who))
    _set_timer_slack(_TIMER_SLACK_NS)
    sys.setswitchinterval(min(interval_before, _SWITCH_INTERVAL_S))
    try:
        yield notes
    finally:
        sys.setswitchinterval(interval_before)
        _set_timer_slack(_DEFAULT_TIMER_SLACK_NS)
        if priority and policy_before is not None:
            # only a privileged process may take the flag back
            os.sched_setscheduler(0, policy_before[0] | os.SCHED_RESET_ON_FORK, policy_before[1])
        if cpus_before is not None:
            os.sched_setaffinity(0, cpus_before)


@contextmanager
def quiet_heap() -> Iterator[None]:
    """Keep the garbage collector off inside the block, and what exists already out of its sight.

    Objects made before the block are never looked at again (gc.freeze), so that the collection after it is short.
    """
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def signal_at_parent_death(number: int) -> None:
    """Let this process get a signal as soon as the thread that started it dies; nothing happens where Linux is not.

    A parent that is killed keeps its children until the last of its threads is gone, which takes 40 ms on a busy
    machine; this signal comes when the first is.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(number), 0, 0, 0)


def _policy() -> tuple[int, os.sched_param] | None:
    if not hasattr(os, "sched_getscheduler"):
        return None
    return os.sched_getscheduler(0), os.sched_getparam(0)


def _pin(who: str, cpu: int) -> Note:
    if not hasattr(os, "sched_setaffinity"):
        return Note(False, f"{who}: not pinned to core {cpu}: this system knows no pinning; runs on any core")
    try:
        os.sched_setaffinity(0, {cpu})
    except OSError as error:
        cores = sorted(os.sched_getaffinity(0))
        return Note(
            False, f"{who}: not pinned to core {cpu} ({error.strerror}); this process may use the cores {cores}"
        )
    return Note(True, f"{who}: pinned to core {cpu}")


def _schedule_fifo(who: str, priority: int) -> Note:
    if not hasattr(os, "sched_setscheduler"):
        return Note(False, f"{who}: no SCHED_FIFO on this system; runs at ordinary priority")
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except PermissionError:
        return Note(
            False,
            f"{who}: SCHED_FIFO is not permitted, runs at ordinary priority; to permit it, put the line "
            f"'YOUR_USER - rtprio 95' into {_LIMITS_FILE} and log in again",
        )
    except OSError as error:
        return Note(False, f"{who}: no SCHED_FIFO priority {priority} ({error.strerror}); runs at ordinary priority")
    return Note(True, f"{who}: SCHED_FIFO priority {priority}")


def _lock_memory(who: str) -> Note:
    if sys.platform != "linux":
        return Note(False, f"{who}: memory is not locked: known on Linux only")
    import resource

    unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    remedy = f"put the line 'YOUR_USER - memlock unlimited' into {_LIMITS_FILE} and log in again"
    # under a limit, locked future memory makes later allocations fail, which is worse than swapping
    if not unlimited and os.geteuid() != 0:
        return Note(False, f"{who}: memory is not locked: the limit is too low; {remedy}")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE) != 0:
        return Note(False, f"{who}: memory is not locked ({os.strerror(ctypes.get_errno())}); {remedy}")
    return Note(True, f"{who}: memory locked")


def _set_timer_slack(slack_ns: int) -> None:
    """Let timers of this thread wake it at once; Linux gathers them for up to 50 us otherwise."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(slack_ns), 0, 0, 0)
