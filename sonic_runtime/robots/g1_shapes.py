"""Shapes of the G1: what collides, and what is seen. Primitives only, so that no mesh files are needed.

Units: m; positions in the frame of the link. Source of the collision shapes: the public MJCF in the wheel of mjlab
1.6.0 (Apache-2.0), with the left and right half made exactly alike; seven capsules make a foot, whose lowest points lie
35 mm below the ankle roll axis. The visual shapes are our own, drawn to the outline of the public description.

The left half and the middle are listed; the right half is the left one mirrored in the xz plane.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Vec3 = tuple[float, float, float]
Vec4 = tuple[float, float, float, float]
Kind = Literal["sphere", "capsule", "cylinder", "ellipsoid", "box"]

LIGHT: Vec4 = (0.78, 0.80, 0.82, 1.0)
DARK: Vec4 = (0.16, 0.17, 0.19, 1.0)
BLACK: Vec4 = (0.03, 0.03, 0.04, 1.0)
ACCENT: Vec4 = (0.20, 0.45, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Shape:
    """A primitive on a link.

    Attributes:
        link: name of the link that carries it.
        kind: what it is.
        size_m: radius for spheres, capsules and cylinders, (x, y, z) half sizes for ellipsoids and boxes [m].
        at_m: centre, or first end of a capsule or cylinder, in the link frame [m].
        to_m: second end of a capsule or cylinder, None for the others.
        name: name, unique among collision shapes; visual shapes have none.
        rgba: colour of a visual shape.
    """

    link: str
    kind: Kind
    size_m: tuple[float, ...]
    at_m: Vec3
    to_m: Vec3 | None = None
    name: str = ""
    rgba: Vec4 = LIGHT


def _mirrored(shape: Shape) -> Shape:
    """Return the right-hand twin of a left-hand shape."""

    def flip(point: Vec3) -> Vec3:
        return (point[0], -point[1], point[2])

    return replace(
        shape,
        link=shape.link.replace("left_", "right_"),
        name=shape.name.replace("left_", "right_"),
        at_m=flip(shape.at_m),
        to_m=None if shape.to_m is None else flip(shape.to_m),
    )


def _both_sides(shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
    return shapes + tuple(_mirrored(shape) for shape in shapes if shape.link.startswith("left_"))


FOOT_RADIUS_M = 0.01
FOOT_AXIS_HEIGHT_M = -0.025
"""Height of the axes of the foot capsules in the ankle roll frame [m]."""

# each foot capsule: distance from the midline of the foot, heel end, toe end [m]
_FOOT_ROWS = (
    (-0.026, 0.05, 0.1),
    (-0.018, -0.044, 0.123),
    (-0.01, -0.052, 0.13),
    (0.0, -0.054, 0.132),
    (0.01, -0.052, 0.13),
    (0.018, -0.044, 0.123),
    (0.026, 0.05, 0.1),
)

FOOT_SHAPES: tuple[Shape, ...] = _both_sides(
    tuple(
        Shape(
            "left_ankle_roll_link",
            "capsule",
            (FOOT_RADIUS_M,),
            (heel, y, FOOT_AXIS_HEIGHT_M),
            (toe, y, FOOT_AXIS_HEIGHT_M),
            f"left_foot{row + 1}_collision",
        )
        for row, (y, heel, toe) in enumerate(_FOOT_ROWS)
    )
)

SOLE_OFFSETS_M: tuple[Vec3, ...] = tuple(
    (x, y, FOOT_AXIS_HEIGHT_M - FOOT_RADIUS_M) for y, heel, toe in _FOOT_ROWS for x in (heel, toe)
)
"""Lowest points of the foot capsules' ends in the ankle roll frame of either foot, foot level [m]."""

