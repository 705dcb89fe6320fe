"""The MuJoCo model as a simulator would use it."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from sonic_runtime.robots import g1
from sonic_runtime.robots.g1_shapes import FOOT_SHAPES, SOLE_OFFSETS_M
from sonic_runtime.robots.kinematics import forward_kinematics, points_on_bodies
from sonic_runtime.robots.mjcf import build_model, build_spec, standing_qpos


@pytest.fixture(scope="module")
def model():
    return build_model()


def test_actuators_are_the_motors(model):
    assert [model.actuator(i).name for i in range(model.nu)] == list(g1.JOINT_NAMES_HW)
    np.testing.assert_allclose(model.actuator_gainprm[:, 0], g1.STIFFNESS_HW)
    np.testing.assert_allclose(model.actuator_biasprm[:, 1], -g1.STIFFNESS_HW)
    np.testing.assert_allclose(model.actuator_biasprm[:, 2], -g1.DAMPING_HW)
    np.testing.assert_allclose(model.actuator_forcerange[:, 1], g1.EFFORT_LIMIT_HW)
    np.testing.assert_allclose(model.jnt_actfrcrange[1:, 0], -g1.EFFORT_LIMIT_HW)
    np.testing.assert_allclose(model.dof_armature[6:], g1.ARMATURE_HW)


def test_servo_torque_is_pd_clipped_to_effort(model):
    data = mujoco.MjData(model)
    data.qpos[:] = standing_qpos() + np.r_[0, 0, 1.0, np.zeros(33)]
    data.qvel[6:] = 0.1
    data.ctrl[:] = g1.DEFAULT_POS_HW + np.where(np.arange(29) % 2, 0.1, 3.0)
    mujoco.mj_forward(model, data)
    wanted = g1.STIFFNESS_HW * (data.ctrl - data.qpos[7:]) - g1.DAMPING_HW * 0.1
    clipped = np.clip(wanted, -g1.EFFORT_LIMIT_HW, g1.EFFORT_LIMIT_HW)
    assert np.any(np.abs(wanted) > g1.EFFORT_LIMIT_HW)
    np.testing.assert_allclose(data.qfrc_actuator[6:], clipped, atol=1e-9)


def test_standing_pose_rests_on_the_soles(model):
    data = mujoco.MjData(model)
    data.qpos[:] = standing_qpos()
    mujoco.mj_forward(model, data)
    feet = [g for g in range(model.ngeom) if "_foot" in model.geom(g).name]
    assert len(feet) == 14
    gap = mujoco.mj_geomDistance(model, data, model.geom("floor").id, feet[3], 1.0, None)
    assert abs(gap) < 0.01
    for g in feet:
        assert model.geom_priority[g] == 1
        assert model.geom_condim[g] == 3
        assert model.geom_friction[g, 0] == 0.6


def test_slippery_soles_slip(model):
    """Foot priority makes the sole's friction count, not the ground's higher one."""
    slippery = build_model()
    for g in range(slippery.ngeom):
        if "_foot" in slippery.geom(g).name:
            slippery.geom_friction[g, 0] = 0.2
    data = mujoco.MjData(slippery)
    data.qpos[:] = standing_qpos() - np.r_[0, 0, 0.01, np.zeros(33)]
    mujoco.mj_forward(slippery, data)
    assert data.ncon > 0
    assert {round(float(c.friction[0]), 6) for c in data.contact} == {0.2}


def test_sole_offsets_are_the_lowest_points(model):
    assert {shape.link for shape in FOOT_SHAPES} == set(g1.FOOT_BODY_NAMES)
    pos, quat = forward_kinematics(np.zeros((1, 3)), np.array([[1.0, 0, 0, 0]]), np.zeros((1, 29)))
    sole = points_on_bodies(pos, quat, ("left_ankle_roll_link",) * len(SOLE_OFFSETS_M), np.array(SOLE_OFFSETS_M))
    np.testing.assert_allclose(sole[0, :, 2], pos[0, 6, 2] - 0.035, atol=1e-9)


def test_no_self_contact_in_the_default_pose(model):
    data = mujoco.MjData(model)
    data.qpos[:] = standing_qpos() + np.r_[0, 0, 1.0, np.zeros(33)]
    mujoco.mj_forward(model, data)
    assert data.ncon == 0


def test_left_and_right_weigh_alike(model):
    for link in g1.LINKS:
        if link.name.startswith("left_"):
            twin = model.body(link.name.replace("left_", "right_"))
            assert twin.mass[0] == pytest.approx(link.mass_kg)


def test_visual_shapes_never_collide_nor_weigh(model):
    visual = model.geom_group == 2
    assert visual.sum() > 50
    assert not np.any(model.geom_contype[visual] | model.geom_conaffinity[visual])
    bare = build_model(visuals=False)
    np.testing.assert_array_equal(bare.body_mass, model.body_mass)
    np.testing.assert_array_equal(bare.body_inertia, model.body_inertia)


def test_imu_sensors_read_the_pelvis(model):
    data = mujoco.MjData(model)
    data.qpos[:] = standing_qpos()
    data.qpos[3:7] = [np.cos(0.3), 0.0, 0.0, np.sin(0.3)]
    data.qvel[3:6] = [0.1, 0.2, 0.3]
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(data.sensor("imu_in_pelvis_quat").data, data.qpos[3:7], atol=1e-12)
    np.testing.assert_allclose(data.sensor("imu_in_pelvis_gyro").data, [0.1, 0.2, 0.3], atol=1e-12)


def test_switches():
    bare = build_spec(timestep_s=0.002, floor=False, actuators=False).compile()
    assert (bare.opt.timestep, bare.nu, bare.nkey) == (0.002, 0, 0)
    assert [bare.body(i).name for i in range(1, bare.nbody)] == list(g1.BODY_NAMES)
    assert bare.nq == 36
