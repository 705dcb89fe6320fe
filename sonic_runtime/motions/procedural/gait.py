"""Walks: from velocity commands to whole-body targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.rotations import quat_from_axis_angle, quat_from_yaw, quat_multiply
from sonic_runtime.motions.procedural.balance import com_for_zmp
from sonic_runtime.motions.procedural.footsteps import (
    HOLD_S,
    Command,
    GaitStyle,
    foot_paths,
    load_path,
    plan_footsteps,
    turned,
)
from sonic_runtime.motions.procedural.ik import Targets
from sonic_runtime.motions.procedural.profiles import RATE_HZ, frame_times, smoothed, through
from sonic_runtime.motions.procedural.stance import LEFT, RIGHT, standing
from sonic_runtime.robots import g1

Array = npt.NDArray[np.floating]

LEAN_RAD_S_M = 0.06
"""Forward lean of the pelvis per speed [rad s/m]."""
TORSO_TWIST_RAD_M = 0.2
"""Turn of the waist against the legs per metre between the feet [rad/m]."""


def walk_targets(
    commands: Sequence[Command], style: GaitStyle, first_side: int = LEFT, arms_hw: Array | None = None
) -> Targets:
    """Return whole-body targets of a walk that starts and ends standing.

    Args:
        commands: velocities to walk with, in order.
        style: how to walk.
        first_side: foot that steps first.
        arms_hw: (29,) posture [rad] to hold while walking in place of the default, or None to swing the arms.
    """
    plan = plan_footsteps(commands, style, first_side)
    times = frame_times(plan.duration_s)
    ankle_pos_w, foot_yaw, foot_pitch = foot_paths(plan, style, times)
    under_way = through(
        times,
        [HOLD_S * 0.5, plan.steps[0].end_s, plan.steps[-1].start_s, plan.duration_s - HOLD_S * 0.5],
        [0.0, 1.0, 1.0, 0.0],
    )
    height_m = standing().pelvis_height_m - style.drop_m * under_way
    zmp_w = load_path(plan, style, times)
    com_xy_w = com_for_zmp(zmp_w, standing().com_w[2] - style.drop_m, HOLD_S)
    # the feet turn in bursts; the body turns evenly
    yaw = smoothed(foot_yaw.mean(axis=1), 2.0 * style.step_time_s)
    speed = smoothed(_forward(np.gradient(com_xy_w, 1.0 / RATE_HZ, axis=0), yaw), 2.0 * style.step_time_s)
    return Targets(
        feet_pos_w=ankle_pos_w,
        feet_quat_wxyz=quat_multiply(quat_from_yaw(foot_yaw), _pitched(foot_pitch)),
        com_xy_w=com_xy_w,
        height_m=height_m,
        pelvis_quat_wxyz=quat_multiply(quat_from_yaw(yaw), _pitched(LEAN_RAD_S_M * speed)),
        joint_pos_hw=_upper_body(ankle_pos_w, com_xy_w, yaw, style, under_way, arms_hw),
        zmp_w=zmp_w,
    )


def _pitched(angle_rad: Array) -> Array:
    """Return rotations (..., 4) about y."""
    return quat_from_axis_angle(np.stack([np.zeros_like(angle_rad), angle_rad, np.zeros_like(angle_rad)], axis=-1))


def _forward(vector_xy: Array, yaw: Array) -> Array:
    """Return the component (T,) of vectors (T, 2) along headings (T,)."""
    return turned(vector_xy, -yaw)[..., 0]


def _upper_body(
    ankle_pos_w: Array, com_xy_w: Array, yaw: Array, style: GaitStyle, under_way: Array, arms_hw: Array | None
) -> Array:
    """Return postures (T, 29) [rad]: arms swinging against the legs, or held, and the torso twisting with them."""
    posture = np.repeat(g1.DEFAULT_POS_HW[None], len(yaw), axis=0)
    index = {name: i for i, name in enumerate(g1.JOINT_NAMES_HW)}
    ahead = np.stack([_forward(ankle_pos_w[:, side, :2] - com_xy_w, yaw) for side in (LEFT, RIGHT)], axis=1)
    # a curve from foot to foot without the corners of touchdown
    ahead = smoothed(ahead + standing().sole_ahead_m, 0.5 * style.step_time_s)
    posture[:, index["waist_yaw_joint"]] += TORSO_TWIST_RAD_M * (ahead[:, LEFT] - ahead[:, RIGHT])
    if arms_hw is not None:
        return posture + under_way[:, None] * (arms_hw - g1.DEFAULT_POS_HW)
    for side, label in ((LEFT, "left"), (RIGHT, "right")):
        swing = style.arm_swing_rad * ahead[:, side]
        posture[:, index[f"{label}_shoulder_pitch_joint"]] += swing
        posture[:, index[f"{label}_elbow_joint"]] -= 0.5 * swing
    return posture
