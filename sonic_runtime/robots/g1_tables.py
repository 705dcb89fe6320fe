"""The Unitree G1 with 29 actuated joints, as numbers.

Source: the public Unitree description `g1_29dof_rev_1_0` (github.com/unitreerobotics/unitree_ros, BSD-3-Clause), whose
numbers the MJCF in the wheel of mjlab 1.6.0 (Apache-2.0) repeats; inertia, offsets, axes and ranges are taken digit
for digit. Motor classes: rotor inertias reflected through the gears as published with BeyondMimic
(github.com/HybridRobotics/whole_body_tracking) and used for SONIC; the effort and velocity limits are the ones
used in training.

Units: m, kg, kg m^2, rad, N m, s. Frames: x forward, y left, z up in the zero pose; quaternions are wxyz and unit only
to the six digits of the source, the arrays in `g1.py` normalise them.
"""

from __future__ import annotations

from dataclasses import dataclass

Vec3 = tuple[float, float, float]
Vec4 = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Link:
    """A rigid link.

    Attributes:
        name: link name.
        parent: name of the parent link, None for the pelvis.
        offset_m: origin of the link frame in the parent frame at joint angle zero [m].
        quat_wxyz: orientation of the link frame in the parent frame at joint angle zero.
        mass_kg: mass [kg].
        com_m: centre of mass in the link frame [m].
        inertia_kg_m2: principal moments about the centre of mass [kg m^2].
        inertia_quat_wxyz: orientation of the principal axes in the link frame.
    """

    name: str
    parent: str | None
    offset_m: Vec3
    quat_wxyz: Vec4
    mass_kg: float
    com_m: Vec3
    inertia_kg_m2: Vec3
    inertia_quat_wxyz: Vec4


@dataclass(frozen=True, slots=True)
class Motor:
    """A motor class, as seen at the joint.

    Attributes:
        name: class name; "_X2" means two motors on a parallel linkage.
        armature_kg_m2: reflected rotor inertia [kg m^2].
        stiffness_nm_per_rad: position gain kp [N m/rad].
        damping_nm_s_per_rad: velocity gain kd [N m s/rad].
        effort_limit_nm: largest torque [N m].
        velocity_limit_rad_s: largest speed [rad/s].
    """

    name: str
    armature_kg_m2: float
    stiffness_nm_per_rad: float
    damping_nm_s_per_rad: float
    effort_limit_nm: float
    velocity_limit_rad_s: float


@dataclass(frozen=True, slots=True)
class Joint:
    """A hinge between `child` and its parent, through the origin of the child frame.

    Attributes:
        name: joint name.
        child: link that the joint moves.
        axis: rotation axis in the child frame, unit.
        range_rad: lowest and highest angle [rad].
        motor: motor class that drives it.
        default_rad: angle in the default pose, about which policies act [rad].
    """

    name: str
    child: str
    axis: Vec3
    range_rad: tuple[float, float]
    motor: Motor
    default_rad: float


NATURAL_FREQUENCY_RAD_S = 10.0 * 2.0 * 3.1415926535
"""Closed-loop frequency of the position gains, 10 Hz [rad/s]; pi in the digits that the published policies used."""

DAMPING_RATIO = 2.0
"""Damping ratio of the gains; above 1, because the load adds to the reflected inertia."""


def _motor(name: str, armature: float, effort: float, velocity: float) -> Motor:
    """Give a motor the gains of a second-order system: kp = I w^2, kd = 2 zeta I w."""
    stiffness = armature * NATURAL_FREQUENCY_RAD_S**2
    damping = 2.0 * DAMPING_RATIO * armature * NATURAL_FREQUENCY_RAD_S
    return Motor(name, armature, stiffness, damping, effort, velocity)


# name, armature [kg m^2], effort limit [N m], velocity limit [rad/s]
M5020 = _motor("M5020", 0.003609725, 25.0, 37.0)
M5020_X2 = _motor("M5020_X2", 2.0 * 0.003609725, 50.0, 37.0)
M7520_14 = _motor("M7520_14", 0.010177520, 88.0, 32.0)
M7520_22 = _motor("M7520_22", 0.025101925, 139.0, 20.0)
M4010 = _motor("M4010", 0.00425, 5.0, 22.0)
MOTORS: tuple[Motor, ...] = (M5020, M5020_X2, M7520_14, M7520_22, M4010)

