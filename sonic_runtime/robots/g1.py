"""Orders, limits, gains and named subsets of the Unitree G1 (29 joints), derived from the table in `g1_tables.py`.

Arrays are float64 in hardware order (`_hw`, the motor order of the robot and of the MuJoCo model) unless the name says
otherwise; `_pol` is the breadth-first order in which the published policies were trained.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.joints import JointOrder
from sonic_runtime.robots.g1_tables import JOINTS, LINKS, MOTORS, Joint, Link, Motor

__all__ = ["JOINTS", "LINKS", "MOTORS", "Joint", "Link", "Motor"]

Array = npt.NDArray[np.floating]

ROBOT_NAME = "g1_29dof"
STANDING_PELVIS_HEIGHT_M = 0.76
"""Height of the pelvis frame above the ground in the default pose with flat feet [m], as in the published training."""


def _breadth_first(joints: tuple[Joint, ...], links: tuple[Link, ...]) -> tuple[str, ...]:
    """Return joint names level by level of the tree, children in table order: the order Isaac Lab trains in."""
    joint_of_child = {joint.child: joint.name for joint in joints}
    names: list[str] = []
    level = [link.name for link in links if link.parent is None]
    while level:
        level = [link.name for parent in level for link in links if link.parent == parent]
        names.extend(joint_of_child[name] for name in level)
    return tuple(names)


JOINT_NAMES_HW: tuple[str, ...] = tuple(joint.name for joint in JOINTS)
JOINT_NAMES_POL: tuple[str, ...] = _breadth_first(JOINTS, LINKS)
BODY_NAMES: tuple[str, ...] = tuple(link.name for link in LINKS)
"""All 30 links, depth first: the body order of the MuJoCo model without its world body."""

HW = JointOrder("hw", JOINT_NAMES_HW)
POL = JointOrder("pol", JOINT_NAMES_POL)
HW_INDEX_OF_POL = POL.index_in(HW)
"""(29,) position in hardware order of each policy-order joint: x_pol = x_hw[..., HW_INDEX_OF_POL]."""
POL_INDEX_OF_HW = HW.index_in(POL)
"""(29,) position in policy order of each hardware-order joint: x_hw = x_pol[..., POL_INDEX_OF_HW]."""


def to_policy_order(values_hw: Array) -> Array:
    """Reorder joint values (..., 29) from hardware to policy order; a copy."""
    return values_hw[..., HW_INDEX_OF_POL]


def to_hw_order(values_pol: Array) -> Array:
    """Reorder joint values (..., 29) from policy to hardware order; a copy."""
    return values_pol[..., POL_INDEX_OF_HW]


def _constant(values: object) -> Array:
    """Make a read-only float64 array, so that no user can change the robot for all others."""
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


def _per_joint(value: Callable[[Joint], float]) -> Array:
    return _constant([value(joint) for joint in JOINTS])


DEFAULT_POS_HW = _per_joint(lambda j: j.default_rad)
"""(29,) default pose [rad]: knees bent, elbows bent; the pose that action zero asks for."""
STIFFNESS_HW = _per_joint(lambda j: j.motor.stiffness_nm_per_rad)
"""(29,) position gains kp [N m/rad]."""
DAMPING_HW = _per_joint(lambda j: j.motor.damping_nm_s_per_rad)
"""(29,) velocity gains kd [N m s/rad]."""
EFFORT_LIMIT_HW = _per_joint(lambda j: j.motor.effort_limit_nm)
"""(29,) largest torques [N m]."""
VELOCITY_LIMIT_HW = _per_joint(lambda j: j.motor.velocity_limit_rad_s)
"""(29,) largest speeds [rad/s]."""
ARMATURE_HW = _per_joint(lambda j: j.motor.armature_kg_m2)
"""(29,) reflected rotor inertias [kg m^2]."""
ACTION_SCALE_HW = _constant(0.25 * EFFORT_LIMIT_HW / STIFFNESS_HW)
"""(29,) radians per unit of action: a quarter of the effort limit over the stiffness, as in BeyondMimic and SONIC."""
JOINT_RANGE_HW = _constant([joint.range_rad for joint in JOINTS])
"""(29, 2) lowest and highest angle [rad]."""

ANCHOR_BODY = "pelvis"
TRACKED_BODY_NAMES: tuple[str, ...] = (
    "pelvis",
    "left_hip_roll_link",
    "left_knee_link",
    "left_ankle_roll_link",
    "right_hip_roll_link",
    "right_knee_link",
    "right_ankle_roll_link",
    "torso_link",
    "left_shoulder_roll_link",
    "left_elbow_link",
    "left_wrist_yaw_link",
    "right_shoulder_roll_link",
    "right_elbow_link",
    "right_wrist_yaw_link",
)
"""The 14 bodies that tracking is rewarded and judged on, in SONIC's order."""

LOWER_BODY_NAMES: tuple[str, ...] = JOINT_NAMES_HW[:12]
"""The 12 leg joints, in hardware order as the published teleop encoder reads them."""
WRIST_NAMES: tuple[str, ...] = JOINT_NAMES_POL[23:29]
"""The 6 wrist joints, in policy order: left and right roll, pitch, yaw."""
UPPER_BODY_NAMES: tuple[str, ...] = tuple(name for name in JOINT_NAMES_POL if name not in LOWER_BODY_NAMES)
"""The 17 joints above the legs, in policy order, as the `planner` topic overrides them."""

VR_POINTS: tuple[tuple[str, tuple[float, float, float]], ...] = (
    ("left_wrist_yaw_link", (0.18, -0.025, 0.0)),
    ("right_wrist_yaw_link", (0.18, 0.025, 0.0)),
    ("torso_link", (0.0, 0.0, 0.35)),
)
"""Body and point in its frame [m] that a headset and two hand controllers steer: left wrist, right wrist, torso."""

VR_FIVE_BODY_NAMES: tuple[str, ...] = (
    "left_wrist_yaw_link",
    "right_wrist_yaw_link",
    "pelvis",
    "left_ankle_roll_link",
    "right_ankle_roll_link",
)
"""Bodies whose frames are the five points of a headset, two hand controllers and two foot trackers."""

FOOT_BODY_NAMES: tuple[str, ...] = ("left_ankle_roll_link", "right_ankle_roll_link")
