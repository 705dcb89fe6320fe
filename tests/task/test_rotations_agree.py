"""The torch rotations are the twin of the numpy ones."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sonic_runtime.contract import rotations as np_rot  # noqa: E402
from sonic_train.env import rotations as torch_rot  # noqa: E402


@pytest.fixture
def quats():
    rng = np.random.default_rng(0)
    q = rng.normal(size=(2, 50, 4))
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def test_same_numbers(quats):
    a, b = quats
    v = np.random.default_rng(1).normal(size=(50, 3))
    ta, tb, tv = (torch.tensor(x) for x in (a, b, v))
    pairs = [
        (np_rot.quat_multiply(a, b), torch_rot.quat_multiply(ta, tb)),
        (np_rot.quat_rotate(a, v), torch_rot.quat_rotate(ta, tv)),
        (np_rot.quat_rotate_inverse(a, v), torch_rot.quat_rotate_inverse(ta, tv)),
        (np_rot.rot6d_from_quat(a), torch_rot.rot6d_from_quat(ta)),
        (np_rot.quat_angle(a, b), torch_rot.quat_angle(ta, tb)),
        (np_rot.quat_wxyz_from_xyzw(a), torch_rot.quat_wxyz_from_xyzw(ta)),
    ]
    for ours, twin in pairs:
        np.testing.assert_allclose(twin.numpy(), ours, atol=1e-12)


def test_rpy_is_fixed_axes_in_order():
    yaw = torch_rot.quat_from_rpy(torch.tensor([[0.0, 0.0, np.pi / 2]]))
    turned = torch_rot.quat_rotate(yaw, torch.tensor([[1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(turned.numpy(), [[0.0, 1.0, 0.0]], atol=1e-6)
    both = torch_rot.quat_from_rpy(torch.tensor([[np.pi / 2, 0.0, np.pi / 2]]))
    # roll first takes y to z; the yaw about the fixed z leaves it there
    np.testing.assert_allclose(
        torch_rot.quat_rotate(both, torch.tensor([[0.0, 1.0, 0.0]])).numpy(), [[0, 0, 1]], atol=1e-6
    )


def test_heading_of_a_tilted_robot_keeps_its_yaw():
    tilted = torch_rot.quat_multiply(
        torch_rot.quat_from_rpy(torch.tensor([[0.0, 0.0, 0.7]])),
        torch_rot.quat_from_rpy(torch.tensor([[0.3, 0.2, 0.0]])),
    )
    heading = torch_rot.heading_quat(tilted)
    assert heading[0, 1] == 0 and heading[0, 2] == 0
    # twist about z of yaw(0.7) * tilt: the tilt's own twist is the rest
    yaw = 2 * torch.atan2(heading[0, 3], heading[0, 0]).item()
    assert abs(yaw - 0.7) < 0.05
