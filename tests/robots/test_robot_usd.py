"""The USD for Isaac Lab: what survives the conversion."""

from __future__ import annotations

import numpy as np
import pytest

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.robots import g1

pytest.importorskip("mujoco_usd_converter", reason="needs the train extra: mujoco-usd-converter")

from sonic_train.robot_usd import CACHE_VARIABLE, default_cache_dir, g1_usd_path


@pytest.fixture(scope="module")
def usd(tmp_path_factory):
    return g1_usd_path(tmp_path_factory.mktemp("cache"))


def test_cached_under_one_name_and_nothing_else_left(usd):
    before = usd.stat().st_mtime_ns
    assert g1_usd_path(usd.parent.parent) == usd
    assert usd.stat().st_mtime_ns == before
    assert [p.name for p in usd.parent.parent.iterdir()] == [usd.parent.name]


def test_cache_folder_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "here"))
    assert default_cache_dir() == tmp_path / "here"


def test_cache_that_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(ConfigError, match=CACHE_VARIABLE):
        g1_usd_path(blocked)


def test_friction_priority_and_condim_survive(usd):
    pxr_usd = pytest.importorskip("pxr.Usd")
    stage = pxr_usd.Stage.Open(str(usd))
    feet, others = [], []
    for prim in stage.Traverse():
        if prim.GetName().endswith("_collision"):
            (feet if "_foot" in prim.GetName() else others).append(prim)
    assert (len(feet), len(others)) == (14, 19)
    for prim in feet:
        material = stage.GetPrimAtPath(prim.GetRelationship("material:binding:physics").GetTargets()[0])
        assert prim.GetAttribute("mjc:priority").Get() == 1
        assert prim.GetAttribute("mjc:condim").Get() in (None, 3)  # 3 is the default and may go unsaid
        assert material.GetAttribute("physics:dynamicFriction").Get() == pytest.approx(0.6)
    for prim in others:
        assert prim.GetAttribute("mjc:condim").Get() == 1
        assert not prim.GetAttribute("mjc:priority").Get()


@pytest.mark.isaac
def test_newton_reads_the_same_robot(usd):
    newton = pytest.importorskip("newton")
    from newton.solvers import SolverMuJoCo

    builder = newton.ModelBuilder()
    SolverMuJoCo.register_custom_attributes(builder)
    builder.add_usd(str(usd))
    assert [label.split("/")[-1] for label in builder.body_label] == list(g1.BODY_NAMES)
    assert [label.split("/")[-1] for label in builder.joint_label[1:]] == list(g1.JOINT_NAMES_HW)
    np.testing.assert_allclose(builder.body_mass, [link.mass_kg for link in g1.LINKS], atol=1e-6)
    np.testing.assert_allclose(builder.body_com, [link.com_m for link in g1.LINKS], atol=1e-6)
    np.testing.assert_allclose(builder.joint_limit_lower[6:], g1.JOINT_RANGE_HW[:, 0], atol=1e-6)
    np.testing.assert_allclose(builder.joint_limit_upper[6:], g1.JOINT_RANGE_HW[:, 1], atol=1e-6)
    # MuJoCo writes six significant digits to XML; Isaac Lab is given the armature by its actuator configuration anyway
    np.testing.assert_allclose(builder.joint_armature[6:], g1.ARMATURE_HW, rtol=5e-6)
