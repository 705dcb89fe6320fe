"""Lockstep evaluation: a policy tracks clips in MuJoCo, each from its own first frame, as fast as it goes.

The robot is put into the position and velocity of the first frame; from then on nothing helps it. What the guard would
do about a robot that leans or is low is turned off: some motions lie down, and the rule of success judges it better.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

import msgspec

from controllers.track_motion import TrackMotion
from sonic_runtime.app import load_policy, run_lockstep
from sonic_runtime.clock import LockstepClock
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.motions.clip import Clip
from sonic_runtime.results.recording import Recorder, Recording
from sonic_runtime.results.tracking import Bodies, ClipResult, TrackingErrors, judge_clip, tracking_errors
from sonic_runtime.robot_io.mujoco_sim import MujocoSim
from teleop.motion_file import MotionFile

_NOT_JUDGED = ("tilt", "base_height")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A clip that was run.

    Attributes:
        result: what is reported.
        recording: what the robot did, T ticks.
        reference: the first T frames of the clip.
        errors: of each of the T frames.
        wall_s: time it took [s].
    """

    result: ClipResult
    recording: Recording
    reference: Bodies
    errors: TrackingErrors
    wall_s: float


class Evaluator:
    """A policy and a simulator that clip after clip is run on.

    Args:
        policy: name or folder.
        guard: limits; those of tilt and base height are turned off.

    Attributes:
        guard: the limits in force.

    Raises:
        SonicError: the policy cannot be used.
    """

    def __init__(self, policy: str, guard: GuardConfig) -> None:
        self._controller = TrackMotion(load_policy(policy))
        self.guard = msgspec.structs.replace(guard, off=tuple(dict.fromkeys((*guard.off, *_NOT_JUDGED))))
        self._clock = LockstepClock()
        self._robot = MujocoSim(self._clock.now_ns)

    def run(self, clip: Clip, encoder: str) -> Evaluation:
        """Track a clip from its first frame to its last."""
        start = time.perf_counter()
        self._robot.reset_to(
            clip.root_pos_w[0],
            clip.root_quat_wxyz[0],
            clip.joint_pos_hw[0],
            clip.joint_vel_hw[0],
            clip.body_lin_vel_w[0, 0],
            clip.body_ang_vel_w[0, 0],
        )
        # the tick of damping that ends a run is no part of the clip
        recorder = Recorder(kept_ticks=len(clip))
        goals = MotionFile(clip, encoder, align_heading=False)
        run_lockstep(
            self._robot,
            goals,
            self._controller,
            self.guard,
            max_ticks=len(clip),
            sinks=[recorder],
            clock=self._clock,
        )
        return judge(clip, recorder.recording(), time.perf_counter() - start)


def judge(clip: Clip, recording: Recording, wall_s: float) -> Evaluation:
    """Compare a recording that began on the first frame of a clip with the clip."""
    reference = Bodies(pos_w=clip.body_pos_w[: len(recording)], quat_wxyz=clip.body_quat_wxyz[: len(recording)])
    errors = tracking_errors(recording.robot, reference)
    fault = None if recording.fault is None else (min(recording.fault[0], len(recording)), recording.fault[1])
    return Evaluation(
        result=judge_clip(clip.name, clip.fps, len(clip), errors, fault),
        recording=recording,
        reference=reference,
        errors=errors,
        wall_s=wall_s,
    )


def evaluate(
    clips: Sequence[Clip], policy: str, encoder: str, guard: GuardConfig, workers: int
) -> Iterator[Evaluation]:
    """Run all clips, in their order, in one process or several.

    Args:
        clips: what to track.
        policy: name or folder.
        encoder: "g1", "teleop" or "smpl".
        guard: limits.
        workers: number of processes; with 1 everything runs in this one.

    Raises:
        SonicError: the policy cannot be used; before any clip is run.
    """
    if workers == 1:
        evaluator = Evaluator(policy, guard)
        yield from (evaluator.run(clip, encoder) for clip in clips)
        return
    # a worker that cannot start would only say that the pool is broken
    load_policy(policy)
    with (
        _one_thread_each(),
        ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(policy, guard)
        ) as pool,
    ):
        with _deaf_to_ctrl_c():
            evaluations = pool.map(_run_in_worker, clips, [encoder] * len(clips))
        yield from evaluations


_worker: list[Evaluator] = []
"""The evaluator of this process, where it is a worker."""


def _start_worker(policy: str, guard: GuardConfig) -> None:
    _worker.append(Evaluator(policy, guard))


def _run_in_worker(clip: Clip, encoder: str) -> Evaluation:
    return _worker[0].run(clip, encoder)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Let the processes that are started in the block ignore Ctrl-C: this one hears it and ends them."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Keep the numeric libraries of child processes from starting threads that would fight over the cores."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
