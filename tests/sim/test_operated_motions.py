"""The shipped policy on MuJoCo, while an operator leaves motions in the middle; and what it did, tracked again."""

from controllers.stand import Stand
from controllers.track_motion import TrackMotion
from sonic_runtime.app import build_parts, load_policy
from sonic_runtime.clock import LockstepClock
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.loop import Loop, RunLimits
from sonic_runtime.motions.procedural import demo_walk, generate
from sonic_runtime.motions.read import read_motions
from sonic_runtime.results.motion_recorder import MotionRecorder
from sonic_runtime.robot_io.mujoco_sim import MujocoSim
from teleop.playlist import Playlist
from tests.fakes.parts import guard_config


class Script:
    """An operator who asks for something at given ticks."""

    def __init__(self, events):
        self.events, self.reads = events, -1

    def read(self, state, mode):
        self.reads += 1
        return [OperatorEvent(kind, origin="keys") for kind in self.events.get(self.reads, ())]

    def close(self):
        pass


class Modes:
    """The modes and controllers of a run, each once in a row."""

    def __init__(self):
        self.seen = []

    def put(self, report):
        if self.seen[-1:] != [(report.mode, report.controller)]:
            self.seen.append((report.mode, report.controller))


def run(clips, events, ticks, *sinks):
    clock = LockstepClock()
    tracker = TrackMotion(load_policy("default"))
    parts = build_parts(
        robot=MujocoSim(clock.now_ns),
        goals=Playlist(clips, "g1"),
        controller=tracker,
        guard=guard_config(),
        clock=clock,
        operator=Script(events),
        others={"stand": Stand(tracker)},
    )
    return Loop(parts, sinks).run(RunLimits(max_ticks=ticks, damping_ticks=1))


def test_motions_are_left_in_the_middle_and_what_was_done_can_be_tracked_again(tmp_path):
    events = {
        20: ["play"],  # walk
        250: ["next"],  # in the middle of a step
        310: ["play"],  # squat
        480: ["restart"],  # at the bottom
        500: ["next", "previous"],  # on the way back
        560: ["encoder", "play"],
    }
    modes, recorder = Modes(), MotionRecorder(tmp_path / "tracked")
    summary = run([demo_walk(), generate("squat")], events, 650, modes, recorder)
    assert summary.fault is None
    assert modes.seen == [("stand", "stand"), ("active", "track"), ("damping", "damping")]
    recorder.close()
    recorded = read_motions(tmp_path / "tracked")
    assert len(recorded[0]) == 630
    assert run(recorded, {20: ["play"]}, 700).fault is None
