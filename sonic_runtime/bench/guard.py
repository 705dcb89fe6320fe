"""`sonic-bench guard`: hostile ticks through the guard, and everything that comes out held against its limits.

The guard is the one that a run has, called as a tick calls it. Exit code 1 where something came out that should not.
"""

from __future__ import annotations

import time
from collections import Counter
from itertools import islice
from typing import Annotated, Any

import msgspec
import numpy as np

from sonic_runtime.bench.guard_rules import outside_limits, unfit
from sonic_runtime.bench.guard_ticks import STOP, HostileTicks, hostile_ticks
from sonic_runtime.command_line import help_text, say, wants_help
from sonic_runtime.config import load_config
from sonic_runtime.contract.messages import Array, JointTarget
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.guard.modes import Guard
from sonic_runtime.robots import g1

_BATCH = 2000
_RUN_TICKS = 50
_DAMPED_TICKS = 3
"""Ticks of a run, and ticks in damping at its end; then a new guard begins."""
_TARGET_FIELDS = ("joint_pos_hw", "joint_vel_hw", "stiffness_hw", "damping_hw", "torque_ff_hw")
_NOTHING_NM = 1e-6
"""A difference of torque that is a rounding error."""
_JOINTS = len(g1.JOINT_NAMES_HW)
_DESCRIPTION = (
    "Sends random ticks through the guard - states, goals, decisions and events with NaN, infinities, random bits and "
    "stamps of other clocks - and checks what comes out. The last line is JSON."
)


class GuardBenchConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A test of the guard with random ticks."""

    ticks: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
    """Ticks, rounded up to whole batches of 2000."""
    seed: Annotated[int, msgspec.Meta(ge=0)]
    """Of the random numbers; the same seed gives the same ticks."""
    guard: GuardConfig


class GuardBench(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the ticks.

    Attributes:
        seed: of the random numbers.
        ticks: ticks sent through the guard.
        written: targets of a controller that came out; in all other ticks damping is written.
        clamped: those of them that were changed.
        faults: runs that ended with each fault, by code.
        violations: targets that came out and should not have, by rule. Empty is well.
        seconds: time it took [s].
    """

    seed: int
    ticks: int
    written: int
    clamped: int
    faults: dict[str, int]
    violations: dict[str, int]
    seconds: float

    def table(self) -> str:
        """Return what happened, one line each."""
        lines = [
            f"{self.ticks} ticks in {self.seconds:.0f} s: {self.written} targets written, {self.clamped} of them "
            f"clamped, damping in the other {self.ticks - self.written}"
        ]
        lines += [f"  {count:>9} runs ended by {code}" for code, count in sorted(self.faults.items())]
        lines += [f"  {count:>9} VIOLATIONS of {rule}" for rule, count in sorted(self.violations.items())]
        return "\n".join(lines)

    def line(self) -> dict[str, Any]:
        """Return the numbers for one line of JSON."""
        return {
            "seed": self.seed,
            "ticks": self.ticks,
            "written": self.written,
            "clamped": self.clamped,
            "faults": dict(sorted(self.faults.items())),
            "violations": sum(self.violations.values()),
            "violated": self.violations,
            "us_per_tick": round(self.seconds / self.ticks * 1e6, 1),
        }


def main(arguments: list[str]) -> int:
    """Run the command with the arguments after `guard`; the exit code is 1 where a rule was broken."""
    if wants_help(arguments):
        say(help_text("sonic-bench guard [key=value ...]", _DESCRIPTION, "bench_guard", GuardBenchConfig))
        return 0
    result = measure_guard(load_config("bench_guard", arguments, GuardBenchConfig))
    say(result.table())
    say(msgspec.json.encode(result.line()).decode())
    return 1 if result.violations else 0


