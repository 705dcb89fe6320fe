"""A stream of each protocol version over a real socket moves the simulated robot, in lockstep."""

from dataclasses import replace

import numpy as np
import pytest

from controllers.track_motion import TrackMotion
from sonic_runtime.app import build_parts, load_policy, other_controllers
from sonic_runtime.clock import LockstepClock
from sonic_runtime.contract.messages import Goal, TickReport
from sonic_runtime.demo import free_endpoint
from sonic_runtime.loop import Loop, RunLimits
from sonic_runtime.motions.clip import Clip
from sonic_runtime.motions.sources import find_clips
from sonic_runtime.open_goals import stream_of
from sonic_runtime.robot_io.mujoco_sim import MujocoSim
from sonic_runtime.robots import g1
from teleop.inbox import ZmqInbox
from teleop.motion_file import reference_of
from teleop.pose_packet import TokenMessage, VrPoints
from teleop.pose_sender import PoseSender
from teleop.stream_messages import messages_of
from teleop.stream_track import build_track
from tests.fakes.parts import guard_config

TICKS = 200
JOINTS = [g1.JOINT_NAMES_HW.index(f"left_{name}_joint") for name in ("knee", "hip_pitch", "shoulder_pitch")]


TOO_LARGE = TokenMessage(token=np.full(64, 9.0, dtype=np.float32))
"""A token that every receiver refuses."""


class InStep:
    """A goal source that lets a sender send message k before tick k, and waits until it has arrived."""

    def __init__(self, stream, inbox, sender, make_message):
        self.stream, self.inbox, self.sender, self.make_message = stream, inbox, sender, make_message
        self.number = 0

    def read(self, state, events=()) -> Goal | None:
        self.sender.send(self.make_message(self.number))
        self.number += 1
        assert self.inbox.wait(5.0), "the message did not arrive within 5 s"
        return self.stream.read(state, events)

    def close(self) -> None:
        self.stream.close()
        self.sender.close()


@pytest.fixture(scope="module")
def policy():
    return load_policy("default")


@pytest.fixture(scope="module")
def clip():
    """A squat with swinging arms, which the shipped policy follows well."""
    return find_clips("squat")[0]


def require_that_it_follows(active: list[TickReport], clip: Clip) -> None:
    """It moves as far as the reference does, and at the same time."""
    measured = np.array([report.state.joint_pos_hw[JOINTS] for report in active])
    wanted = clip.joint_pos_hw[: len(active), JOINTS]
    assert (np.ptp(wanted, axis=0) > 0.5).all()
    # how deep the shipped policy squats is its own affair; a robot that stands still would be at a tenth
    assert (np.ptp(measured, axis=0) > 0.7 * np.ptp(wanted, axis=0)).all()
    for joint in range(len(JOINTS)):
        assert np.corrcoef(measured[:, joint], wanted[:, joint])[0, 1] > 0.9


def run(policy, make_message, seen: list[TickReport], ticks: int = TICKS):
    endpoint = free_endpoint()
    sender, clock = PoseSender(endpoint), LockstepClock()
    inbox, tracker = ZmqInbox(endpoint, ["pose"]), TrackMotion(policy)
    stream = stream_of(inbox, tracker, takes_tokens=True)
    goals = InStep(stream, inbox, sender, make_message)
    try:
        assert sender.wait_for_receiver(5.0)
        robot = MujocoSim(clock.now_ns)
        robot.stand()
        parts = build_parts(
            robot=robot,
            goals=goals,
            controller=tracker,
            guard=guard_config(),
            clock=clock,
            others=other_controllers(tracker, []),
        )

        class Seen:
            def put(self, report: TickReport) -> None:
                seen.append(report)

        return Loop(parts, [Seen()]).run(RunLimits(max_ticks=ticks, damping_ticks=1)), stream
    finally:
        goals.close()


@pytest.mark.parametrize(
    ("version", "encoder", "controller"),
    [(1, "g1", "track"), (2, "smpl", "track"), (3, "smpl", "track"), (4, "g1", "token")],
)
def test_each_version_moves_the_robot(policy, clip, version, encoder, controller):
    seen: list[TickReport] = []
    track = build_track(clip, 0.0, "hold")
    summary, stream = run(policy, messages_of(track, version, 60, "default"), seen)
    assert summary.fault is None, summary.fault
    active = [report for report in seen if report.mode == "active"]
    assert len(active) >= TICKS - 5
    assert {report.controller for report in active} == {controller}
    assert {report.goal.encoder for report in active} == {encoder}
    assert stream.counters.versions == {version: summary.ticks}
    assert (stream.counters.rejected, stream.counters.gaps) == (0, 0)
    require_that_it_follows(active, clip)


def test_vr_points_beside_joints_are_followed_by_the_teleop_encoder(policy, clip):
    seen: list[TickReport] = []
    track, points = build_track(clip, 0.0, "hold"), reference_of(clip)

    def with_points(number: int):
        at = min(number, len(clip) - 1)
        vr = VrPoints(pos_b=points.vr_pos_b[at], quat_b_wxyz=points.vr_quat_b_wxyz[at])
        return replace(track.chunk(number, 60), vr=vr)

    summary, _ = run(policy, with_points, seen)
    assert summary.fault is None, summary.fault
    active = [report for report in seen if report.mode == "active"]
    assert {report.goal.encoder for report in active} == {"teleop"}
    require_that_it_follows(active, clip)


def test_a_token_stream_that_falls_silent_ends_in_damping(policy, clip):
    seen: list[TickReport] = []
    make_message = messages_of(build_track(clip, 0.0, "hold"), 4, 60, "default")
    summary, _ = run(policy, lambda number: make_message(number) if number < 60 else TOO_LARGE, seen)
    assert summary.fault is not None
    assert summary.fault.code == "stale_stream"
    last = max(report.index for report in seen if report.mode == "active")
    stale_ticks = guard_config().stale_stream_ms / 20
    assert 59 < last <= 60 + stale_ticks
    assert seen[last].goal.token is not None
