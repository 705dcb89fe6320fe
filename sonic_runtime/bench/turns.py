"""What both sides of a comparison share: robot states, the messages to a process that measures, and its timing.

Runs in the other runtime's interpreter too; imports nothing but the standard library and numpy.

A measuring process reads one JSON object a line from standard input and answers each with one line:
{"do": "check"} with the joint targets for every state, each from a fresh start, {"do": "run", "ticks": N} with the
durations of N ticks. Standard output belongs to the answers; what a runtime prints goes nowhere.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np

PERIOD_NS = 20_000_000


@dataclass(frozen=True, slots=True)
class States:
    """States of a robot that hardly moves, as a transport hands them over: lists of numbers, hardware order.

    Attributes:
        joint_pos: rad.
        joint_vel: rad/s.
        base_quat_wxyz: pelvis in the world.
        base_ang_vel_b: rad/s.
    """

    joint_pos: list[list[float]]
    joint_vel: list[list[float]]
    base_quat_wxyz: list[list[float]]
    base_ang_vel_b: list[list[float]]

    def __len__(self) -> int:
        return len(self.joint_pos)

    def save(self, path: Path) -> None:
        """Write the states as JSON."""
        path.write_text(json.dumps({name: getattr(self, name) for name in self.__slots__}))


def load_states(path: Path) -> States:
    """Read what `States.save` wrote."""
    return States(**json.loads(path.read_text()))


def make_states(count: int, default_pos_hw: np.ndarray, seed: int = 0) -> States:
    """Return states near the default pose, upright to a few degrees and within the guard's limits.

    Args:
        count: how many.
        default_pos_hw: (29,) [rad].
        seed: of the random numbers.
    """
    rng = np.random.default_rng(seed)
    joints = len(default_pos_hw)
    lean = rng.uniform(-0.05, 0.05, (count, 3)) + np.array([0.0, 0.0, 0.4])
    quat = np.concatenate([np.ones((count, 1)), lean / 2.0], axis=1)
    return States(
        joint_pos=(default_pos_hw + rng.uniform(-0.03, 0.03, (count, joints))).tolist(),
        joint_vel=rng.uniform(-0.3, 0.3, (count, joints)).tolist(),
        base_quat_wxyz=(quat / np.linalg.norm(quat, axis=1, keepdims=True)).tolist(),
        base_ang_vel_b=rng.uniform(-0.2, 0.2, (count, 3)).tolist(),
    )


class TimedSession:
    """An ONNX Runtime session whose `run` is timed; everything else is passed on.

    Attributes:
        run_ns: time spent in `run` since it was last set to 0 [ns].
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self.run_ns = 0

    def run(self, *arguments: Any) -> Any:
        """Run the session."""
        start = time.perf_counter_ns()
        result = self._session.run(*arguments)
        self.run_ns += time.perf_counter_ns() - start
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


@dataclass(slots=True)
class Stopwatch:
    """Takes the time between the end of one wait and the beginning of the next: one tick of whatever loop waits.

    Attributes:
        session: whose share of a tick is taken too.
        real_time: whether to wait for the next 20 ms; else the next tick follows at once.
        tick_ns: duration of every tick.
        inference_ns: share of the session.
    """

    session: TimedSession
    real_time: bool
    tick_ns: list[int] = field(default_factory=list)
    inference_ns: list[int] = field(default_factory=list)
    _begin_ns: int = 0
    _deadline_ns: int = 0

    def begin(self) -> None:
        """Forget all ticks; the first one begins now."""
        self.tick_ns, self.inference_ns = [], []
        self.session.run_ns = 0
        self._begin_ns = time.perf_counter_ns()
        self._deadline_ns = self._begin_ns + PERIOD_NS

    def wait(self) -> None:
        """End a tick, wait, and begin the next."""
        self.tick_ns.append(time.perf_counter_ns() - self._begin_ns)
        self.inference_ns.append(self.session.run_ns)
        self.session.run_ns = 0
        if self.real_time:
            left_ns = self._deadline_ns - time.perf_counter_ns()
            if left_ns > 0:
                time.sleep(left_ns * 1e-9)
            self._deadline_ns += PERIOD_NS
        self._begin_ns = time.perf_counter_ns()


def take_standard_output() -> TextIO:
    """Return a writer to what standard output was, which from now on swallows what is printed."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.close(sink)
    return answers


def answer_requests(
    answers: TextIO, about: dict[str, Any], check: Callable[[], list[list[float]]], run: Callable[[int], Stopwatch]
) -> None:
    """Say what this process is, then answer requests until standard input ends.

    Args:
        answers: where to.
        about: the first line.
        check: returns joint targets (states, 29) [rad], hardware order.
        run: runs some ticks and returns their times.
    """
    answers.write(json.dumps(about) + "\n")
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "check":
            answer: dict[str, Any] = {"targets": check()}
        else:
            watch = run(request["ticks"])
            answer = {"tick_ns": watch.tick_ns, "inference_ns": watch.inference_ns}
        answers.write(json.dumps(answer) + "\n")
