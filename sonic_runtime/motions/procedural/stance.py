"""The standing robot that every procedural motion starts from and returns to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.rotations import quat_rotate
from sonic_runtime.robots import g1
from sonic_runtime.robots.g1_shapes import FOOT_RADIUS_M, SOLE_OFFSETS_M
from sonic_runtime.robots.kinematics import forward_kinematics

Array = npt.NDArray[np.floating]

LEFT, RIGHT = 0, 1
SIDE_SIGNS = np.array([1.0, -1.0])
"""Sign of the lateral offset of the left and the right foot."""
HAND_BODY_NAMES = ("left_wrist_yaw_link", "right_wrist_yaw_link")
ANKLE_HEIGHT_M = -min(offset[2] for offset in SOLE_OFFSETS_M)
"""Height of the ankle roll frame above the ground when the sole lies flat on it [m]."""
TOE_CENTRE_M = np.array([max(offset[0] for offset in SOLE_OFFSETS_M), 0.0, FOOT_RADIUS_M - ANKLE_HEIGHT_M])
"""(3,) centre of the rounded tip of the foot in the ankle frame [m]; about it a foot rolls when its heel rises."""


@dataclass(frozen=True, slots=True)
class Stance:
    """The default pose with flat feet on the ground; pelvis above the origin, heading along x.

    Attributes:
        pelvis_height_m: height of the pelvis frame [m].
        feet: (2, 3) x, y [m] and yaw [rad] of the left and right ankle on the ground.
        com_w: (3,) centre of mass [m].
        hands_w: (2, 3) positions of the wrist yaw links [m].
    """

    pelvis_height_m: float
    feet: Array
    com_w: Array
    hands_w: Array

    @property
    def sole_ahead_m(self) -> float:
        """How far the centre of mass stands ahead of the ankles [m]: where a foot bears the weight."""
        return float(self.com_w[0] - self.feet[:, 0].mean())

    @property
    def width_m(self) -> float:
        """Distance between the ankles [m]."""
        return float(self.feet[LEFT, 1] - self.feet[RIGHT, 1])


@cache
def standing() -> Stance:
    """Return the stance of the default pose, lowered until the ankles are at the height of flat feet."""
    body_pos_w, body_quat_wxyz = forward_kinematics(
        np.array([[0.0, 0.0, 0.0]]), np.array([[1.0, 0.0, 0.0, 0.0]]), g1.DEFAULT_POS_HW[None]
    )
    ankles = body_pos_w[0, [g1.BODY_NAMES.index(name) for name in g1.FOOT_BODY_NAMES]]
    height_m = float(ANKLE_HEIGHT_M - ankles[:, 2].mean())
    lift = np.array([0.0, 0.0, height_m])
    hands = body_pos_w[0, [g1.BODY_NAMES.index(name) for name in HAND_BODY_NAMES]] + lift
    com = centre_of_mass(body_pos_w, body_quat_wxyz)[0] + lift
    com[1] = 0.0  # the table is not mirrored to the last gram; the plan is
    half_width = 0.5 * (ankles[LEFT, 1] - ankles[RIGHT, 1])
    feet = np.array([[ankles[:, 0].mean(), sign * half_width, 0.0] for sign in SIDE_SIGNS])
    return Stance(pelvis_height_m=height_m, feet=feet, com_w=com, hands_w=hands)


def centre_of_mass(body_pos_w: Array, body_quat_wxyz: Array) -> Array:
    """Return the centre of mass of the robot.

    Args:
        body_pos_w: (T, 30, 3) link positions [m].
        body_quat_wxyz: (T, 30, 4) link orientations.

    Returns:
        (T, 3) [m].
    """
    masses = np.array([link.mass_kg for link in g1.LINKS])
    offsets = np.array([link.com_m for link in g1.LINKS])
    centres = body_pos_w + quat_rotate(body_quat_wxyz, np.broadcast_to(offsets, body_pos_w.shape))
    return np.einsum("b,tbi->ti", masses, centres) / masses.sum()