# name, parent, offset [m], orientation wxyz, mass [kg], centre of mass [m], principal moments [kg m^2], axes wxyz
LINKS: tuple[Link, ...] = (
    Link(
        "pelvis",
        None,
        (0.0, 0.0, 0.0),
        (1.0, 0.0, 0.0, 0.0),
        3.813,
        (0.0, 0.0, -0.07605),
        (0.010549, 0.0093089, 0.0079184),
        (1.0, 0.0, -0.000399148, 0.0),
    ),
    Link(
        "left_hip_pitch_link",
        "pelvis",
        (0.0, 0.064452, -0.1027),
        (1.0, 0.0, 0.0, 0.0),
        1.35,
        (0.002741, 0.047791, -0.02606),
        (0.00181517, 0.00153422, 0.00116212),
        (0.954862, 0.293964, 0.0302556, 0.030122),
    ),
    Link(
        "left_hip_roll_link",
        "left_hip_pitch_link",
        (0.0, 0.052, -0.030465),
        (0.996179, 0.0, -0.0873386, 0.0),
        1.52,
        (0.029812, -0.001045, -0.087934),
        (0.00254986, 0.00241169, 0.00148755),
        (0.977808, -1.97119e-05, 0.205576, -0.0403793),
    ),
    Link(
        "left_hip_yaw_link",
        "left_hip_roll_link",
        (0.025001, 0.0, -0.12412),
        (1.0, 0.0, 0.0, 0.0),
        1.702,
        (-0.057709, -0.010981, -0.15078),
        (0.00776166, 0.00717575, 0.00160139),
        (0.600598, 0.15832, 0.223482, 0.751181),
    ),
    Link(
        "left_knee_link",
        "left_hip_yaw_link",
        (-0.078273, 0.0021489, -0.17734),
        (0.996179, 0.0, 0.0873386, 0.0),
        1.932,
        (0.005457, 0.003964, -0.12074),
        (0.0113804, 0.0112778, 0.00146458),
        (0.923418, -0.0327699, 0.0158246, 0.382067),
    ),
    Link(
        "left_ankle_pitch_link",
        "left_knee_link",
        (0.0, -9.4445e-05, -0.30001),
        (1.0, 0.0, 0.0, 0.0),
        0.074,
        (-0.007269, 0.0, 0.011137),
        (1.89e-05, 1.40805e-05, 6.9195e-06),
        (0.603053, 0.369225, 0.369225, 0.603053),
    ),
    Link(
        "left_ankle_roll_link",
        "left_ankle_pitch_link",
        (0.0, 0.0, -0.017558),
        (1.0, 0.0, 0.0, 0.0),
        0.608,
        (0.026505, 0.0, -0.016425),
        (0.00167218, 0.0016161, 0.000217621),
        (-0.000481092, 0.728482, -0.000618967, 0.685065),
    ),
    Link(
        "right_hip_pitch_link",
        "pelvis",
        (0.0, -0.064452, -0.1027),
        (1.0, 0.0, 0.0, 0.0),
        1.35,
        (0.002741, -0.047791, -0.02606),
        (0.00181517, 0.00153422, 0.00116212),
        (0.954862, -0.293964, 0.0302556, -0.030122),
    ),
    Link(
        "right_hip_roll_link",
        "right_hip_pitch_link",
        (0.0, -0.052, -0.030465),
        (0.996179, 0.0, -0.0873386, 0.0),
        1.52,
        (0.029812, 0.001045, -0.087934),
        (0.00254986, 0.00241169, 0.00148755),
        (0.977808, 1.97119e-05, 0.205576, 0.0403793),
    ),
    Link(
        "right_hip_yaw_link",
        "right_hip_roll_link",
        (0.025001, 0.0, -0.12412),
        (1.0, 0.0, 0.0, 0.0),
        1.702,
        (-0.057709, 0.010981, -0.15078),
        (0.00776166, 0.00717575, 0.00160139),
        (0.751181, 0.223482, 0.15832, 0.600598),
    ),
    Link(
        "right_knee_link",
        "right_hip_yaw_link",
        (-0.078273, -0.0021489, -0.17734),
        (0.996179, 0.0, 0.0873386, 0.0),
        1.932,
        (0.005457, -0.003964, -0.12074),
        (0.011374, 0.0112843, 0.00146452),
        (0.923439, 0.0345276, 0.0116333, -0.382012),
    ),
    Link(
        "right_ankle_pitch_link",
        "right_knee_link",
        (0.0, 9.4445e-05, -0.30001),
        (1.0, 0.0, 0.0, 0.0),
        0.074,
        (-0.007269, 0.0, 0.011137),
        (1.89e-05, 1.40805e-05, 6.9195e-06),
        (0.603053, 0.369225, 0.369225, 0.603053),
    ),
    Link(
        "right_ankle_roll_link",
        "right_ankle_pitch_link",
        (0.0, 0.0, -0.017558),
        (1.0, 0.0, 0.0, 0.0),
        0.608,
        (0.026505, 0.0, -0.016425),
        (0.00167218, 0.0016161, 0.000217621),
        (0.000481092, 0.728482, 0.000618967, 0.685065),
    ),
    Link(
        "waist_yaw_link",
        "pelvis",
        (0.0, 0.0, 0.0),
        (1.0, 0.0, 0.0, 0.0),
        0.214,
        (0.003494, 0.000233, 0.018034),
        (0.000163531, 0.000107714, 0.000102205),
        (0.289697, 0.591001, -0.337795, 0.672821),
    ),
    Link(
        "waist_roll_link",
        "waist_yaw_link",
        (-0.0039635, 0.0, 0.044),
        (1.0, 0.0, 0.0, 0.0),
        0.086,
        (0.0, 2.3e-05, 0.0),
        (8.245e-06, 7.079e-06, 6.339e-06),
        (0.5, 0.5, -0.5, 0.5),
    ),
    Link(
        "torso_link",
        "waist_roll_link",
        (0.0, 0.0, 0.0),
        (1.0, 0.0, 0.0, 0.0),
        7.818,
        (0.00203158, 0.000339683, 0.184568),
        (0.121847, 0.109825, 0.0273735),
        (0.999803, -6.03319e-05, 0.0198256, 0.00131986),
    ),
    Link(
        "left_shoulder_pitch_link",
        "torso_link",
        (0.0039563, 0.10022, 0.24778),
        (0.990264, 0.139201, 1.38722e-05, -9.86868e-05),
        0.718,
        (0.0, 0.035892, -0.011628),
        (0.000465864, 0.000432842, 0.000406394),
        (0.654152, 0.0130458, -0.326267, 0.68225),
    ),
    Link(
        "left_shoulder_roll_link",
        "left_shoulder_pitch_link",
        (0.0, 0.038, -0.013831),
        (0.990268, -0.139172, 0.0, 0.0),
        0.643,
        (-0.000227, 0.00727, -0.063243),
        (0.000691311, 0.000618011, 0.000388977),
        (0.701256, -0.0196223, -0.00710317, 0.712604),
    ),
    Link(
        "left_shoulder_yaw_link",
        "left_shoulder_roll_link",
        (0.0, 0.00624, -0.1032),
        (1.0, 0.0, 0.0, 0.0),
        0.734,
        (0.010773, -0.002949, -0.072009),
        (0.00106187, 0.00103217, 0.000400661),
        (0.716879, -0.0964829, -0.0679942, 0.687134),
    ),
    Link(
        "left_elbow_link",
        "left_shoulder_yaw_link",
        (0.015783, 0.0, -0.080518),
        (1.0, 0.0, 0.0, 0.0),
        0.6,
        (0.064956, 0.004454, -0.010062),
        (0.000443035, 0.000421612, 0.000259353),
        (0.541765, 0.636132, 0.388821, 0.388129),
    ),
    Link(
        "left_wrist_roll_link",
        "left_elbow_link",
        (0.1, 0.00188791, -0.01),
        (1.0, 0.0, 0.0, 0.0),
        0.085445,
        (0.0171394, 0.000537591, 4.8864e-07),
        (5.48211e-05, 4.96646e-05, 3.57798e-05),
        (0.575338, 0.411667, -0.574906, 0.411094),
    ),
    Link(
        "left_wrist_pitch_link",
        "left_wrist_roll_link",
        (0.038, 0.0, 0.0),
        (1.0, 0.0, 0.0, 0.0),
        0.48405,
        (0.0229999, -0.00111685, -0.00111658),
        (0.000430353, 0.000429873, 0.000164648),
        (0.249998, 0.661363, 0.293036, 0.643608),
    ),
    Link(
        "left_wrist_yaw_link",
        "left_wrist_pitch_link",
        (0.046, 0.0, 0.0),
        (1.0, 0.0, 0.0, 0.0),
        0.254576,
        (0.0708244, 0.000191745, 0.00161742),
        (0.000646113, 0.000559993, 0.000147566),
        (0.510571, 0.526295, 0.468078, 0.493188),
    ),
    Link(
        "right_shoulder_pitch_link",
        "torso_link",
        (0.0039563, -0.10021, 0.24778),
        (0.990264, -0.139201, 1.38722e-05, 9.86868e-05),
        0.718,
        (0.0, -0.035892, -0.011628),
        (0.000465864, 0.000432842, 0.000406394),
        (0.68225, -0.326267, 0.0130458, 0.654152),
    ),
    Link(
        "right_shoulder_roll_link",
        "right_shoulder_pitch_link",
        (0.0, -0.038, -0.013831),
        (0.990268, 0.139172, 0.0, 0.0),
        0.643,
        (-0.000227, -0.00727, -0.063243),
        (0.000691311, 0.000618011, 0.000388977),
        (0.712604, -0.00710317, -0.0196223, 0.701256),
    ),
    Link(
        "right_shoulder_yaw_link",
        "right_shoulder_roll_link",
        (0.0, -0.00624, -0.1032),
        (1.0, 0.0, 0.0, 0.0),
        0.734,
        (0.010773, 0.002949, -0.072009),
        (0.00106187, 0.00103217, 0.000400661),
        (0.687134, -0.0679942, -0.0964829, 0.716879),
    ),
    Link(
        "right_elbow_link",
        "right_shoulder_yaw_link",
        (0.015783, 0.0, -0.080518),
        (1.0, 0.0, 0.0, 0.0),
        0.6,
        (0.064956, -0.004454, -0.010062),
        (0.000443035, 0.000421612, 0.000259353),
        (0.388129, 0.388821, 0.636132, 0.541765),
    ),
    Link(
        "right_wrist_roll_link",
        "right_elbow_link",
        (0.1, -0.00188791, -0.01),
        (1.0, 0.0, 0.0, 0.0),
        0.085445,
        (0.0171394, -0.000537591, 4.8864e-07),
        (5.48211e-05, 4.96646e-05, 3.57798e-05),
        (0.411667, 0.575338, -0.411094, 0.574906),
    ),
    Link(
        "right_wrist_pitch_link",
        "right_wrist_roll_link",
        (0.038, 0.0, 0.0),
        (1.0, 0.0, 0.0, 0.0),
        0.48405,
        (0.0229999, 0.00111685, -0.00111658),
        (0.000430353, 0.000429873, 0.000164648),
        (0.643608, 0.293036, 0.661363, 0.249998),
    ),
    Link(
        "right_wrist_yaw_link",
        "right_wrist_pitch_link",
        (0.046, 0.0, 0.0),
        (1.0, 0.0, 0.0, 0.0),
        0.254576,
        (0.0708244, -0.000191745, 0.00161742),
        (0.000646113, 0.000559993, 0.000147566),
        (0.493188, 0.468078, 0.526295, 0.510571),
    ),
)

