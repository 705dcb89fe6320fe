"""Imported policies in the whole loop on MuJoCo: what falls ends in damping, and the operator can hand over to one."""

import os
from pathlib import Path

import numpy as np
import pytest

from controllers.imported import load_imported
from controllers.stand import Stand
from controllers.track_motion import TrackMotion
from sonic_runtime.app import build_parts, load_policy, run_lockstep
from sonic_runtime.clock import LockstepClock
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.contract.rotations import quat_rotate
from sonic_runtime.loop import Loop, RunLimits
from sonic_runtime.robot_io.mujoco_sim import MujocoSim
from tests.fakes.imported_files import beyondmimic_file, holosoma_config, holosoma_file, mjlab_file
from tests.fakes.parts import guard_config
from tests.fakes.random_policy import write_random_policy

HOLOSOMA_FILE = os.environ.get("SONIC_HOLOSOMA_ONNX", "")
"""The tracking policy that holosoma ships: src/holosoma_inference/holosoma_inference/models/wbt/*.onnx there."""


class NoGoals:
    def read(self, state, events=()):
        return None

    def close(self):
        pass


class Presses:
    """An operator who asks for the next policy at some ticks."""

    def __init__(self, ticks):
        self._ticks, self._tick = ticks, -1

    def read(self, state, mode):
        self._tick += 1
        return [OperatorEvent("policy")] if self._tick in self._ticks else []

    def close(self):
        pass


class Collect:
    def __init__(self):
        self.reports = []

    def put(self, report):
        self.reports.append(report)


def run(controller, ticks, **limits):
    clock, sink = LockstepClock(), Collect()
    robot = MujocoSim(clock.now_ns)
    robot.stand()
    summary = run_lockstep(
        robot, NoGoals(), controller, guard_config(**limits), max_ticks=ticks, sinks=[sink], clock=clock
    )
    return summary, sink.reports


@pytest.mark.parametrize("maker", [beyondmimic_file, mjlab_file, lambda: holosoma_file(holosoma_config())])
def test_a_wild_imported_policy_falls_and_ends_in_damping(maker, tmp_path):
    made = maker()
    made.weight = np.random.default_rng(0).normal(0.0, 0.3, (154, 29))
    controller = load_imported(made.write(tmp_path / "policy.onnx"))
    summary, reports = run(controller, 300, joint_range_margin_rad=1.0)
    assert summary.fault is not None
    assert summary.fault.code in ("tilt", "joint_velocity")
    assert summary.clamped_ticks > 0
    assert reports[-1].mode == "damping"
    assert not reports[-1].target.stiffness_hw.any()
    assert (reports[-1].target.damping_hw > 0.0).all()


def test_a_policy_that_overflows_ends_in_damping(tmp_path):
    made = beyondmimic_file()
    # finite for an observation of zeros, which is all that can be tried beforehand
    made.weight = np.full((154, 29), 3e38)
    controller = load_imported(made.write(tmp_path / "policy.onnx"))
    summary, reports = run(controller, 50)
    assert summary.fault is not None
    assert summary.fault.code == "non_finite"
    assert not reports[-1].target.stiffness_hw.any()


def test_the_operator_hands_over_and_back(tmp_path):
    ours = TrackMotion(load_policy(str(write_random_policy(tmp_path / "ours", action_gain=0.0))))
    made = mjlab_file()
    made.weight = np.zeros((154, 29))
    other = load_imported(made.write(tmp_path / "other.onnx"))
    clock, sink = LockstepClock(), Collect()
    robot = MujocoSim(clock.now_ns)
    robot.stand()
    parts = build_parts(
        robot=robot,
        goals=NoGoals(),
        controller=ours,
        guard=guard_config(),
        clock=clock,
        operator=Presses([5, 15, 25]),
        others={"stand": Stand(ours), "dance": other},
    )
    frames = []
    Loop(parts, [sink]).run(
        RunLimits(max_ticks=32, damping_ticks=1), lambda r: bool(frames.append(other.frame_index)) and False
    )
    # no tick before the hand-over, ten ticks, nothing while ours is in charge, and from the start again
    assert frames[:5] == [0] * 5
    assert frames[5:15] == list(range(1, 11))
    assert frames[15:25] == [10] * 10
    assert frames[25:32] == list(range(1, 8))
    assert [r.decision.token is None for r in sink.reports[:32]] == [5 <= t < 15 or t >= 25 for t in range(32)]


@pytest.mark.skipif(not HOLOSOMA_FILE, reason="SONIC_HOLOSOMA_ONNX does not name holosoma's tracking policy")
def test_the_dance_that_holosoma_ships_is_danced(tmp_path):
    controller = load_imported(f"holosoma_release:{Path(HOLOSOMA_FILE)}")
    index = controller.policy.contract.joints.file_index_of_hw
    wanted = [controller.policy.run(np.zeros((1, 154), np.float32), k)[1].joint_pos_file[index] for k in range(1000)]
    summary, reports = run(controller, 1000)
    assert summary.fault is None
    heights = [quat_rotate(r.state.base_quat_wxyz, np.array([0.0, 0.0, 1.0]))[2] for r in reports]
    assert min(heights) > 0.8
    errors = [np.abs(r.state.joint_pos_hw - q).mean() for r, q in zip(reports, wanted, strict=False)]
    assert np.mean(errors) < 0.12
    assert np.ptp(np.array(wanted), axis=0).max() > 1.0
