"""Our tick beside that of a public runtime, on the same ONNX file, states and computer.

Each side is a process of its own and runs its own loop from sensing to command with its own settings of ONNX Runtime;
they take turns, so that a slow minute of the computer falls on both. Before that, both are asked for their joint
targets on the same states: only where these agree is it the same work that is timed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np

import sonic_runtime
from sonic_runtime.bench.turns import make_states
from sonic_runtime.command_line import help_text, say, wants_help
from sonic_runtime.config import load_config
from sonic_runtime.contract.errors import ConfigError, ContractError, RobotError
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.robots import g1
from sonic_runtime.stage_times import TimeStats

CHECKED_STATES = 50
TARGET_TOLERANCE_RAD = 1e-4
"""float32 networks on observations from another order of the same sums; a wrong term moves targets by far more."""


class CompareConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A comparison with another runtime."""

    runtime: str | None
    """Folder of a checkout of holosoma (github.com/amazon-far/holosoma), or of its holosoma_inference."""
    policy: str | None
    """A whole-body tracking policy of holosoma that its configuration g1-29dof-wbt fits; null takes the one that the
    checkout brings along."""
    python: str | None
    """Interpreter with the requirements of the checkout; null takes this one."""
    clock: Literal["lockstep", "real_time"]
    """lockstep: tick after tick; real_time: one every 20 ms, as on a robot."""
    rounds: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    """Turns that each side takes."""
    ticks: Annotated[int, msgspec.Meta(ge=10, le=1_000_000)]
    """Ticks of a turn."""
    warm_up_ticks: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    """Ticks that each side runs before its first turn."""
    guard: GuardConfig


class Checkout(NamedTuple):
    """A runtime that can be compared: the module that measures it, its import folder, and the policy it brings."""

    module: str
    folder: Path
    policy: Path | None