# name, child link, axis in the child frame, range [rad], motor class, default angle [rad]
JOINTS: tuple[Joint, ...] = (
    Joint("left_hip_pitch_joint", "left_hip_pitch_link", (0.0, 1.0, 0.0), (-2.5307, 2.8798), M7520_22, -0.312),
    Joint("left_hip_roll_joint", "left_hip_roll_link", (1.0, 0.0, 0.0), (-0.5236, 2.9671), M7520_22, 0.0),
    Joint("left_hip_yaw_joint", "left_hip_yaw_link", (0.0, 0.0, 1.0), (-2.7576, 2.7576), M7520_14, 0.0),
    Joint("left_knee_joint", "left_knee_link", (0.0, 1.0, 0.0), (-0.087267, 2.8798), M7520_22, 0.669),
    Joint("left_ankle_pitch_joint", "left_ankle_pitch_link", (0.0, 1.0, 0.0), (-0.87267, 0.5236), M5020_X2, -0.363),
    Joint("left_ankle_roll_joint", "left_ankle_roll_link", (1.0, 0.0, 0.0), (-0.2618, 0.2618), M5020_X2, 0.0),
    Joint("right_hip_pitch_joint", "right_hip_pitch_link", (0.0, 1.0, 0.0), (-2.5307, 2.8798), M7520_22, -0.312),
    Joint("right_hip_roll_joint", "right_hip_roll_link", (1.0, 0.0, 0.0), (-2.9671, 0.5236), M7520_22, 0.0),
    Joint("right_hip_yaw_joint", "right_hip_yaw_link", (0.0, 0.0, 1.0), (-2.7576, 2.7576), M7520_14, 0.0),
    Joint("right_knee_joint", "right_knee_link", (0.0, 1.0, 0.0), (-0.087267, 2.8798), M7520_22, 0.669),
    Joint("right_ankle_pitch_joint", "right_ankle_pitch_link", (0.0, 1.0, 0.0), (-0.87267, 0.5236), M5020_X2, -0.363),
    Joint("right_ankle_roll_joint", "right_ankle_roll_link", (1.0, 0.0, 0.0), (-0.2618, 0.2618), M5020_X2, 0.0),
    Joint("waist_yaw_joint", "waist_yaw_link", (0.0, 0.0, 1.0), (-2.618, 2.618), M7520_14, 0.0),
    Joint("waist_roll_joint", "waist_roll_link", (1.0, 0.0, 0.0), (-0.52, 0.52), M5020_X2, 0.0),
    Joint("waist_pitch_joint", "torso_link", (0.0, 1.0, 0.0), (-0.52, 0.52), M5020_X2, 0.0),
    Joint("left_shoulder_pitch_joint", "left_shoulder_pitch_link", (0.0, 1.0, 0.0), (-3.0892, 2.6704), M5020, 0.2),
    Joint("left_shoulder_roll_joint", "left_shoulder_roll_link", (1.0, 0.0, 0.0), (-1.5882, 2.2515), M5020, 0.2),
    Joint("left_shoulder_yaw_joint", "left_shoulder_yaw_link", (0.0, 0.0, 1.0), (-2.618, 2.618), M5020, 0.0),
    Joint("left_elbow_joint", "left_elbow_link", (0.0, 1.0, 0.0), (-1.0472, 2.0944), M5020, 0.6),
    Joint("left_wrist_roll_joint", "left_wrist_roll_link", (1.0, 0.0, 0.0), (-1.97222, 1.97222), M5020, 0.0),
    Joint("left_wrist_pitch_joint", "left_wrist_pitch_link", (0.0, 1.0, 0.0), (-1.61443, 1.61443), M4010, 0.0),
    Joint("left_wrist_yaw_joint", "left_wrist_yaw_link", (0.0, 0.0, 1.0), (-1.61443, 1.61443), M4010, 0.0),
    Joint("right_shoulder_pitch_joint", "right_shoulder_pitch_link", (0.0, 1.0, 0.0), (-3.0892, 2.6704), M5020, 0.2),
    Joint("right_shoulder_roll_joint", "right_shoulder_roll_link", (1.0, 0.0, 0.0), (-2.2515, 1.5882), M5020, -0.2),
    Joint("right_shoulder_yaw_joint", "right_shoulder_yaw_link", (0.0, 0.0, 1.0), (-2.618, 2.618), M5020, 0.0),
    Joint("right_elbow_joint", "right_elbow_link", (0.0, 1.0, 0.0), (-1.0472, 2.0944), M5020, 0.6),
    Joint("right_wrist_roll_joint", "right_wrist_roll_link", (1.0, 0.0, 0.0), (-1.97222, 1.97222), M5020, 0.0),
    Joint("right_wrist_pitch_joint", "right_wrist_pitch_link", (0.0, 1.0, 0.0), (-1.61443, 1.61443), M4010, 0.0),
    Joint("right_wrist_yaw_joint", "right_wrist_yaw_link", (0.0, 0.0, 1.0), (-1.61443, 1.61443), M4010, 0.0),
)
