"""Several goal sources: who is in charge, when that changes, and where the reference faces afterwards."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.contract.rotations import quat_multiply, yaw_of_quat
from teleop.arbiter import Arbiter, ArbiterConfig, Candidate, OnlySource
from teleop.motion_file import MotionFile
from teleop.playlist import Playlist
from teleop.pose_stream import PoseStream
from teleop.standing import Standing
from tests.teleop.clips import turning_clip
from tests.teleop.inboxes import HeldInbox, message
from tests.teleop.test_pose_stream import state

TICK_NS = 20_000_000
LIVE_TICKS = 10


class Scene:
    """Streams a and b, of which a ranks higher, motions below them, and a clock of ticks."""

    def __init__(self, fallback: str = "silence", same_rank: bool = False):
        self.said: list[str] = []
        self.inboxes = {name: HeldInbox() for name in "ab"}
        self.streams = {name: PoseStream(inbox, {"g1": 4, "smpl": 4}) for name, inbox in self.inboxes.items()}
        self.motions = MotionFile(turning_clip(30), "g1", align_heading=True)
        ranks = {"a": 0, "b": 0 if same_rank else 1}
        candidates = [
            Candidate(name=name, source=stream, priority=ranks[name], newest_ns=lambda s=stream: s.newest_ns)
            for name, stream in self.streams.items()
        ]
        candidates.append(Candidate(name="motions", source=self.motions, priority=2))
        self.arbiter = Arbiter(candidates, ArbiterConfig(live_ms=200.0, fallback=fallback), self.said.append)
        self.tick = 0

    def step(self, sending: str = "", events=(), yaw: float = 0.0, ticks: int = 1, facing: float = 0.0):
        """Run ticks; the names in `sending` send in each."""
        goal = None
        for _ in range(ticks):
            for name in sending:
                self.inboxes[name].send(message(1, self.tick, yaw=facing))
            goal = self.arbiter.read(state(yaw=yaw, stamp_ns=self.tick * TICK_NS), events)
            self.tick += 1
        return goal

    @property
    def current(self) -> str:
        return self.arbiter.current


def source(number: int = 0) -> OperatorEvent:
    return OperatorEvent("source", float(number))


def test_what_is_live_at_the_beginning_is_in_charge():
    scene = Scene()
    scene.step()
    assert scene.current == "motions", "a motion in memory is always live"


def test_a_source_of_higher_priority_takes_over_when_it_comes_alive():
    scene = Scene()
    scene.step("", ticks=3)
    scene.step("b", ticks=2)
    assert scene.current == "b"
    goal = scene.step("ab", ticks=2)
    assert scene.current == "a"
    assert goal.stamp_ns == (scene.tick - 1) * TICK_NS
    assert scene.said == [
        "goals: motions takes over; it is live",
        "goals: b takes over from motions; it has come alive",
        "goals: a takes over from b; it has come alive",
    ]


def test_a_source_of_lower_priority_does_not():
    scene = Scene()
    scene.step("a", ticks=3)
    assert scene.current == "a"
    scene.step("ab", ticks=5)
    assert scene.current == "a"


def test_silence_of_the_one_in_charge_is_passed_on_and_nobody_steps_in():
    scene = Scene()
    goal = scene.step("ab", ticks=3)
    newest = goal.stamp_ns
    goal = scene.step("b", ticks=40)
    assert (scene.current, goal.stamp_ns) == ("a", newest)


def test_with_the_fallback_the_robot_stands_and_the_source_comes_back():
    scene = Scene(fallback="stand")
    scene.step("ab", ticks=3)
    goal = scene.step("b", ticks=LIVE_TICKS + 2, yaw=0.6)
    assert (scene.current, len(goal.reference), goal.stamp_ns) == ("stand", 1, (scene.tick - 1) * TICK_NS)
    assert yaw_of_quat(goal.heading_quat_wxyz) == pytest.approx(0.6)
    scene.step("b", ticks=20)
    assert scene.current == "stand", "a source that was live all along does not step in"
    scene.step("ab", ticks=2)
    assert scene.current == "a"
    assert "stood in their place 1 times" in scene.arbiter.line()


def test_the_operator_goes_through_the_live_sources():
    scene = Scene()
    scene.step("ab", ticks=3)
    taken = []
    for _ in range(4):
        scene.step("ab", [source()])
        taken.append(scene.current)
    assert taken == ["b", "motions", "a", "b"]


def test_what_the_operator_chose_is_not_taken_away():
    scene = Scene()
    scene.step("ab", ticks=3)
    scene.step("ab", [source(3)])
    assert scene.current == "motions"
    scene.step("b", ticks=LIVE_TICKS + 3)
    scene.step("ab", ticks=5)
    assert scene.current == "motions", "a came alive again, but the operator has chosen"


def test_a_source_that_is_asked_for_before_it_is_live_takes_over_when_it_is():
    scene = Scene()
    scene.step("a", ticks=3)
    scene.step("a", [source(2)])
    assert scene.current == "a"
    scene.step("ab", ticks=2)
    assert scene.current == "b"


def test_a_wish_for_a_silent_source_ends_and_is_told():
    scene = Scene()
    scene.step("a", ticks=3)
    scene.step("a", [source(2)])
    scene.step("a", ticks=110)
    assert "b was asked for, but nothing comes from it" in scene.said[-1]
    scene.step("ab", ticks=5)
    assert scene.current == "a"


def test_of_equal_priority_the_freshest_begins():
    scene = Scene(same_rank=True)
    candidates = scene.arbiter._candidates[:2]
    arbiter = Arbiter(candidates)
    scene.inboxes["a"].send(message(1, 0))
    scene.inboxes["b"].send(message(1, 0))
    for candidate in candidates:
        candidate.source.read(state(stamp_ns=0 if candidate.name == "a" else 1))
    arbiter.read(state(stamp_ns=2))
    assert arbiter.current == "b"


def test_the_reference_begins_where_the_robot_faces_at_each_hand_over():
    scene = Scene()
    scene.step("ab", ticks=3, facing=0.9)
    for yaw in (1.5, -2.0, 0.4):
        goal = scene.step("ab", [source()], yaw=yaw, facing=0.9)
        root = goal.reference.root_quat_wxyz[goal.reference.cursor]
        assert yaw_of_quat(quat_multiply(goal.heading_quat_wxyz, root)) == pytest.approx(yaw)


def test_motions_do_not_run_on_while_another_source_is_in_charge():
    scene = Scene()
    goal = scene.step(ticks=5)
    at = goal.reference.cursor
    scene.step("a", ticks=8)
    assert scene.current == "a"
    assert scene.step("a", [source(3)]).reference.cursor == at + 2, "a came into charge two ticks after its message"


def test_other_events_reach_the_source_in_charge_alone():
    scene = Scene()
    scene.step("ab", ticks=3)
    scene.step("ab", [OperatorEvent("pause")])
    assert not scene.step("ab").reference.playing
    assert scene.step("ab", [source(2)]).reference.playing
    assert scene.step("ab", [source(1)]).reference.playing, "a hand-over ends the pause"


def test_status_names_every_source():
    scene = Scene()
    scene.step("a", ticks=3)
    status = {s.name: s for s in scene.arbiter.status()}
    assert (status["a"].in_charge, status["a"].live, status["a"].age_ms) == (True, True, 20.0)
    assert (status["b"].in_charge, status["b"].live, status["b"].age_ms) == (False, False, None)
    assert (status["motions"].live, status["motions"].hand_overs) == (True, 1)
    assert scene.arbiter.line().startswith("in charge: a; a live (20 ms), took over 1 times; b silent; motions live")


def test_close_closes_all():
    scene = Scene()
    for inbox in scene.inboxes.values():
        inbox.send(b"x")
    scene.arbiter.close()
    assert not any(inbox.messages for inbox in scene.inboxes.values())


@pytest.mark.parametrize("names", [[], ["a", "a"]])
def test_names_are_needed_once_each(names):
    with pytest.raises(ConfigError, match="each of another name"):
        Arbiter([Candidate(name=name, source=Standing(), priority=0) for name in names])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["", "a", "b", "ab"]), st.sampled_from([None, 0, 1, 2, 3, 9])), max_size=60),
    st.sampled_from(["silence", "stand"]),
)
def test_whatever_comes_there_is_always_a_goal_and_never_a_silent_replacement(ticks, fallback):
    scene = Scene(fallback)
    for sending, wish in ticks:
        before = scene.current
        goal = scene.step(sending, [] if wish is None else [source(wish)])
        assert goal is not None
        if scene.current not in (before, "") and before:
            assert scene.said[-1].endswith(("it has come alive", "the operator chose it", "the robot stands"))


def test_a_hand_over_where_there_is_one_source_changes_nothing():
    said: list[str] = []
    only = OnlySource(Playlist([turning_clip(300)], "g1"), said.append)
    only.read(state(), [OperatorEvent("play")])
    before = [only.read(state(stamp_ns=k * TICK_NS)) for k in range(60)][-1]
    goal = only.read(state(yaw=1.0, stamp_ns=60 * TICK_NS), [source(), OperatorEvent("turn", 0.1)])
    assert before is not None
    assert goal is not None
    assert goal.reference.playing
    assert goal.reference.cursor == before.reference.cursor + 1
    turned = yaw_of_quat(goal.heading_quat_wxyz) - yaw_of_quat(before.heading_quat_wxyz)
    assert turned == pytest.approx(0.02), "other events are passed on"
    assert "one source" in said[-1]
