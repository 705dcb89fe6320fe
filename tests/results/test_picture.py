"""Pictures: rays against MuJoCo's own ray casting, and what a picture shows."""

import mujoco
import numpy as np
import pytest

from sonic_runtime.contract.rotations import quat_from_yaw
from sonic_runtime.results.picture import Camera, RobotPainter
from sonic_runtime.results.raycast import HIT_OF_TYPE
from sonic_runtime.robots import g1
from sonic_runtime.robots.kinematics import forward_kinematics

SIZES = {
    mujoco.mjtGeom.mjGEOM_SPHERE: [0.3, 0, 0],
    mujoco.mjtGeom.mjGEOM_CAPSULE: [0.2, 0.4, 0],
    mujoco.mjtGeom.mjGEOM_CYLINDER: [0.25, 0.3, 0],
    mujoco.mjtGeom.mjGEOM_ELLIPSOID: [0.2, 0.3, 0.4],
    mujoco.mjtGeom.mjGEOM_BOX: [0.2, 0.3, 0.25],
}


@pytest.mark.parametrize("kind", SIZES, ids=lambda kind: kind.name)
def test_rays_meet_shapes_where_mujoco_says(kind):
    spec = mujoco.MjSpec()
    spec.worldbody.add_geom(type=kind, size=SIZES[kind])
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    rng = np.random.default_rng(1)
    origin = rng.normal(size=(400, 3))
    origin *= 2.0 / np.linalg.norm(origin, axis=-1, keepdims=True)
    direction = rng.uniform(-0.5, 0.5, (400, 3)) - origin
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    distance, normal = HIT_OF_TYPE[int(kind)](origin, direction, np.array(SIZES[kind], dtype=float))
    geom = np.zeros(1, np.int32)
    expected = [mujoco.mj_ray(model, data, o, d, None, 1, -1, geom) for o, d in zip(origin, direction, strict=True)]
    expected = np.array([np.inf if e < 0 else e for e in expected])
    assert 50 < np.isfinite(expected).sum() < 400
    np.testing.assert_allclose(distance, expected, atol=1e-9)
    hit = np.isfinite(distance)
    np.testing.assert_allclose(np.linalg.norm(normal[hit], axis=-1), 1.0, atol=1e-9)
    assert ((normal[hit] * direction[hit]).sum(-1) < 1e-9).all(), "normals look back along the ray"


@pytest.fixture(scope="module")
def painter() -> RobotPainter:
    return RobotPainter()


def pose(x: float = 0.0, height: float = 0.76) -> tuple[np.ndarray, np.ndarray]:
    pos_w, quat = forward_kinematics(
        np.array([[x, 0.0, height]]), quat_from_yaw(np.zeros(1)), g1.DEFAULT_POS_HW[None].copy()
    )
    return pos_w[0], quat[0]


CAMERA = Camera(eye_w=np.array([3.0, 0.0, 0.7]), target_w=np.array([0.0, 0.0, 0.7]))


def changed(image: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(image.astype(int) - other.astype(int)).sum(axis=-1) > 60


def test_robot_stands_in_the_middle_with_feet_on_the_ground(painter):
    far = (pose(x=50.0)[0], pose()[1])
    empty = painter.paint(CAMERA, 120, 160, *far)
    shown = changed(painter.paint(CAMERA, 120, 160, *pose()), empty)
    rows = np.flatnonzero(shown.any(axis=1))
    # the upper half alone: below, the shadow lies to one side
    columns = np.flatnonzero(shown[:80].any(axis=0))
    assert empty.shape == (160, 120, 3)
    # the G1 is 1.32 m tall; at 3 m a pixel of the picture spans 3 * tan(0.26) / 80 = 10 mm
    assert 118 < rows[-1] - rows[0] < 145
    assert abs(columns.mean() - 59.5) < 3
    assert 0.1 < shown.mean() < 0.4


def test_ghost_is_drawn_behind_and_transparent(painter):
    alone = painter.paint(CAMERA, 120, 160, *pose())
    with_ghost = painter.paint(CAMERA, 120, 160, *pose(), ghost=(pose()[0] + [0.0, 0.5, 0.0], pose()[1]))
    where = changed(with_ghost, alone)
    assert where.mean() > 0.03
    greener = with_ghost[where][:, 1].astype(int) - with_ghost[where][:, 0]
    assert np.median(greener) > 15