BODY_SHAPES: tuple[Shape, ...] = _both_sides(
    (
        Shape("pelvis", "sphere", (0.07,), (0.0, 0.0, -0.08), name="pelvis_collision"),
        Shape("torso_link", "capsule", (0.09,), (0.01, 0.0, 0.08), (0.01, 0.0, 0.2), "torso_collision"),
        Shape("torso_link", "sphere", (0.06,), (0.0, 0.0, 0.43), name="head_collision"),
        Shape("left_hip_roll_link", "capsule", (0.06,), (0.02, 0.0, 0.0), (0.02, 0.0, -0.08), "left_hip_collision"),
        Shape("left_hip_yaw_link", "capsule", (0.055,), (0.0, 0.0, -0.03), (-0.06, 0.0, -0.17), "left_thigh_collision"),
        Shape("left_knee_link", "capsule", (0.045,), (0.01, 0.0, 0.0), (0.01, 0.0, -0.15), "left_shin_collision"),
        Shape(
            "left_knee_link", "capsule", (0.03,), (0.01, 0.0, -0.2), (0.01, 0.0, -0.28), "left_linkage_brace_collision"
        ),
        Shape(
            "left_shoulder_yaw_link",
            "capsule",
            (0.035,),
            (0.0, 0.0, -0.08),
            (0.0, 0.0, 0.05),
            "left_shoulder_yaw_collision",
        ),
        Shape(
            "left_elbow_link", "capsule", (0.035,), (-0.01, 0.0, -0.01), (0.08, 0.0, -0.01), "left_elbow_yaw_collision"
        ),
        Shape(
            "left_wrist_pitch_link", "capsule", (0.035,), (-0.01, 0.0, 0.0), (0.06, 0.0, 0.0), "left_wrist_collision"
        ),
        Shape("left_wrist_yaw_link", "capsule", (0.035,), (0.07, 0.0, 0.0), (0.15, -0.02, 0.0), "left_hand_collision"),
    )
)

EXCLUDED_PAIRS: tuple[tuple[str, str], ...] = (
    ("left_elbow_link", "left_wrist_pitch_link"),
    ("right_elbow_link", "right_wrist_pitch_link"),
    ("pelvis", "right_hip_roll_link"),
    ("pelvis", "left_hip_roll_link"),
)
"""Links that overlap by design without being parent and child; parent and child never collide."""

SITES: tuple[tuple[str, str, Vec3], ...] = (
    ("imu_in_pelvis", "pelvis", (0.04525, 0.0, -0.08339)),
    ("imu_in_torso", "torso_link", (-0.03959, -0.00224, 0.14792)),
    ("left_foot", "left_ankle_roll_link", (0.04, 0.0, -0.037)),
    ("right_foot", "right_ankle_roll_link", (0.04, 0.0, -0.037)),
    ("left_palm", "left_wrist_yaw_link", (0.08, 0.0, 0.0)),
    ("right_palm", "right_wrist_yaw_link", (0.08, 0.0, 0.0)),
)
"""Site name, link, position in the link frame [m]; the axes of a site are those of its link."""

_TRUNK_LOOKS = (
    Shape("pelvis", "ellipsoid", (0.062, 0.075, 0.06), (0.0, 0.0, -0.09)),
    Shape("pelvis", "cylinder", (0.044,), (0.0, -0.062, -0.1027), (0.0, 0.062, -0.1027), rgba=DARK),
    Shape("waist_yaw_link", "cylinder", (0.042,), (0.0, 0.0, -0.03), (0.0, 0.0, 0.05), rgba=DARK),
    Shape("waist_roll_link", "sphere", (0.03,), (0.0, 0.0, 0.0), rgba=DARK),
    Shape("torso_link", "box", (0.045, 0.062, 0.045), (0.004, 0.0, 0.06), rgba=DARK),
    Shape("torso_link", "box", (0.056, 0.092, 0.082), (0.006, 0.0, 0.2)),
    Shape("torso_link", "ellipsoid", (0.05, 0.098, 0.095), (0.04, 0.0, 0.205)),
    Shape("torso_link", "ellipsoid", (0.045, 0.094, 0.1), (-0.03, 0.0, 0.2)),
    Shape("torso_link", "cylinder", (0.016,), (0.082, 0.0, 0.235), (0.092, 0.0, 0.235), rgba=ACCENT),
    Shape("torso_link", "capsule", (0.036,), (0.0, 0.0, 0.27), (0.002, 0.0, 0.35), rgba=DARK),
    Shape("torso_link", "ellipsoid", (0.07, 0.064, 0.085), (0.002, 0.0, 0.405)),
    Shape("torso_link", "ellipsoid", (0.056, 0.055, 0.066), (0.024, 0.0, 0.405), rgba=BLACK),
)

