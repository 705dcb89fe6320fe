"""The MuJoCo model of the G1, built from the tables."""

# MuJoCo's compiled modules carry no type stubs, so that pyright sees none of their names
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import mujoco
import numpy as np

from sonic_runtime.robots import g1
from sonic_runtime.robots.g1_shapes import BODY_SHAPES, EXCLUDED_PAIRS, FOOT_SHAPES, SITES, VISUAL_SHAPES, Shape
from sonic_runtime.robots.g1_tables import Joint, Link

FOOT_FRICTION = 0.6
"""Sliding friction of the soles, dimensionless; the value of mjlab's G1 tasks."""
FOOT_PRIORITY = 1
"""MuJoCo lets the higher priority decide the friction of a contact and takes the maximum at equal priority. Without a
priority of their own, soles made slippery would still grip with the friction of the ground."""
PHYSICS_STEP_S = 0.005

VISUAL_GROUP = 2
COLLISION_GROUP = 3
SITE_GROUP = 5

_GEOM_TYPES = {
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "box": mujoco.mjtGeom.mjGEOM_BOX,
}


def build_spec(
    timestep_s: float = PHYSICS_STEP_S, floor: bool = True, actuators: bool = True, visuals: bool = True
) -> mujoco.MjSpec:
    """Describe the robot to MuJoCo.

    Bodies, joints and actuators come in the orders `g1.BODY_NAMES` and `g1.JOINT_NAMES_HW`; qpos is pelvis position
    [m], pelvis quaternion wxyz, then 29 joint angles [rad].

    Args:
        timestep_s: physics step [s].
        floor: add a ground plane at z = 0, a light and a sky.
        actuators: add position servos with the gains and effort limits of the motor classes, sites, sensors of the
            two IMUs, a tracking camera and a keyframe "default". A port may set the gains anew at run time.
        visuals: add the shapes that are only seen.

    Returns:
        A spec that compiles as it is and that callers may extend.
    """
    spec = mujoco.MjSpec()
    spec.modelname = g1.ROBOT_NAME
    spec.compiler.degree = False
    spec.option.timestep = timestep_s
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    bodies = {link.name: _add_link(spec, link) for link in g1.LINKS}
    bodies["pelvis"].add_freejoint(name="floating_base_joint")
    for joint in g1.JOINTS:
        _add_joint(bodies[joint.child], joint)
    for shape in (*BODY_SHAPES, *FOOT_SHAPES):
        _add_collision_shape(bodies[shape.link], shape)
    for shape in VISUAL_SHAPES if visuals else ():
        _add_visual_shape(bodies[shape.link], shape)
    for first, second in EXCLUDED_PAIRS:
        spec.add_exclude(bodyname1=first, bodyname2=second)
    if floor:
        _add_floor(spec)
    if actuators:
        _add_cameras(bodies["pelvis"])
        _add_actuators(spec)
        for name, link_name, position in SITES:
            bodies[link_name].add_site(name=name, pos=position, size=[0.01] * 3, group=SITE_GROUP)
        _add_sensors(spec)
    return spec


def build_model(
    timestep_s: float = PHYSICS_STEP_S, floor: bool = True, actuators: bool = True, visuals: bool = True
) -> mujoco.MjModel:
    """Compile `build_spec` with the same arguments."""
    return build_spec(timestep_s, floor, actuators, visuals).compile()


def standing_qpos() -> np.ndarray:
    """Return qpos (36,) of the default pose, feet level and on the ground: [m], wxyz, [rad]."""
    return np.concatenate([[0.0, 0.0, g1.STANDING_PELVIS_HEIGHT_M, 1.0, 0.0, 0.0, 0.0], g1.DEFAULT_POS_HW])


def _add_link(spec: mujoco.MjSpec, link: Link) -> mujoco.MjsBody:
    parent = spec.worldbody if link.parent is None else spec.body(link.parent)
    body = parent.add_body(name=link.name, pos=link.offset_m, quat=link.quat_wxyz)
    if link.parent is None:
        body.pos = (0.0, 0.0, g1.STANDING_PELVIS_HEIGHT_M)
    body.explicitinertial = True
    body.mass = link.mass_kg
    body.ipos = link.com_m
    body.iquat = link.inertia_quat_wxyz
    body.inertia = link.inertia_kg_m2
    return body


def _add_joint(body: mujoco.MjsBody, joint: Joint) -> None:
    effort = joint.motor.effort_limit_nm
    body.add_joint(
        name=joint.name,
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=joint.axis,
        range=joint.range_rad,
        limited=mujoco.mjtLimited.mjLIMITED_TRUE,
        armature=joint.motor.armature_kg_m2,
        actfrcrange=(-effort, effort),
        actfrclimited=mujoco.mjtLimited.mjLIMITED_TRUE,
    )


def _add_geom(body: mujoco.MjsBody, shape: Shape) -> mujoco.MjsGeom:
    size = np.zeros(3)
    size[: len(shape.size_m)] = shape.size_m
    geom = body.add_geom(name=shape.name, type=_GEOM_TYPES[shape.kind], size=size)
    if shape.to_m is None:
        geom.pos = shape.at_m
    else:
        geom.fromto = (*shape.at_m, *shape.to_m)
    return geom


