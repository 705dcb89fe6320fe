"""Runs for the tests of recording: small, in lockstep, recorded as sonic-run would."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from controllers.track_motion import TrackMotion
from sonic_runtime.app import build_parts, load_policy, other_controllers
from sonic_runtime.clock import LockstepClock
from sonic_runtime.config import load_config
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.loop import Loop, RunLimits
from sonic_runtime.motions.clip import Clip, clip_from_qpos
from sonic_runtime.open_goals import GoalParts, open_goals
from sonic_runtime.record.about import about_run
from sonic_runtime.record.recorder import McapRecorder
from sonic_runtime.record.tape import Tape
from sonic_runtime.robot_io.mujoco_sim import MujocoSim
from sonic_runtime.robots import g1
from sonic_runtime.run import numbered
from sonic_runtime.run_config import RunConfig
from teleop.pose_packet import PoseFrames, pack_pose


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
    return load_config("run", [f"policy={policy}", "clock=lockstep", "ramp_s=0.0", *overrides], RunConfig)


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
    """Record a run in lockstep, its parts those of sonic-run; returns the reports that the loop gave."""
    clock, tape = LockstepClock() if clock is None else clock, Tape()
    policy = load_policy(config.policy)
    tracker = controller(tape.policy(policy) if observations else policy)
    clips = [clip] if config.goals.source == "motion" else []
    goals = open_goals(
        GoalParts(
            config=config.goals,
            tracker=tracker,
            clips=clips,
            open_inbox=lambda name, endpoint, topics: tape.inbox(name, ListInbox(pose_messages(clip, ticks))),
            say=lambda text: None,
        )
    )
    parts = build_parts(
        robot=MujocoSim(clock.now_ns), goals=goals.source, controller=tracker, guard=config.guard, clock=clock,
        operator=Player() if operator is None else operator, ramp_s=config.ramp_s, blend_s=config.blend_s,
        begins="stand" if operator is None else "waiting",
        others=other_controllers(tracker, config.imported), tape=tape,
    )  # fmt: skip
    kept = Kept()
    with McapRecorder(path, about_run(config, policy, numbered(clips)), tape) as recorder:
        Loop(parts, [recorder, kept]).run(RunLimits(max_ticks=ticks, damping_ticks=5))
    return kept.reports


class Player:
    """An operator who says play at once."""

    def __init__(self) -> None:
        self._events: tuple[OperatorEvent, ...] = (OperatorEvent("play", origin="test"),)

    def read(self, state, mode):
        events, self._events = self._events, ()
        return events

    def close(self):
        pass


class Kept:
    """A sink that keeps the reports."""

    def __init__(self) -> None:
        self.reports: list = []

    def put(self, report) -> None:
        self.reports.append(report)
