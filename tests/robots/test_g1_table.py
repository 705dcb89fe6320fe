"""The robot's table and model against the public Unitree G1."""

from __future__ import annotations

import json

import mujoco
import numpy as np
import pytest

from sonic_runtime.robots import g1
from sonic_runtime.robots.kinematics import forward_kinematics, points_on_bodies
from sonic_runtime.robots.mjcf import build_model
from tests.robots import public_facts

TOLERANCE = 1e-6


@pytest.fixture(scope="module", params=["stored facts", "public model"])
def facts(request):
    if request.param == "stored facts":
        return json.loads(public_facts.FACTS_FILE.read_text(encoding="utf-8"))
    xml = public_facts.find_public_xml()
    if xml is None:
        pytest.skip("no public model: install mjlab or set SONIC_PUBLIC_G1_XML to its g1.xml")
    return public_facts.facts_of(public_facts.load_without_meshes(xml))


@pytest.fixture(scope="module")
def model():
    return build_model(floor=False, actuators=False)


def test_names_and_tree(facts, model):
    assert list(g1.BODY_NAMES) == facts["body_names"]
    assert [link.parent or "world" for link in g1.LINKS] == facts["body_parents"]
    assert list(g1.JOINT_NAMES_HW) == facts["joint_names"]
    assert [model.body(i).name for i in range(1, model.nbody)] == facts["body_names"]
    assert [model.joint(i).name for i in range(1, model.njnt)] == facts["joint_names"]


def test_masses_and_centres(facts, model):
    np.testing.assert_allclose([link.mass_kg for link in g1.LINKS], facts["mass_kg"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose([link.com_m for link in g1.LINKS], facts["com_m"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(model.body_mass[1:], facts["mass_kg"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(model.body_ipos[1:], facts["com_m"], rtol=0, atol=TOLERANCE)
    assert model.body_mass.sum() == pytest.approx(33.341142, abs=TOLERANCE)


def test_inertia_tensors(facts, model):
    # the smallest moments are near 1e-5 kg m^2, so that an absolute 1e-6 would let a wrong one pass
    expected = np.array(facts["inertia_kg_m2"])
    size = np.abs(expected).max(axis=(1, 2), keepdims=True)
    assert np.max(np.abs(public_facts.inertia_tensors(model) - expected) / size) < TOLERANCE


def test_axes_and_ranges(facts, model):
    np.testing.assert_allclose(g1.JOINT_RANGE_HW, facts["joint_range_rad"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(model.jnt_range[1:], facts["joint_range_rad"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose([joint.axis for joint in g1.JOINTS], facts["joint_axes"], rtol=0, atol=TOLERANCE)


def test_forward_kinematics_at_random_poses(facts, model):
    qpos = np.array(facts["qpos"])
    expected = np.array(facts["body_poses"])
    assert expected.shape == (public_facts.POSES, 30, 7)
    position, quat = forward_kinematics(qpos[:, :3], qpos[:, 3:7], qpos[:, 7:])
    np.testing.assert_allclose(position, expected[..., :3], rtol=0, atol=TOLERANCE)
    quat = np.where(quat[..., :1] < 0.0, -quat, quat)
    np.testing.assert_allclose(quat, expected[..., 3:], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(public_facts.body_poses(model, qpos), expected, rtol=0, atol=TOLERANCE)


def test_self_collision_pairs(facts, model):
    assert public_facts.collision_pairs(model) == {tuple(pair) for pair in facts["collision_pairs"]}


def test_kinematics_rejects_wrong_shapes():
    with pytest.raises(ValueError, match="29"):
        forward_kinematics(np.zeros((2, 3)), np.tile([1.0, 0, 0, 0], (2, 1)), np.zeros((2, 23)))


def test_points_on_bodies_follow_the_body():
    data = mujoco.MjData(model := build_model())
    mujoco.mj_resetDataKeyframe(model, data, 0)
    data.qpos[3:7] = [0.8, 0.0, 0.6, 0.0]
    mujoco.mj_forward(model, data)
    pos, quat = data.xpos[None, 1:], data.xquat[None, 1:]
    point = points_on_bodies(pos, quat, ("left_wrist_yaw_link",), np.array([[0.08, 0.0, 0.0]]))
    np.testing.assert_allclose(point[0, 0], data.site("left_palm").xpos, atol=1e-12)
