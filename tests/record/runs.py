"""Runs for the tests of recording: small, in lockstep, recorded as sonic-run would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from controllers.track_motion import TrackMotion
from sonic_runtime.app import RunConfig, build_parts, load_policy, stream_of
from sonic_runtime.clock import LockstepClock
from sonic_runtime.config import load_config
from sonic_runtime.loop import Loop, RunLimits
from sonic_runtime.motions.clip import Clip, clip_from_qpos
from sonic_runtime.record.about import about_run
from sonic_runtime.record.recorder import McapRecorder
from sonic_runtime.record.tape import Tape
from sonic_runtime.robot_io.mujoco_sim import MujocoSim
from sonic_runtime.robots import g1
from teleop.motion_file import MotionFile
from teleop.pose_packet import PoseFrames, pack_pose
from teleop.standing import StandFirst


def sway(frames: int = 120) -> Clip:
    """A clip that sways the waist and an arm, standing."""
    t = np.arange(frames) / 50.0
    joint_pos = np.tile(g1.DEFAULT_POS_HW, (frames, 1))
    joint_pos[:, g1.JOINT_NAMES_HW.index("waist_yaw_joint")] += 0.2 * np.sin(2.0 * t)
    joint_pos[:, g1.JOINT_NAMES_HW.index("left_elbow_joint")] += 0.3 * np.sin(3.0 * t)
    root_pos = np.tile([0.0, 0.0, g1.STANDING_PELVIS_HEIGHT_M], (frames, 1))
    return clip_from_qpos("sway", 50.0, root_pos, np.tile([1.0, 0.0, 0.0, 0.0], (frames, 1)), joint_pos)


def pose_messages(clip: Clip, ticks: int, chunk: int = 60) -> list[list[bytes]]:
    """What a sender of a clip would have sent in each tick: chunks that overlap, the first after ten ticks."""
    messages: list[list[bytes]] = []
    for tick in range(ticks):
        first = tick - 10
        frames = np.arange(first, first + chunk)
        at = np.clip(frames, 0, len(clip) - 1)
        packet = PoseFrames(
            frame_index=frames,
            joint_pos_pol=g1.to_policy_order(clip.joint_pos_hw[at]),
            joint_vel_pol=g1.to_policy_order(clip.joint_vel_hw[at]),
            root_quat_wxyz=clip.root_quat_wxyz[at],
        )
        messages.append([pack_pose(packet)] if first >= 0 else [])
    messages[ticks // 2].append(b"pose and nothing more")
    return messages


class ListInbox:
    """Gives one list of messages a call."""

    def __init__(self, messages: Sequence[list[bytes]]) -> None:
        self._messages = iter(messages)

    def take(self, limit: int) -> list[bytes]:
        return next(self._messages, [])[:limit]

    def close(self) -> None:
        pass


def run_config(policy: str, *overrides: str) -> RunConfig:
    return load_config("run", [f"policy={policy}", "clock=lockstep", *overrides], RunConfig)


def record_run(
    path: Path,
    config: RunConfig,
    clip: Clip,
    ticks: int,
    *,
    observations: bool = False,
    operator=None,
    clock=None,
    controller=TrackMotion,
) -> list:
    """Record a run in lockstep; returns the reports that the loop gave."""
    clock, tape = LockstepClock() if clock is None else clock, Tape()
    policy = load_policy(config.policy)
    controller = controller(tape.policy(policy) if observations else policy)
    clips: dict[str, Clip] = {}
    if config.goals.source == "motion":
        goals = MotionFile(clip, config.goals.encoder, align_heading=True)
        clips = {str(config.goals.motion): clip}
    else:
        inbox = tape.inbox("stream", ListInbox(pose_messages(clip, ticks)))
        goals = StandFirst(stream_of(inbox, controller))
    parts = build_parts(
        robot=MujocoSim(clock.now_ns), goals=goals, controller=controller, guard=config.guard, clock=clock,
        operator=operator, ramp_s=config.ramp_s, begins="stand" if operator is None else "waiting",
    )  # fmt: skip
    parts = replace(parts, guard=tape.guard(parts.guard))
    kept = Kept()
    with McapRecorder(path, about_run(config, policy, clips), tape) as recorder:
        Loop(parts, [recorder, kept]).run(RunLimits(max_ticks=ticks, damping_ticks=5))
    return kept.reports


class Kept:
    """A sink that keeps the reports."""

    def __init__(self) -> None:
        self.reports: list = []

    def put(self, report) -> None:
        self.reports.append(report)
