"""The orientation of one link against the full forward kinematics."""

import numpy as np
import pytest

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.rotations import quat_angle, quat_normalize
from sonic_runtime.robots import g1
from sonic_runtime.robots.chain import LinkOrientation
from sonic_runtime.robots.kinematics import forward_kinematics


@pytest.mark.parametrize("link", g1.BODY_NAMES)
def test_every_link_is_oriented_as_by_the_full_kinematics(link):
    rng = np.random.default_rng(1)
    base = quat_normalize(rng.normal(size=(20, 4)))
    joint_pos_hw = rng.uniform(-1.5, 1.5, (20, 29))
    _, expected = forward_kinematics(np.zeros((20, 3)), base, joint_pos_hw)
    orientation = LinkOrientation(link)
    found = np.array([orientation.of(b, q) for b, q in zip(base, joint_pos_hw, strict=True)])
    assert quat_angle(found, expected[:, g1.BODY_NAMES.index(link)]).max() < 1e-7


def test_an_unknown_link_is_refused():
    with pytest.raises(ContractError, match="link 'head': the robot has no such link; it has pelvis"):
        LinkOrientation("head")