_LEG_LOOKS = (
    Shape("left_hip_pitch_link", "cylinder", (0.041,), (0.0, 0.004, 0.0), (0.0, 0.082, 0.0), rgba=DARK),
    Shape("left_hip_pitch_link", "capsule", (0.036,), (0.0, 0.05, 0.0), (0.0, 0.052, -0.032), rgba=DARK),
    Shape("left_hip_roll_link", "cylinder", (0.044,), (-0.026, 0.0, 0.0), (0.062, 0.0, 0.0), rgba=DARK),
    Shape("left_hip_roll_link", "capsule", (0.046,), (0.022, 0.0, -0.03), (0.026, 0.0, -0.1)),
    Shape("left_hip_yaw_link", "capsule", (0.047,), (0.002, 0.0, -0.04), (-0.05, 0.0, -0.14)),
    Shape("left_hip_yaw_link", "capsule", (0.043,), (-0.03, 0.0, -0.1), (-0.074, 0.0, -0.172)),
    Shape("left_hip_yaw_link", "cylinder", (0.046,), (-0.0783, -0.038, -0.1773), (-0.0783, 0.042, -0.1773), rgba=DARK),
    Shape("left_knee_link", "capsule", (0.036,), (0.006, 0.0, -0.02), (0.014, 0.0, -0.17)),
    Shape("left_knee_link", "ellipsoid", (0.03, 0.034, 0.11), (0.03, 0.0, -0.1)),
    Shape("left_knee_link", "capsule", (0.024,), (0.012, 0.0, -0.17), (0.002, 0.0, -0.285), rgba=DARK),
    Shape("left_ankle_pitch_link", "cylinder", (0.02,), (0.0, -0.026, 0.0), (0.0, 0.026, 0.0), rgba=DARK),
    Shape("left_ankle_roll_link", "box", (0.097, 0.033, 0.007), (0.038, 0.0, -0.028), rgba=DARK),
    Shape("left_ankle_roll_link", "ellipsoid", (0.092, 0.032, 0.026), (0.036, 0.0, -0.016)),
    Shape("left_ankle_roll_link", "capsule", (0.022,), (-0.02, 0.0, -0.008), (0.02, 0.0, -0.004)),
)

_ARM_LOOKS = (
    Shape("left_shoulder_pitch_link", "cylinder", (0.035,), (0.0, -0.006, 0.0), (0.0, 0.066, 0.0), rgba=DARK),
    Shape("left_shoulder_roll_link", "sphere", (0.043,), (0.0, 0.005, 0.0)),
    Shape("left_shoulder_roll_link", "capsule", (0.036,), (0.0, 0.006, -0.01), (0.0, 0.006, -0.075)),
    Shape("left_shoulder_yaw_link", "cylinder", (0.031,), (0.0, 0.0, 0.028), (0.0, 0.0, -0.01), rgba=DARK),
    Shape("left_shoulder_yaw_link", "capsule", (0.034,), (0.002, 0.0, -0.01), (0.012, 0.0, -0.066)),
    Shape(
        "left_shoulder_yaw_link", "cylinder", (0.033,), (0.0158, -0.033, -0.0805), (0.0158, 0.033, -0.0805), rgba=DARK
    ),
    Shape("left_elbow_link", "capsule", (0.031,), (0.02, 0.0, -0.01), (0.082, 0.002, -0.01)),
    Shape("left_wrist_roll_link", "cylinder", (0.028,), (-0.006, 0.0, 0.0), (0.022, 0.0, 0.0), rgba=DARK),
    Shape("left_wrist_pitch_link", "capsule", (0.027,), (0.0, 0.0, 0.0), (0.036, 0.0, 0.0)),
    Shape("left_wrist_yaw_link", "cylinder", (0.021,), (0.0, 0.0, -0.028), (0.0, 0.0, 0.028), rgba=DARK),
    Shape("left_wrist_yaw_link", "capsule", (0.02,), (0.01, 0.0, 0.0), (0.045, 0.0, 0.0)),
    Shape("left_wrist_yaw_link", "ellipsoid", (0.045, 0.02, 0.038), (0.082, -0.002, 0.0), rgba=DARK),
    Shape("left_wrist_yaw_link", "capsule", (0.012,), (0.1, -0.006, 0.02), (0.155, -0.018, 0.018), rgba=DARK),
    Shape("left_wrist_yaw_link", "capsule", (0.012,), (0.1, -0.006, -0.004), (0.162, -0.018, -0.004), rgba=DARK),
    Shape("left_wrist_yaw_link", "capsule", (0.012,), (0.1, -0.006, -0.026), (0.15, -0.018, -0.026), rgba=DARK),
    Shape("left_wrist_yaw_link", "capsule", (0.012,), (0.065, -0.008, 0.03), (0.105, -0.03, 0.046), rgba=DARK),
)

VISUAL_SHAPES: tuple[Shape, ...] = _both_sides(_TRUNK_LOOKS + _LEG_LOOKS + _ARM_LOOKS)
"""What the robot looks like; collides with nothing."""
