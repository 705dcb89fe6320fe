"""The whole loop on MuJoCo with random networks: it falls, and what falls must end in damping."""

import numpy as np
import pytest

from controllers.track_motion import TrackMotion
from sonic_runtime.app import load_policy, run_lockstep
from sonic_runtime.clock import LockstepClock
from sonic_runtime.robot_io.mujoco_sim import MujocoSim
from sonic_runtime.robots import g1
from teleop.standing import Standing
from tests.fakes.parts import guard_config, make_goal, make_reference
from tests.fakes.random_policy import write_random_policy


class Collect:
    def __init__(self):
        self.reports = []

    def put(self, report):
        self.reports.append(report)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("policies")
    return {
        gain: write_random_policy(root / str(gain), action_gain=gain, encoder_hidden=(64,), decoder_hidden=(64,))
        for gain in (0.0, 3.0)
    }


def play(folder, ticks=300, **limits):
    clock = LockstepClock()
    robot = MujocoSim(clock.now_ns)
    sink = Collect()
    summary = run_lockstep(
        robot,
        Standing(),
        TrackMotion(load_policy(str(folder))),
        guard_config(**limits),
        max_ticks=ticks,
        sinks=[sink],
        clock=clock,
    )
    return summary, sink.reports


def test_a_wild_policy_falls_and_the_guard_says_tilt(folders):
    summary, reports = play(folders[3.0], joint_range_margin_rad=1.0, off=("joint_velocity",))
    assert summary.fault is not None
    assert summary.fault.code == "tilt"
    assert summary.active_ticks < 300
    assert reports[-1].mode == "damping"
    assert not reports[-1].target.stiffness_hw.any()
    assert summary.clamped_ticks > 0


def test_two_runs_are_equal_bit_by_bit(folders):
    first = [r.state.joint_pos_hw for r in play(folders[3.0], 60)[1]]
    second = [r.state.joint_pos_hw for r in play(folders[3.0], 60)[1]]
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_action_zero_asks_for_the_default_pose(folders):
    _, reports = play(folders[0.0], 3)
    for report in reports[:3]:
        assert report.target.joint_pos_hw == pytest.approx(g1.DEFAULT_POS_HW)
        assert report.target.stiffness_hw is g1.STIFFNESS_HW
        assert report.decision.token is not None
        assert report.decision.token.shape == (64,)


def test_the_target_is_default_plus_scaled_clipped_action_by_name(folders, monkeypatch):
    policy = load_policy(str(folders[0.0]))
    action_pol = np.zeros(29, dtype=np.float32)
    knee, wrist = g1.POL.names.index("left_knee_joint"), g1.POL.names.index("right_wrist_yaw_joint")
    action_pol[knee], action_pol[wrist] = 0.5, -50.0
    monkeypatch.setattr(policy, "decode", lambda vector: action_pol)
    robot = MujocoSim(lambda: 0)
    decision = TrackMotion(policy).act(robot.read(), make_goal(make_reference()))
    moved = decision.target.joint_pos_hw - g1.DEFAULT_POS_HW
    expected = np.zeros(29)
    # scales of the published table: knee 0.35066147, wrist pitch and yaw 0.07450087; actions are clipped to 20
    expected[g1.HW.names.index("left_knee_joint")] = 0.5 * 0.35066147
    expected[g1.HW.names.index("right_wrist_yaw_joint")] = -20.0 * 0.07450087
    assert moved == pytest.approx(expected, abs=1e-6)
    assert decision.action_pol is not None
    assert decision.action_pol[wrist] == -20.0


def test_the_last_action_is_fed_back(folders):
    policy = load_policy(str(folders[0.0]))
    seen = []
    controller = TrackMotion(policy)
    robot = MujocoSim(lambda: 0)
    decode = policy.decode

    def spy(vector):
        seen.append(vector[0, 674:964].copy())
        decode(vector)
        return np.full(29, float(len(seen)), dtype=np.float32)

    policy.decode = spy
    for _ in range(3):
        controller.act(robot.read(), make_goal())
    assert not seen[0].any()
    assert seen[2].reshape(10, 29)[:, 0].tolist() == [0] * 8 + [1, 2]
    controller.reset()
    controller.act(robot.read(), make_goal())
    assert not seen[3].any()
