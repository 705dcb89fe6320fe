"""Footsteps for commanded velocities, the foot paths through them, and where the weight should rest meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonic_runtime.motions.procedural.profiles import bump, minimum_jerk, through
from sonic_runtime.motions.procedural.stance import LEFT, SIDE_SIGNS, TOE_CENTRE_M, standing
from sonic_runtime.robots.g1_shapes import FOOT_RADIUS_M

Array = npt.NDArray[np.floating]

HOLD_S = 0.8
"""Standing still before and after a walk [s]."""
SHIFT_S = 0.5
"""Time for moving the weight onto the first stance foot, and back to the middle after the last step [s]."""
SAME_PLACE_M = 0.005
"""A closing step shorter than this is left out [m]."""
SWING_DELAY = 0.03
"""Share of the swing by which the horizontal motion starts later and ends earlier than the vertical one."""
MAX_HEEL_UP_RAD = 0.5
MAX_ROLL_M = 0.045
"""Farthest that the load travels from the middle of a stance foot towards heel and toe [m]."""


@dataclass(frozen=True, slots=True)
class GaitStyle:
    """How to walk.

    Attributes:
        step_time_s: from one touchdown to the next [s].
        double_support: share of it with both feet on the ground.
        lift_m: greatest height of the swing sole [m].
        width_m: distance between the feet on the way [m].
        inward_m: how far inside of its middle a stance foot bears the weight [m].
        roll_m: how far the load travels from heel to toe per metre that the other foot moves [m/m].
        heel_up_rad: how far the heel rises before its toes, per metre that the foot moves [rad/m].
        arm_swing_rad: swing of the shoulders per metre between foot and body [rad/m].
        drop_m: how much lower than standing the pelvis travels [m].
        change_m_s: largest change of speed from step to step [m/s].
    """

    step_time_s: float = 0.5
    double_support: float = 0.25
    lift_m: float = 0.06
    width_m: float = 0.22
    inward_m: float = 0.01
    roll_m: float = 0.15
    heel_up_rad: float = 0.6
    arm_swing_rad: float = 1.2
    drop_m: float = 0.01
    change_m_s: float = 0.25


@dataclass(frozen=True, slots=True)
class Command:
    """A velocity to keep for some steps, in the frame of the walker: forward, left [m/s], turn left [rad/s]."""

    forward_m_s: float
    left_m_s: float
    turn_rad_s: float
    steps: int


@dataclass(frozen=True, slots=True)
class Step:
    """One swing: side (LEFT or RIGHT), its interval [s], and ankle x, y [m], yaw [rad] at its ends and of the other."""

    side: int
    start_s: float
    end_s: float
    origin: Array
    goal: Array
    stance: Array


@dataclass(frozen=True, slots=True)
class Footsteps:
    """A walk as a list of steps.

    Attributes:
        steps: in order of time.
        duration_s: from standing still to standing still again [s].
        final: (2, 3) x, y [m], yaw [rad] of left and right foot at the end.
    """

    steps: tuple[Step, ...]
    duration_s: float
    final: Array


def turned(offset_xy: npt.ArrayLike, yaw_rad: npt.ArrayLike) -> Array:
    """Rotate (..., 2) offsets by angles (...) [rad] in the ground plane."""
    x, y = np.moveaxis(np.asarray(offset_xy, dtype=np.float64), -1, 0)
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.stack([c * x - s * y, s * x + c * y], axis=-1)


def _step_velocities(commands: Sequence[Command], style: GaitStyle) -> Array:
    """Return the velocity (S, 3) of each step: the commands with limited changes, down to rest at the end."""
    wanted = [(c.forward_m_s, c.left_m_s, c.turn_rad_s) for c in commands for _ in range(c.steps)]
    change = style.change_m_s * np.array([1.0, 1.0, 2.0])
    velocity, result = np.zeros(3), []
    for target in wanted:
        velocity = velocity + np.clip(np.array(target) - velocity, -change, change)
        result.append(velocity)
    while np.any(np.abs(velocity) > 1e-9):
        velocity = velocity - np.clip(velocity, -change, change)
        result.append(velocity)
    return np.array(result)


def _advanced(pose: Array, velocity: Array, duration_s: float) -> Array:
    """Move x, y, yaw along the arc of a constant velocity in the moving frame (midpoint rule)."""
    turn = velocity[2] * duration_s
    shift = turned(velocity[:2] * duration_s, pose[2] + 0.5 * turn)
    return np.array([pose[0] + shift[0], pose[1] + shift[1], pose[2] + turn])


def _foot_beside(pose: Array, side: int, width_m: float) -> Array:
    shift = turned([standing().feet[side, 0], SIDE_SIGNS[side] * 0.5 * width_m], pose[2])
    return np.array([pose[0] + shift[0], pose[1] + shift[1], pose[2]])


def plan_footsteps(commands: Sequence[Command], style: GaitStyle, first_side: int = LEFT) -> Footsteps:
    """Place the feet for a walk from standing to standing.

    Each step moves an imaginary body by velocity times step time and lands beside it. Sideways steps are widened by
    their length, so that the closing foot keeps its distance. The last two steps close the feet to the default width.

    Args:
        commands: velocities, in order; the plan slows down to rest after the last.
        style: step time, width and the like.
        first_side: foot that steps first.
    """
    velocities = np.concatenate([_step_velocities(commands, style), np.zeros((2, 3))])
    feet, pose = standing().feet.copy(), np.zeros(3)
    side, time_s, steps = first_side, HOLD_S + SHIFT_S, []
    swing_s = style.step_time_s * (1.0 - style.double_support)
    for index, velocity in enumerate(velocities):
        closing = index >= len(velocities) - 2
        pose = _advanced(pose, velocity, style.step_time_s)
        sideways_m = abs(velocity[1]) * style.step_time_s
        goal = _foot_beside(pose, side, standing().width_m if closing else style.width_m + sideways_m)
        if closing and np.linalg.norm(goal[:2] - feet[side, :2]) + abs(goal[2] - feet[side, 2]) < SAME_PLACE_M:
            side = 1 - side
            continue
        steps.append(Step(side, time_s, time_s + swing_s, feet[side].copy(), goal, feet[1 - side].copy()))
        feet[side] = goal
        time_s += style.step_time_s
        side = 1 - side
    return Footsteps(tuple(steps), steps[-1].end_s + SHIFT_S + HOLD_S, feet)


def _pitch_of_step(step: Step, style: GaitStyle, times_s: Array) -> Array:
    """Return the pitch (T,) [rad], toes down, that one step gives its foot.

    Forward, the heel rises while the toes are still on the ground and comes down within the swing; backward, the same
    the other way round in time: the toes touch first and the heel follows.
    """
    swing_s, support_s = step.end_s - step.start_s, style.step_time_s * style.double_support
    ahead_m = turned(step.goal[:2] - step.origin[:2], -step.origin[2])[0]
    since_s = times_s - step.start_s if ahead_m > 0.0 else step.end_s - times_s
    begin_s, peak_s, end_s = -support_s, 0.2 * swing_s, 0.85 * swing_s
    up = minimum_jerk((since_s - begin_s) / (peak_s - begin_s))
    down = minimum_jerk((since_s - peak_s) / (end_s - peak_s))
    return min(style.heel_up_rad * abs(ahead_m), MAX_HEEL_UP_RAD) * (up - down)


def foot_paths(plan: Footsteps, style: GaitStyle, times_s: Array) -> tuple[Array, Array, Array]:
    """Return the poses of both feet over time.

    On the ground a foot does not move, but may roll over its toes without slipping; in the air its horizontal path is
    a minimum-jerk move, and its lowest point, the toes, rises and falls with zero speed at both ends.

    Returns:
        ankle_pos_w (T, 2, 3) [m]; yaw (T, 2) [rad]; pitch (T, 2) [rad], toes down positive.
    """
    poses = np.repeat(standing().feet[None], len(times_s), axis=0)
    lift, pitch = np.zeros((len(times_s), 2)), np.zeros((len(times_s), 2))
    for step in plan.steps:
        s = (times_s - step.start_s) / (step.end_s - step.start_s)
        # the sole leaves the ground before it moves on, and is above its goal before it comes down
        share = minimum_jerk((s - SWING_DELAY) / (1.0 - 2.0 * SWING_DELAY))
        poses[:, step.side] += share[:, None] * (step.goal - step.origin)
        lift[:, step.side] += style.lift_m * bump(s)
        pitch[:, step.side] += _pitch_of_step(step, style, times_s)
    # ankle from the toe tip, which rolls forward by its radius times the pitch
    x, _, z = TOE_CENTRE_M
    ahead = x + FOOT_RADIUS_M * pitch - (np.cos(pitch) * x + np.sin(pitch) * z)
    height = FOOT_RADIUS_M + lift - (-np.sin(pitch) * x + np.cos(pitch) * z)
    shift = turned(np.stack([ahead, np.zeros_like(ahead)], axis=-1), poses[..., 2])
    return np.concatenate([poses[..., :2] + shift, height[..., None]], axis=-1), poses[..., 2], pitch


def load_path(plan: Footsteps, style: GaitStyle, times_s: Array) -> Array:
    """Return where the zero-moment point should be, (T, 2) [m]: under the stance foot, or on its way to the next.

    During a swing it travels a little from heel to toe, in double support from foot to foot.
    """
    sole_ahead_m = standing().sole_ahead_m
    middle = standing().com_w[:2]
    keys: list[tuple[float, Array]] = [(0.0, middle), (HOLD_S, middle)]
    for step in plan.steps:
        side, yaw = 1 - step.side, step.stance[2]
        ahead_m = turned(step.goal[:2] - step.origin[:2], -yaw)[0]
        roll_m = float(np.clip(0.5 * style.roll_m * ahead_m, -MAX_ROLL_M, MAX_ROLL_M))
        inward_m = -SIDE_SIGNS[side] * style.inward_m
        for time_s, rolled_m in ((step.start_s, -roll_m), (step.end_s, roll_m)):
            keys.append((time_s, step.stance[:2] + turned([sole_ahead_m + rolled_m, inward_m], yaw)))
    final_yaw = plan.final[:, 2].mean()
    end = plan.final[:, :2].mean(axis=0) + turned([sole_ahead_m, 0.0], final_yaw)
    keys += [(plan.steps[-1].end_s + SHIFT_S, end), (plan.duration_s, end)]
    return through(times_s, [key[0] for key in keys], [key[1] for key in keys])
