"""Facts of the public G1 model, as the tests compare them.

`g1_public_facts.json` was made by this file from `asset_zoo/robots/unitree_g1/xmls/g1.xml` in the wheel of mjlab 1.6.0
(Apache-2.0), which carries the public Unitree description `g1_29dof_rev_1_0` (BSD-3-Clause). To make it anew:
`python tests/robots/public_facts.py path/to/g1.xml`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from pathlib import Path

import mujoco
import numpy as np

FACTS_FILE = Path(__file__).with_name("g1_public_facts.json")
SEED = 20260
POSES = 20


def find_public_xml() -> Path | None:
    """Return the public MJCF from SONIC_PUBLIC_G1_XML or an installed mjlab, or None."""
    named = os.environ.get("SONIC_PUBLIC_G1_XML")
    if named:
        return Path(named)
    found = importlib.util.find_spec("mjlab")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "asset_zoo" / "robots" / "unitree_g1" / "xmls" / "g1.xml"


def load_without_meshes(xml: Path) -> mujoco.MjModel:
    """Compile a public MJCF after dropping its meshes, which carry no mass here."""
    text = re.sub(r"<geom\b[^>]*\bmesh=[^>]*/>|<mesh\b[^>]*/>", "", xml.read_text(encoding="utf-8"))
    return mujoco.MjModel.from_xml_string(text)


def inertia_tensors(model: mujoco.MjModel) -> np.ndarray:
    """Return the inertia of each body but the world about its centre of mass, in the body frame (n, 3, 3) [kg m^2]."""
    tensors = []
    for body in range(1, model.nbody):
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, model.body_iquat[body])
        axes = rotation.reshape(3, 3)
        tensors.append(axes @ np.diag(model.body_inertia[body]) @ axes.T)
    return np.array(tensors)


def collision_pairs(model: mujoco.MjModel) -> set[tuple[str, str]]:
    """Return the pairs of bodies that may collide with each other, world excepted, each pair sorted by name."""
    excluded = {tuple(sorted((int(s) >> 16, int(s) & 0xFFFF))) for s in model.exclude_signature}
    pairs = set()
    for i in range(model.ngeom):
        for j in range(i):
            first, second = sorted((int(model.geom_bodyid[i]), int(model.geom_bodyid[j])))
            mask = model.geom_contype[i] & model.geom_conaffinity[j] | model.geom_contype[j] & model.geom_conaffinity[i]
            related = first == second or model.body_parentid[second] == first
            if first > 0 and mask and not related and (first, second) not in excluded:
                pairs.add(tuple(sorted((model.body(first).name, model.body(second).name))))
    return pairs


def random_poses(joint_range_hw: np.ndarray) -> np.ndarray:
    """Return (POSES, 36) qpos: seeded, joints anywhere in their ranges, base anywhere."""
    rng = np.random.default_rng(SEED)
    position = rng.uniform(-2.0, 2.0, size=(POSES, 3))
    quat_wxyz = rng.normal(size=(POSES, 4))
    quat_wxyz /= np.linalg.norm(quat_wxyz, axis=1, keepdims=True)
    joints = rng.uniform(joint_range_hw[:, 0], joint_range_hw[:, 1], size=(POSES, len(joint_range_hw)))
    return np.concatenate([position, quat_wxyz, joints], axis=1)


def body_poses(model: mujoco.MjModel, qpos: np.ndarray) -> np.ndarray:
    """Return (len(qpos), bodies, 7) position [m] and quaternion wxyz with w >= 0 of all bodies but the world."""
    data = mujoco.MjData(model)
    poses = []
    for row in qpos:
        data.qpos[:] = row
        mujoco.mj_kinematics(model, data)
        quat = np.where(data.xquat[1:, :1] < 0.0, -data.xquat[1:], data.xquat[1:])
        poses.append(np.concatenate([data.xpos[1:], quat], axis=1))
    return np.array(poses)


def facts_of(model: mujoco.MjModel) -> dict[str, object]:
    """Return what the tests compare, as plain lists."""
    hinges = range(1, model.njnt)
    qpos = random_poses(model.jnt_range[1:])
    facts = {
        "body_names": [model.body(i).name for i in range(1, model.nbody)],
        "body_parents": [model.body(model.body_parentid[i]).name for i in range(1, model.nbody)],
        "mass_kg": model.body_mass[1:].tolist(),
        "com_m": model.body_ipos[1:].tolist(),
        "inertia_kg_m2": inertia_tensors(model).tolist(),
        "joint_names": [model.joint(i).name for i in hinges],
        "joint_axes": model.jnt_axis[1:].tolist(),
        "joint_range_rad": model.jnt_range[1:].tolist(),
        "collision_pairs": sorted(collision_pairs(model)),
        "qpos": qpos.round(9).tolist(),
    }
    facts["body_poses"] = body_poses(model, np.array(facts["qpos"])).round(9).tolist()
    return facts


if __name__ == "__main__":
    note = {
        "source": "mjlab 1.6.0 wheel, asset_zoo/robots/unitree_g1/xmls/g1.xml (Unitree g1_29dof_rev_1_0)",
        "licence": "mjlab: Apache-2.0; Unitree description: BSD-3-Clause",
        "units": "m, kg, kg m^2, rad; quaternions wxyz; body_poses are position then quaternion, world frame",
    }
    made = note | facts_of(load_without_meshes(Path(sys.argv[1])))
    FACTS_FILE.write_text(json.dumps(made, separators=(",", ":")) + "\n", encoding="utf-8")
