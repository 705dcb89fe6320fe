"""From targets to a motion that a real robot could do: inverse kinematics, corrected for the dynamics, and checked."""

# MuJoCo's compiled modules carry no type stubs
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import MotionError
from sonic_runtime.motions.procedural.balance import com_for_zmp
from sonic_runtime.motions.procedural.footsteps import HOLD_S
from sonic_runtime.motions.procedural.ik import BodySolver, Targets, robot_model
from sonic_runtime.motions.procedural.profiles import RATE_HZ, smoothed
from sonic_runtime.motions.procedural.stance import centre_of_mass, standing
from sonic_runtime.robots import g1
from sonic_runtime.robots.kinematics import forward_kinematics

Array = npt.NDArray[np.floating]

MAX_FOOT_ERROR_M = 0.002
MAX_BALANCE_ERROR_M = 0.005
END_OF_RANGE_RAD = 1e-3
MAX_CORRECTIONS = 4
"""How many times at most the motion is solved anew with the balance corrected."""
GOOD_BALANCE_M = 0.01
"""Smoothed error of the zero-moment point that needs no further correction [m]; a sole is 56 to 72 mm wide."""
CORRECTION_WINDOW_S = 0.08
"""Smoothing of the zero-moment point's error before it is corrected [s]."""


def zmp_of_motion(qpos: Array) -> Array:
    """Return the zero-moment point of the moving robot, all links with their inertias taken into account.

    The force and torque that the ground must give follow from inverse dynamics; the zero-moment point is where on the
    ground that torque has no horizontal part (Vukobratovic and Borovac, "Zero-moment point: thirty-five years of its
    life", 2004).

    Args:
        qpos: (T, 36) at `RATE_HZ`: pelvis position [m], quaternion wxyz, joint angles [rad].

    Returns:
        (T, 2) [m]; the first and last frame repeat their neighbours.
    """
    model, frames = robot_model(), len(qpos)
    data = mujoco.MjData(model)
    velocity = np.zeros((frames - 1, model.nv))
    for frame in range(frames - 1):
        mujoco.mj_differentiatePos(model, velocity[frame], 1.0 / RATE_HZ, qpos[frame], qpos[frame + 1])
    zmp = np.empty((frames, 2))
    wrench = np.zeros(model.nv)
    for frame in range(1, frames - 1):
        data.qpos[:] = qpos[frame]
        data.qvel[:] = 0.5 * (velocity[frame - 1] + velocity[frame])
        data.qacc[:] = (velocity[frame] - velocity[frame - 1]) * RATE_HZ
        mujoco.mj_fwdPosition(model, data)
        mujoco.mj_fwdVelocity(model, data)
        mujoco.mj_rne(model, data, 1, wrench)
        force_w = wrench[:3]
        torque_w = data.xmat[1].reshape(3, 3) @ wrench[3:6] + np.cross(data.qpos[:3], force_w)
        zmp[frame] = np.array([-torque_w[1], torque_w[0]]) / force_w[2]
    zmp[0], zmp[-1] = zmp[1], zmp[-2]
    return zmp


def solve(targets: Targets, name: str) -> Array:
    """Solve all frames, correct the balance of a walk, and make sure that the feet are where they should be.

    The plan of a walk takes the robot for a point mass. What its swinging limbs do to the zero-moment point is
    measured on the solved motion and given back to the centre of mass (dynamics filter: Kajita et al., "Biped walking
    pattern generation by using preview control of zero-moment point", ICRA 2003, section IV).

    Args:
        targets: what to do.
        name: name of the motion, for the error.

    Returns:
        qpos (T, 36): pelvis position [m], quaternion wxyz, joint angles [rad] in hardware order.

    Raises:
        MotionError: a foot or the centre of mass misses its target: the targets are out of reach.
    """
    qpos = BodySolver(targets).solve()
    wanted_zmp_w = targets.zmp_w
    if wanted_zmp_w is None:
        return _checked(qpos, targets, name)
    for _ in range(MAX_CORRECTIONS):
        missing = smoothed(wanted_zmp_w - zmp_of_motion(qpos), CORRECTION_WINDOW_S)
        if np.abs(missing).max() < GOOD_BALANCE_M:
            break
        # still at the ends, where the robot stands
        missing -= np.linspace(missing[0], missing[-1], len(missing))
        correction = com_for_zmp(missing, float(standing().com_w[2]), HOLD_S)
        targets = replace(targets, com_xy_w=targets.com_xy_w + correction)
        qpos = BodySolver(targets).solve()
    return _checked(qpos, targets, name)


def _checked(qpos: Array, targets: Targets, name: str) -> Array:
    body_pos_w, body_quat_wxyz = forward_kinematics(qpos[:, :3], qpos[:, 3:7], qpos[:, 7:])
    ankles = body_pos_w[:, [g1.BODY_NAMES.index(foot) for foot in g1.FOOT_BODY_NAMES]]
    com_xy_w = centre_of_mass(body_pos_w, body_quat_wxyz)[:, :2]
    foot_error_m = np.linalg.norm(ankles - targets.feet_pos_w, axis=-1).max(axis=1)
    balance_error_m = np.linalg.norm(com_xy_w - targets.com_xy_w, axis=-1)
    for what, error_m, limit_m in (
        ("a foot", foot_error_m, MAX_FOOT_ERROR_M),
        ("the centre of mass", balance_error_m, MAX_BALANCE_ERROR_M),
    ):
        if error_m.max() > limit_m:
            raise MotionError(
                f"motion {name}: {what} is {error_m.max() * 1e3:.1f} mm off its target in frame {error_m.argmax()}, "
                f"expected at most {limit_m * 1e3:.0f} mm; the targets are out of reach, ask for less"
            )
    _check_ranges(qpos, name)
    _check_clearance(qpos, name)
    return qpos


def _check_ranges(qpos: Array, name: str) -> None:
    """Raise MotionError if a joint runs into the end of the range in use, which would show as a jerk."""
    low, high = robot_model().jnt_range[1:].T
    room = np.minimum(qpos[:, 7:] - low, high - qpos[:, 7:])
    if room.min() < END_OF_RANGE_RAD:
        frame, joint = np.unravel_index(room.argmin(), room.shape)
        raise MotionError(
            f"motion {name}: {g1.JOINT_NAMES_HW[joint]} runs into the end of its range in frame {frame}, expected at "
            f"least {END_OF_RANGE_RAD} rad of room; the targets are out of reach, ask for less"
        )


def _check_clearance(qpos: Array, name: str) -> None:
    """Raise MotionError in the first frame in which links touch that are not meant to."""
    model = robot_model()
    data = mujoco.MjData(model)
    for frame, pose in enumerate(qpos):
        data.qpos[:] = pose
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_collision(model, data)
        if data.ncon:
            contact = data.contact[0]
            pair = " and ".join(model.geom(geom).name for geom in (contact.geom1, contact.geom2))
            raise MotionError(
                f"motion {name}: {pair} overlap by {-contact.dist * 1e3:.1f} mm in frame {frame}, "
                "expected free links; ask for a pose further from the body"
            )
