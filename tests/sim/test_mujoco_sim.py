import dataclasses

import mujoco
import numpy as np
import pytest

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.contract.messages import JointTarget
from sonic_runtime.contract.rotations import quat_from_axis_angle, quat_rotate
from sonic_runtime.robot_io.mujoco_sim import MujocoSim
from sonic_runtime.robots import g1
from sonic_runtime.robots.kinematics import forward_kinematics
from sonic_runtime.robots.mjcf import build_model

ORIGIN = np.array([0.0, 0.0, 5.0])
IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def sim():
    return MujocoSim(lambda: 42)


def target(joint_pos_hw, joint_vel_hw=None, stiffness=1.0, torque_ff_hw=None):
    zeros = np.zeros(29)
    return JointTarget(
        joint_pos_hw=joint_pos_hw,
        joint_vel_hw=zeros if joint_vel_hw is None else joint_vel_hw,
        stiffness_hw=g1.STIFFNESS_HW * stiffness,
        damping_hw=g1.DAMPING_HW,
        torque_ff_hw=zeros if torque_ff_hw is None else torque_ff_hw,
    )


def test_reset_then_read_returns_the_state(sim):
    rng = np.random.default_rng(0)
    quat = quat_from_axis_angle(np.array([0.3, -0.2, 0.9]))
    q, dq = rng.uniform(*g1.JOINT_RANGE_HW.T), rng.normal(size=29)
    spin_w, velocity_w = np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0])
    sim.reset_to(ORIGIN, quat, q, dq, velocity_w, spin_w)
    state = sim.read()
    assert state.stamp_ns == 42
    assert state.joint_pos_hw == pytest.approx(q)
    assert state.joint_vel_hw == pytest.approx(dq)
    assert state.base_quat_wxyz == pytest.approx(quat)
    assert quat_rotate(quat, state.base_ang_vel_b) == pytest.approx(spin_w)
    assert sim.data.qvel[:3] == pytest.approx(velocity_w)


def test_a_state_is_not_changed_by_later_steps(sim):
    sim.stand()
    state = sim.read()
    before = state.joint_pos_hw.copy()
    sim.write(target(g1.DEFAULT_POS_HW + 0.3))
    assert np.array_equal(state.joint_pos_hw, before)
    assert not np.array_equal(sim.read().joint_pos_hw, before)


def test_torque_is_the_pd_law_at_the_physics_rate_clipped_to_effort(sim):
    rng = np.random.default_rng(1)
    wanted = target(g1.DEFAULT_POS_HW + rng.normal(0, 3, 29), rng.normal(0, 1, 29), 0.7, rng.normal(0, 3, 29))
    sim.reset_to(ORIGIN, IDENTITY, g1.DEFAULT_POS_HW, rng.normal(0, 1, 29))
    sim.write(wanted)
    # MuJoCo keeps the torque of the beginning of the last step; evaluate it for the state now
    torque = sim.read().joint_torque_hw
    mujoco.mj_forward(sim.model, sim.data)
    q, dq = sim.data.qpos[7:], sim.data.qvel[6:]
    law = wanted.stiffness_hw * (wanted.joint_pos_hw - q) + wanted.damping_hw * (wanted.joint_vel_hw - dq)
    expected = np.clip(law + wanted.torque_ff_hw, -g1.EFFORT_LIMIT_HW, g1.EFFORT_LIMIT_HW)
    assert sim.read().joint_torque_hw == pytest.approx(expected, abs=1e-9)
    assert np.any(np.abs(expected) == g1.EFFORT_LIMIT_HW)
    assert np.all(np.abs(torque) <= g1.EFFORT_LIMIT_HW + 1e-9)


def test_a_new_velocity_gain_counts_for_the_wanted_velocity_too(sim):
    sim.reset_to(ORIGIN, IDENTITY, g1.DEFAULT_POS_HW)
    first = target(g1.DEFAULT_POS_HW, np.full(29, 0.5))
    sim.write(first)
    second = dataclasses.replace(first, damping_hw=2.0 * g1.DAMPING_HW)
    sim.write(second)
    mujoco.mj_forward(sim.model, sim.data)
    q, dq = sim.data.qpos[7:], sim.data.qvel[6:]
    law = g1.STIFFNESS_HW * (g1.DEFAULT_POS_HW - q) + second.damping_hw * (0.5 - dq)
    assert sim.read().joint_torque_hw == pytest.approx(np.clip(law, -g1.EFFORT_LIMIT_HW, g1.EFFORT_LIMIT_HW), abs=1e-9)


def test_gains_follow_the_target(sim):
    sim.stand()
    sim.write(target(g1.DEFAULT_POS_HW))
    sim.write(damping(8.0))
    mujoco.mj_forward(sim.model, sim.data)
    expected = np.clip(-8.0 * sim.data.qvel[6:], -g1.EFFORT_LIMIT_HW, g1.EFFORT_LIMIT_HW)
    assert sim.read().joint_torque_hw == pytest.approx(expected, abs=1e-9)


def damping(gain):
    zeros = np.zeros(29)
    return JointTarget(
        joint_pos_hw=zeros, joint_vel_hw=zeros, stiffness_hw=zeros, damping_hw=np.full(29, gain), torque_ff_hw=zeros
    )


def test_one_write_is_one_control_period(sim):
    sim.stand()
    sim.write(target(g1.DEFAULT_POS_HW))
    assert sim.data.time == pytest.approx(0.02)


def test_body_poses_are_those_of_the_kinematics(sim):
    sim.stand()
    for _ in range(5):
        sim.write(target(g1.DEFAULT_POS_HW + 0.1))
    pos, quat = sim.body_poses()
    state = sim.read()
    root = state.base_pos_w
    assert root is not None
    expected_pos, expected_quat = forward_kinematics(root[None], state.base_quat_wxyz[None], state.joint_pos_hw[None])
    assert pos == pytest.approx(expected_pos[0], abs=1e-9)
    assert np.abs(np.sum(quat * expected_quat[0], axis=1)) == pytest.approx(np.ones(30))


def test_runs_from_the_same_state_are_equal_bit_by_bit(sim):
    def play():
        sim.stand()
        for i in range(50):
            sim.write(target(g1.DEFAULT_POS_HW + 0.2 * np.sin(i / 5)))
        return sim.read()

    first, second = play(), play()
    assert np.array_equal(first.joint_pos_hw, second.joint_pos_hw)
    assert np.array_equal(first.base_pos_w, second.base_pos_w)


def test_a_broken_state_is_seen_and_not_silently_reset(sim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its warning into the current folder
    sim.stand()
    sim.data.qvel[0] = np.nan
    sim.write(target(g1.DEFAULT_POS_HW))
    state = sim.read()
    assert state.base_pos_w is not None
    assert not np.isfinite(state.base_pos_w).all()
    sim.stand()
    assert np.isfinite(sim.read().joint_pos_hw).all()


def test_another_robot_is_refused():
    spec = mujoco.MjSpec()
    spec.worldbody.add_body(name="pelvis").add_freejoint()
    spec.body("pelvis").add_geom(size=[0.1, 0, 0])
    with pytest.raises(RobotError, match="expected a free joint and the 29 joints"):
        MujocoSim(lambda: 0, model=spec.compile())


def test_rates_must_divide():
    with pytest.raises(RobotError, match="multiple of the control rate"):
        MujocoSim(lambda: 0, model=build_model(timestep_s=0.003))
