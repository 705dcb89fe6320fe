"""Several sources and the modes of the guard: without a goal the policy stands; a hand-over leaves no gap."""

import pytest

from sonic_runtime.app import build_parts
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.loop import Loop, RunLimits
from teleop.arbiter import Arbiter, Candidate
from teleop.playlist import Playlist
from teleop.pose_stream import PoseStream
from tests.fakes.parts import FakeRun, guard_config
from tests.teleop.clips import turning_clip
from tests.teleop.inboxes import HeldInbox, message


class Script:
    """An operator who asks for something in some ticks."""

    def __init__(self, events: dict[int, OperatorEvent]):
        self.events, self.tick = events, -1

    def read(self, state, mode):
        self.tick += 1
        return [self.events[self.tick]] if self.tick in self.events else []

    def close(self):
        pass


class Sender(HeldInbox):
    """A sender that begins with some tick."""

    def __init__(self, begins: int):
        super().__init__()
        self.begins, self.tick = begins, -1

    def take(self, limit: int) -> list[bytes]:
        self.tick += 1
        return [message(1, self.tick)] if self.tick >= self.begins else []


def modes_of(events: dict[int, str | OperatorEvent], begins: str = "stand", stream_begins: int = 10_000):
    """Run a stream and a playlist; return mode and goal of each of 60 ticks, and the fault."""
    fake, reports = FakeRun(), []
    stream, playlist = PoseStream(Sender(stream_begins), {"g1": 4}), Playlist([turning_clip(40)], "g1")
    candidates = [
        Candidate(name="stream", source=stream, priority=0, newest_ns=lambda: stream.newest_ns),
        Candidate(name="motion", source=playlist, priority=1),
    ]
    script = Script({tick: OperatorEvent(e) if isinstance(e, str) else e for tick, e in events.items()})
    parts = build_parts(
        robot=fake.robot, goals=Arbiter(candidates), controller=fake.controller, guard=guard_config(), clock=fake.clock,
        operator=script, begins=begins, ramp_s=0.1,
    )  # fmt: skip
    summary = Loop(parts).run(RunLimits(max_ticks=60, damping_ticks=1), lambda report: reports.append(report) or False)
    reports = reports[:60]
    return [report.mode for report in reports], [report.goal for report in reports], summary.fault


TO_MOTION = OperatorEvent("source", 2.0)


def test_a_playlist_that_is_the_only_live_source_waits_for_play():
    modes, goals, fault = modes_of({30: "play"})
    assert modes == ["stand"] * 30 + ["active"] * 30
    assert goals[:30] == [None] * 30
    assert fault is None


def test_a_playlist_chosen_before_the_start_waits_for_play():
    modes, goals, fault = modes_of({2: TO_MOTION, 5: "start", 20: "start", 40: "play"}, "waiting", stream_begins=0)
    assert goals[1] is not None
    assert goals[3:40] == [None] * 37
    assert modes[20:] == ["stand"] * 20 + ["active"] * 20
    assert fault is None


@pytest.mark.parametrize("tick", range(4, 9))
def test_a_playlist_that_is_chosen_while_a_stream_is_tracked_takes_over_at_rest(tick):
    modes, goals, fault = modes_of({tick: TO_MOTION}, stream_begins=0)
    assert set(modes[3:]) == {"active"}
    assert fault is None
    assert not goals[-1].reference.playing
    assert len(goals[-1].reference) == 40