def measure_guard(config: GuardBenchConfig) -> GuardBench:
    """Send ticks through the guard and judge what comes out."""
    start = time.perf_counter()
    judge = _Judge(config.guard)
    batches = -(-config.ticks // _BATCH)
    # hostile numbers overflow, as they should; Python's warnings would only be in the way
    with np.errstate(all="ignore"):
        for ticks in islice(hostile_ticks(config.seed, _BATCH), batches):
            judge.run(ticks)
    return GuardBench(
        seed=config.seed,
        ticks=batches * _BATCH,
        written=judge.written,
        clamped=judge.clamped,
        faults=dict(judge.faults),
        violations={rule: count for rule, count in judge.violations.items() if count},
        seconds=time.perf_counter() - start,
    )


class _Judge:
    """Plays the loop for batches of ticks, and looks at what would have been written."""

    def __init__(self, config: GuardConfig) -> None:
        self.written = 0
        self.clamped = 0
        self.faults: Counter[str] = Counter()
        self.violations: Counter[str] = Counter()
        self._config = config
        self._out = np.zeros((_BATCH, len(_TARGET_FIELDS), _JOINTS))
        self._last_pos = np.zeros((_BATCH, _JOINTS))
        self._was_written = np.zeros(_BATCH, dtype=bool)

    def run(self, ticks: HostileTicks) -> None:
        """Send a batch through guards, a new one for every run, and check it."""
        first = 0
        while first < len(ticks):
            first = self._run_once(ticks, first)
        written = self._was_written
        self.written += int(written.sum())
        wanted = np.stack([ticks.target[name] for name in _TARGET_FIELDS], axis=1)[written]
        pos, vel = (ticks.state[name][written] for name in ("joint_pos_hw", "joint_vel_hw"))
        last_pos, out = self._last_pos[written], self._out[written]
        for rule, broken in outside_limits(out, pos, vel, last_pos, self._config).items():
            self.violations[rule] += int(broken.sum())
        changed = (out != wanted).any(axis=(1, 2))
        self.clamped += int(changed.sum())
        outside = np.any(list(outside_limits(wanted, pos, vel, last_pos, self._config).values()), axis=0)
        needless = (_torque_difference(out, wanted) > _NOTHING_NM) & ~outside
        self.violations["changed without need"] += int(needless.sum())
        self.violations["acted upon an unfit state"] += int((written & unfit(ticks, self._config)).sum())
        self.violations["finite action"] += int((~np.isfinite(ticks.action_pol[written])).sum())

    def _run_once(self, ticks: HostileTicks, first: int) -> int:
        """One run: a guard from its first tick until it has damped for some ticks; return where the next begins."""
        guard = Guard(self._config, ramp_s=0.1, begins="waiting" if ticks.begins_waiting[first] else "stand")
        last: Array | None = None
        damped, i = 0, first
        while i < min(first + _RUN_TICKS, len(ticks)) and damped < _DAMPED_TICKS:
            state, goal, decision, events = ticks.tick(i)
            mode = guard.decide(state, goal, events, int(ticks.now_ns[i]))
            target = guard.admit(decision, state)
            self._was_written[i] = target is not None
            if target is not None:
                self._last_pos[i] = state.joint_pos_hw if last is None else last
                self._keep(i, target)
            last = None if target is None else target.joint_pos_hw
            self.violations["target in waiting or damping"] += target is not None and mode in ("waiting", "damping")
            self.violations["target after damping"] += target is not None and damped > 0
            self.violations["stop not heard"] += bool(ticks.event[i] == STOP) and guard.mode != "damping"
            self.violations["refused without damping"] += target is None and guard.mode not in ("waiting", "damping")
            guard.note_late(int(ticks.late_ns[i]))
            damped += guard.mode == "damping"
            i += 1
        if guard.fault is not None:
            self.faults[guard.fault.code] += 1
        return i

    def _keep(self, i: int, target: JointTarget) -> None:
        for row, name in enumerate(_TARGET_FIELDS):
            self._out[i, row] = getattr(target, name)


def _torque_difference(one: Array, other: Array) -> Array:
    """Return by how much (N,) the torques of targets (N, 5, 29) with the same gains differ at most [N m]."""
    difference = np.abs(one - other)
    return (difference[:, 0] * one[:, 2] + difference[:, 1] * one[:, 3] + difference[:, 4]).max(axis=1)
