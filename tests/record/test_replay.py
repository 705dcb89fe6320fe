"""A recording replays to the same bits, and a replay that differs says where."""

from dataclasses import replace

import numpy as np
import pytest

from controllers.track_motion import TrackMotion
from sonic_runtime.clock import LockstepClock
from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.record.read import Recording
from sonic_runtime.record.rebuild import changes_since, rebuild
from sonic_runtime.record.replay import replay
from sonic_runtime.record.stand_ins import RecordedWorld, same_bits
from teleop.operator_inputs import AutoStart
from tests.fakes.random_policy import write_random_policy
from tests.record.runs import record_run, run_config, sway

TICKS = 80


class Script:
    """Starts by itself, turns now and then, and stops."""

    def __init__(self, stop_at=None):
        self._tick = 0
        self._stop_at = stop_at
        self._start = AutoStart()

    def read(self, state, mode):
        self._tick += 1
        events = list(self._start.read(state, mode))
        if self._tick == 20:
            events.append(OperatorEvent("turn", 0.1 + 0.2, "test"))
        if self._tick == self._stop_at:
            events.append(OperatorEvent("stop", origin="test"))
        return events

    def close(self):
        pass


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return write_random_policy(
        tmp_path_factory.mktemp("p") / "policy", action_gain=0.3, encoder_hidden=(16,), decoder_hidden=(16,)
    )


def replayed(path, policy=None):
    recording, world = Recording(path), RecordedWorld()
    return replay(recording.ticks(), rebuild(recording, world, policy), world)


@pytest.mark.parametrize(
    "overrides",
    [
        ("goals.source=stream",),
        ("goals.source=motion", "goals.motion=sway", "goals.encoder=g1"),
        ("goals.source=motion", "goals.motion=sway", "goals.encoder=smpl"),
        ("goals.source=motion", "goals.motion=sway", "goals.encoder=teleop"),
    ],
)
def test_a_replay_gives_the_same_bits(tmp_path, policy, overrides):
    path = tmp_path / "run.mcap"
    reports = record_run(path, run_config(policy, *overrides), sway(), TICKS)
    result = replayed(path)
    assert result.first is None, str(result.first)
    assert (result.ticks, result.differing, result.unseen) == (len(reports), 0, 0)
    assert result.networks > 20
    recorded = list(Recording(path).ticks())
    for then, report in zip(recorded, reports, strict=True):
        assert same_bits(then.command.joint_pos_hw, report.target.joint_pos_hw)
        assert same_bits(then.state.joint_vel_hw, report.state.joint_vel_hw)


@pytest.mark.parametrize("stop_at", [None, 70])
def test_operator_ramp_and_the_end_of_a_run_are_replayed_too(tmp_path, policy, stop_at):
    path = tmp_path / "run.mcap"
    config = run_config(policy, "goals.source=motion", "goals.motion=sway", "ramp_s=0.4")
    reports = record_run(path, config, sway(), TICKS, operator=Script(stop_at))
    modes = [report.mode for report in reports]
    assert {"ramp", "ready", "active", "damping"} <= set(modes)
    result = replayed(path)
    assert result.first is None, str(result.first)
    assert result.ticks == len(reports)


class OnceLateClock(LockstepClock):
    """Tells the loop once that it is 70 ms late."""

    def __init__(self):
        super().__init__()
        self._waits = 0

    def wait_until(self, deadline_ns):
        self._waits += 1
        return super().wait_until(deadline_ns) + (70_000_000 if self._waits == 30 else 0)


def test_an_overrun_between_ticks_is_replayed(tmp_path, policy):
    path = tmp_path / "run.mcap"
    config = run_config(policy, "goals.source=motion", "goals.motion=sway")
    reports = record_run(path, config, sway(), TICKS, clock=OnceLateClock())
    assert reports[-1].fault.code == "overrun"
    result = replayed(path)
    assert result.first is None, str(result.first)
    late_ms = [tick.timing["late_ms"] for tick in Recording(path).ticks()]
    assert late_ms.index(70.0) == 30


class FailingController(TrackMotion):
    """Refuses one tick."""

    acts = 0

    def act(self, state, goal):
        self.acts += 1
        if self.acts == 30:
            raise ContractError("refused for the test")
        return super().act(state, goal)


def test_a_tick_that_ended_in_an_exception_is_not_in_the_recording_and_the_rest_is_replayed(tmp_path, policy):
    path = tmp_path / "run.mcap"
    reports = record_run(path, run_config(policy), sway(), TICKS, controller=FailingController)
    assert reports[-1].fault.code == "refused"
    result = replayed(path)
    assert (result.first, result.unseen) == (None, 1), str(result.first)


def test_another_policy_differs_and_the_first_difference_is_named(tmp_path, policy):
    path = tmp_path / "run.mcap"
    record_run(path, run_config(policy, "goals.source=motion", "goals.motion=sway"), sway(), TICKS)
    other = write_random_policy(tmp_path / "other", seed=1, action_gain=0.3, encoder_hidden=(16,), decoder_hidden=(16,))
    result = replayed(path, str(other))
    assert result.first is not None
    assert result.first.tick == 0
    assert result.first.field.startswith("action.")
    assert result.differing == result.networks
    changed = changes_since(Recording(path).about, str(other))
    assert any(line.startswith("encoder: recorded") for line in changed)
    assert changes_since(Recording(path).about) == []


def test_a_changed_state_is_found_in_its_tick_and_field(tmp_path, policy):
    path = tmp_path / "run.mcap"
    record_run(path, run_config(policy, "goals.source=motion", "goals.motion=sway"), sway(), TICKS)
    recording, world = Recording(path), RecordedWorld()

    def changed():
        for tick in recording.ticks():
            if tick.index == 33:
                vel = tick.state.joint_vel_hw.copy()
                vel[4] = np.nextafter(vel[4] + 1e-3, 1.0)
                tick.state = replace(tick.state, joint_vel_hw=vel)
            yield tick

    result = replay(changed(), rebuild(recording, world), world)
    assert result.first is not None
    assert result.first.tick == 33
    assert result.first.field.startswith("action.action_pol[")
    assert "first difference in tick 33, 0.66 s after the first: action.action_pol[" in str(result.first)


def test_bits_are_compared_not_numbers():
    zero = np.array([0.0, 1.0])
    assert same_bits(zero, zero.copy())
    assert not same_bits(zero, np.array([-0.0, 1.0]))
    assert same_bits(np.array([np.nan, 1.0]), np.array([np.nan, 1.0]))
    assert not same_bits(np.array([np.nan, 1.0]), np.array([np.nan, 1.0 + 2.0**-52]))
    assert not same_bits(zero, zero.astype(np.float32))