class SideTimes(msgspec.Struct, frozen=True, kw_only=True):
    """Durations of one side's ticks: whole, inside ONNX Runtime, and all the rest."""

    tick: TimeStats
    inference: TimeStats
    rest: TimeStats


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came out.

    Attributes:
        runtime: name of the other runtime.
        stubs: what was put in the place of its modules, and why that is harmless.
        policy: the ONNX file.
        ticks: ticks timed on each side.
        clock: as configured.
        target_difference_rad: largest difference between the joint targets of both sides on the same states [rad].
        theirs: times of the other runtime.
        ours: our times.
    """

    runtime: str
    stubs: dict[str, str]
    policy: str
    ticks: int
    clock: str
    target_difference_rad: float
    theirs: SideTimes
    ours: SideTimes

    def text(self) -> str:
        """Return a table of milliseconds, with what it rests on."""
        lines = [
            f"policy: {self.policy}",
            *(f"stand-in for {name}: {why}" for name, why in self.stubs.items()),
            "each side takes its state as lists of numbers and gives its command as lists; the guard is on in ours",
            f"the same work: joint targets differ by at most {self.target_difference_rad:.1e} rad on "
            f"{CHECKED_STATES} states",
            f"{'':<34}{'p50 ms':>10}{'p99 ms':>10}",
        ]
        for name, side in ((self.runtime, self.theirs), ("sonic", self.ours)):
            for label, stats in (("tick", side.tick), ("ONNX Runtime", side.inference), ("all the rest", side.rest)):
                lines.append(f"{name + ', ' + label:<34}{stats.p50_ms:>10.4f}{stats.p99_ms:>10.4f}")
        for label, key in (("tick", "tick"), ("all but ONNX Runtime", "rest")):
            p50, p99 = self._ratio(key)
            lines.append(f"{'theirs / ours, ' + label:<34}{p50:>10.2f}{p99:>10.2f}")
        return "\n".join(lines)

    def line(self) -> dict[str, Any]:
        """Return the numbers for one line of JSON."""
        content: dict[str, Any] = {"runtime": self.runtime, "policy": self.policy, "ticks": self.ticks}
        content |= {"clock": self.clock, "stubs": sorted(self.stubs)}
        content["target_difference_rad"] = self.target_difference_rad
        for name, side in (("theirs", self.theirs), ("ours", self.ours)):
            content[name] = {
                f"{key}_{p}": round(getattr(getattr(side, key), p), 4)
                for key in ("tick", "inference", "rest")
                for p in ("p50_ms", "p99_ms")
            }
        for key in ("tick", "rest"):
            p50, p99 = self._ratio(key)
            content |= {f"{key}_ratio_p50": round(p50, 2), f"{key}_ratio_p99": round(p99, 2)}
        return content

    def _ratio(self, key: str) -> tuple[float, float]:
        theirs, ours = getattr(self.theirs, key), getattr(self.ours, key)
        return theirs.p50_ms / ours.p50_ms, theirs.p99_ms / ours.p99_ms


def main(arguments: list[str]) -> int:
    """`sonic-bench compare`: measure both sides and print the table, then one line of JSON."""
    if wants_help(arguments):
        text = "Measures our tick beside that of a checkout of holosoma_inference. The last line is JSON."
        say(help_text("sonic-bench compare runtime=FOLDER [key=value ...]", text, "bench_compare", CompareConfig))
        return 0
    result = compare(load_config("bench_compare", arguments, CompareConfig))
    say(result.text())
    say(json.dumps(result.line()))
    return 0


def compare(config: CompareConfig) -> Comparison:
    """Run both sides in turns.

    Raises:
        ConfigError: there is no such checkout, policy or interpreter.
        ContractError: the policy does not fit the robot, or the two sides do not do the same with it.
        RobotError: a side ended early.
    """
    if config.runtime is None:
        raise ConfigError("runtime: expected the folder of a checkout to compare with, found null; say runtime=FOLDER")
    checkout = find_checkout(Path(config.runtime).expanduser())
    policy = _policy(config, checkout)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sonic-")))
        make_states(CHECKED_STATES, g1.DEFAULT_POS_HW).save(folder / "states.json")
        (folder / "guard.json").write_bytes(msgspec.json.encode(config.guard))
        theirs = stack.enter_context(
            _Side(
                config.python or sys.executable,
                checkout.module,
                [str(checkout.folder), str(policy), str(folder / "states.json"), config.clock],
                folder / "theirs.txt",
            )
        )
        ours = stack.enter_context(
            _Side(
                sys.executable,
                "sonic_runtime.bench.ours",
                [_our_name(policy), str(folder / "states.json"), str(folder / "guard.json"), config.clock],
                folder / "ours.txt",
            )
        )
        difference = _target_difference(theirs, ours)
        times: dict[_Side, list[dict[str, list[int]]]] = {theirs: [], ours: []}
        for side in times:
            side.ask({"do": "run", "ticks": config.warm_up_ticks})
        for _ in range(config.rounds):
            for side, turns in times.items():
                turns.append(side.ask({"do": "run", "ticks": config.ticks}))
        return Comparison(
            runtime=theirs.about["name"],
            stubs=theirs.about["stubs"],
            policy=str(policy),
            ticks=config.rounds * config.ticks,
            clock=config.clock,
            target_difference_rad=difference,
            theirs=_side_times(times[theirs]),
            ours=_side_times(times[ours]),
        )


def find_checkout(folder: Path) -> Checkout:
    """Return what to run for a folder.

    Raises:
        ConfigError: no runtime known here is in it.
    """
    for find in RUNTIMES.values():
        if (checkout := find(folder)) is not None:
            return checkout
    raise ConfigError(
        f"runtime={folder}: expected a checkout of {' or '.join(RUNTIMES)}, found "
        f"{'no such folder' if not folder.is_dir() else 'none in this folder'}"
    )


def _find_holosoma(folder: Path) -> Checkout | None:
    for root in (folder, folder / "src" / "holosoma_inference", folder.parent):
        package = root / "holosoma_inference"
        if (package / "policies" / "wbt.py").is_file():
            policies = sorted((package / "models" / "wbt").glob("*.onnx"))
            return Checkout("sonic_runtime.bench.holosoma", root, policies[0] if policies else None)
    return None


RUNTIMES: dict[str, Callable[[Path], Checkout | None]] = {"holosoma_inference": _find_holosoma}
"""Runtimes that can be compared, each with what recognises a checkout of it."""


def _policy(config: CompareConfig, checkout: Checkout) -> Path:
    policy = checkout.policy if config.policy is None else Path(config.policy).expanduser()
    if policy is None or not policy.is_file():
        raise ConfigError(f"policy={config.policy}: expected an ONNX file, found none at {policy}; say policy=FILE")
    return policy.resolve()


def _our_name(policy: Path) -> str:
    """Return how to ask for the file; without its training configuration, with the published constants, as they do."""
    from controllers.holosoma import RELEASE_NAME, says_its_training
    from sonic_runtime.infer.imported_onnx import ImportedFile

    return str(policy) if says_its_training(ImportedFile(policy)) else f"{RELEASE_NAME}:{policy}"


class _Side:
    """A process that answers requests; a context manager that ends it in every case."""

    def __init__(self, python: str, module: str, arguments: list[str], errors: Path) -> None:
        self._name = module
        root = str(Path(sonic_runtime.__file__).parent.parent)
        paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        self._errors_file = errors
        self._errors: IO[bytes] = errors.open("wb")
        try:
            self._process = subprocess.Popen(
                [python, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            )
        except OSError as error:
            self._errors.close()
            raise ConfigError(f"python={python}: expected a Python interpreter ({error.strerror})") from error
        try:
            self.about = self._answer()
        except BaseException:
            self.close()
            raise

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return its answer; RobotError where the process has ended."""
        if self._process.stdin is not None and self._process.poll() is None:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            self._process.wait()
            said = self._errors_file.read_text(errors="replace").strip().splitlines()
            raise RobotError(
                f"{self._name} ended with exit code {self._process.returncode}: {said[-1] if said else 'no reason'}; "
                "for the other runtime, say python=INTERPRETER with one that has its requirements"
            )
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def __enter__(self) -> _Side:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _target_difference(theirs: _Side, ours: _Side) -> float:
    found, expected = (np.array(side.ask({"do": "check"})["targets"]) for side in (ours, theirs))
    difference = float(np.abs(found - expected).max())
    if not difference <= TARGET_TOLERANCE_RAD:
        index = np.unravel_index(int(np.abs(found - expected).argmax()), found.shape)
        raise ContractError(
            f"the two sides do not do the same: on state {index[0]} the target of {g1.JOINT_NAMES_HW[index[1]]} is "
            f"{expected[index]:.5f} rad there and {found[index]:.5f} rad here (allowed {TARGET_TOLERANCE_RAD:g}); a "
            "policy of another configuration than theirs cannot be compared"
        )
    return difference


def _side_times(turns: list[dict[str, list[int]]]) -> SideTimes:
    tick = np.concatenate([np.array(turn["tick_ns"]) for turn in turns])
    inference = np.concatenate([np.array(turn["inference_ns"]) for turn in turns])
    return SideTimes(tick=_stats(tick), inference=_stats(inference), rest=_stats(tick - inference))


def _stats(ns: np.ndarray) -> TimeStats:
    p50, p99 = np.percentile(ns, [50, 99])
    return TimeStats(float(p50) * 1e-6, float(p99) * 1e-6, float(ns.max()) * 1e-6)