def _add_collision_shape(body: mujoco.MjsBody, shape: Shape) -> None:
    geom = _add_geom(body, shape)
    geom.group = COLLISION_GROUP
    geom.rgba = (0.2, 0.6, 0.2, 0.3)
    geom.condim = 1
    if shape in FOOT_SHAPES:
        geom.condim = 3
        geom.priority = FOOT_PRIORITY
        geom.friction = (FOOT_FRICTION, 0.005, 0.0001)


def _add_visual_shape(body: mujoco.MjsBody, shape: Shape) -> None:
    geom = _add_geom(body, shape)
    geom.group = VISUAL_GROUP
    geom.rgba = shape.rgba
    geom.contype = 0
    geom.conaffinity = 0
    geom.mass = 0.0


def _add_floor(spec: mujoco.MjSpec) -> None:
    spec.visual.headlight.ambient = (0.35, 0.35, 0.35)
    spec.visual.headlight.diffuse = (0.45, 0.45, 0.45)
    spec.visual.headlight.specular = (0.1, 0.1, 0.1)
    spec.visual.global_.offwidth = 1920
    spec.visual.global_.offheight = 1080
    spec.stat.extent = 2.0
    spec.stat.center = (0.0, 0.0, 0.7)
    gradient = mujoco.mjtBuiltin.mjBUILTIN_GRADIENT
    sky = spec.add_texture(name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, builtin=gradient)
    sky.width, sky.height = 256, 1536
    sky.rgb1, sky.rgb2 = (0.62, 0.72, 0.83), (0.93, 0.95, 0.97)
    checker = spec.add_texture(name="checker", type=mujoco.mjtTexture.mjTEXTURE_2D)
    checker.builtin = mujoco.mjtBuiltin.mjBUILTIN_CHECKER
    checker.width, checker.height = 300, 300
    checker.rgb1, checker.rgb2 = (0.83, 0.84, 0.86), (0.70, 0.72, 0.75)
    # squares of half a metre
    floor_material = spec.add_material(name="floor", texrepeat=(2.0, 2.0), texuniform=True, reflectance=0.08)
    floor_material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "checker"
    spec.worldbody.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=(0.0, 0.0, 0.05), condim=3, material="floor"
    )
    _add_lights(spec)


def _add_lights(spec: mujoco.MjSpec) -> None:
    spec.worldbody.add_light(
        name="sky_light",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=(0.0, 0.0, 6.0),
        dir=(0.2, -0.3, -1.0),
        diffuse=(0.3, 0.3, 0.3),
        castshadow=False,
    )
    # a spot light, because the shadow map of a directional light stipples an infinite plane
    spec.worldbody.add_light(
        name="spot",
        type=mujoco.mjtLightType.mjLIGHT_SPOT,
        mode=mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM,
        pos=(1.2, -1.0, 4.0),
        dir=(-0.3, 0.25, -1.0),
        cutoff=60.0,
        exponent=2.0,
        diffuse=(0.4, 0.4, 0.4),
        castshadow=True,
    )


def _add_cameras(pelvis: mujoco.MjsBody) -> None:
    pelvis.add_camera(
        name="tracking",
        mode=mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM,
        pos=(2.1, -1.6, 0.35),
        quat=_look_at(np.array([2.1, -1.6, 0.35]), np.array([0.0, 0.0, -0.05])),
        fovy=40.0,
    )


def _look_at(eye: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the orientation wxyz of a camera, which looks along its -z axis with its y axis up."""
    back = (eye - target) / np.linalg.norm(eye - target)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    quat_wxyz = np.empty(4)
    mujoco.mju_mat2Quat(quat_wxyz, np.stack([right, np.cross(back, right), back], axis=1).ravel())
    return quat_wxyz


def _add_actuators(spec: mujoco.MjSpec) -> None:
    for joint in g1.JOINTS:
        motor = joint.motor
        actuator = spec.add_actuator(name=joint.name, target=joint.name)
        actuator.trntype = mujoco.mjtTrn.mjTRN_JOINT
        actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
        actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
        actuator.gainprm[0] = motor.stiffness_nm_per_rad
        actuator.biasprm[1] = -motor.stiffness_nm_per_rad
        actuator.biasprm[2] = -motor.damping_nm_s_per_rad
        actuator.forcerange = (-motor.effort_limit_nm, motor.effort_limit_nm)
        actuator.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE
    spec.add_key(name="default", qpos=standing_qpos(), ctrl=g1.DEFAULT_POS_HW)


def _add_sensors(spec: mujoco.MjSpec) -> None:
    kinds = {
        "quat": mujoco.mjtSensor.mjSENS_FRAMEQUAT,
        "gyro": mujoco.mjtSensor.mjSENS_GYRO,
        "accelerometer": mujoco.mjtSensor.mjSENS_ACCELEROMETER,
    }
    for site in ("imu_in_pelvis", "imu_in_torso"):
        for label, kind in kinds.items():
            spec.add_sensor(name=f"{site}_{label}", type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=site)
