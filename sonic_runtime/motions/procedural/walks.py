"""The walking kinds of the library: random styles and velocity commands for `gait`."""

from __future__ import annotations

import numpy as np

from sonic_runtime.motions.procedural.footsteps import HOLD_S, SHIFT_S, Command, GaitStyle
from sonic_runtime.motions.procedural.gait import walk_targets
from sonic_runtime.motions.procedural.ik import Targets
from sonic_runtime.robots import g1

Random = np.random.Generator

MAX_STEP_M = 0.36
"""Longest step planned [m]; speed and step time are chosen within it."""
MAX_STEP_TURN_RAD = 0.38


def _style(rng: Random, **fixed: float) -> GaitStyle:
    """Draw a style."""
    drawn = {
        "step_time_s": rng.uniform(0.42, 0.6),
        "double_support": rng.uniform(0.2, 0.3),
        "lift_m": rng.uniform(0.05, 0.08),
        "width_m": rng.uniform(0.2, 0.24),
        "arm_swing_rad": rng.uniform(0.8, 1.6),
        "drop_m": rng.uniform(0.02, 0.045),
    }
    return GaitStyle(**(drawn | fixed))


def _side(rng: Random) -> int:
    return int(rng.integers(2))


def _sign(rng: Random) -> float:
    return float(rng.choice([-1.0, 1.0]))


def _steps(style: GaitStyle, seconds: float) -> int:
    return max(2, round(seconds / style.step_time_s))


def _max_sidestep_m(step_time_s: float) -> float:
    """Return how far a step may go sideways [m].

    The ankle rolls by 15 degrees at most; the body leans over it the more, the slower the steps. Found by trial.
    """
    return 0.15 * (1.0 - step_time_s)


def _feasible(style: GaitStyle, forward_m_s: float, left_m_s: float, turn_rad_s: float) -> tuple[float, float, float]:
    """Limit a velocity so that no step is longer, wider or turned further than the legs reach."""
    limits = np.array([MAX_STEP_M, _max_sidestep_m(style.step_time_s), MAX_STEP_TURN_RAD]) / style.step_time_s
    limited = np.clip([forward_m_s, left_m_s, turn_rad_s], -limits, limits)
    return float(limited[0]), float(limited[1]), float(limited[2])


def _command(style: GaitStyle, velocity: tuple[float, float, float], seconds: float) -> Command:
    return Command(*_feasible(style, *velocity), steps=_steps(style, seconds))


def step_in_place(rng: Random) -> Targets:
    """Step in place."""
    style = _style(rng)
    return walk_targets([_command(style, (0.0, 0.0, 0.0), rng.uniform(5.0, 7.0))], style, _side(rng))


def walk_forward(rng: Random) -> Targets:
    """Walk straight ahead at 0.2 to 0.9 m/s."""
    speed = rng.uniform(0.2, 0.9)
    style = _style(
        rng,
        step_time_s=rng.uniform(0.4, min(0.6, MAX_STEP_M / speed)),
        double_support=rng.uniform(0.2, 0.3 - 0.1 * speed),
    )
    return walk_targets([_command(style, (speed, 0.0, 0.0), rng.uniform(5.0, 8.0))], style, _side(rng))


def walk_backward(rng: Random) -> Targets:
    """Walk straight back at 0.15 to 0.5 m/s."""
    style = _style(rng)
    velocity = (-rng.uniform(0.15, 0.5), 0.0, 0.0)
    return walk_targets([_command(style, velocity, rng.uniform(5.0, 7.0))], style, _side(rng))


def walk_sideways(rng: Random) -> Targets:
    """Walk sideways at 0.05 to 0.27 m/s."""
    step_time_s = rng.uniform(0.36, 0.5)
    style = _style(rng, step_time_s=step_time_s, width_m=0.2, drop_m=0.015)
    speed = rng.uniform(0.35, 1.0) * _max_sidestep_m(step_time_s) / step_time_s
    velocity = (0.0, _sign(rng) * speed, 0.0)
    return walk_targets([_command(style, velocity, rng.uniform(5.0, 7.0))], style, _side(rng))


def turn_in_place(rng: Random) -> Targets:
    """Turn on the spot at up to 0.8 rad/s."""
    style = _style(rng)
    velocity = (0.0, 0.0, _sign(rng) * rng.uniform(0.3, 0.8))
    return walk_targets([_command(style, velocity, rng.uniform(4.0, 7.0))], style, _side(rng))


def walk_arc(rng: Random) -> Targets:
    """Walk forward on an arc."""
    style = _style(rng)
    velocity = (rng.uniform(0.25, 0.7), 0.0, _sign(rng) * rng.uniform(0.2, 0.6))
    return walk_targets([_command(style, velocity, rng.uniform(5.0, 8.0))], style, _side(rng))


def _mixed_commands(rng: Random, style: GaitStyle) -> list[Command]:
    commands = []
    for _ in range(int(rng.integers(3, 6))):
        velocity = (rng.uniform(-0.35, 0.7), rng.uniform(-0.09, 0.09), rng.uniform(-0.6, 0.6))
        keep = rng.random(3) < (0.8, 0.35, 0.5)
        chosen = np.where(keep, velocity, 0.0)
        commands.append(_command(style, (chosen[0], chosen[1], chosen[2]), rng.uniform(1.5, 2.8)))
    return commands


def walk_mixed(rng: Random) -> Targets:
    """Walk with velocities that change every few steps."""
    style = _style(rng)
    return walk_targets(_mixed_commands(rng, style), style, _side(rng))


def walk_holding(rng: Random) -> Targets:
    """Walk with the arms held in some posture, as if carrying something."""
    style = _style(rng)
    arms = g1.DEFAULT_POS_HW.copy()
    index = {name: i for i, name in enumerate(g1.JOINT_NAMES_HW)}
    pitch, roll, elbow = rng.uniform(-0.9, -0.1), rng.uniform(0.1, 0.4), rng.uniform(-0.1, 0.8)
    for sign, label in ((1.0, "left"), (-1.0, "right")):
        arms[index[f"{label}_shoulder_pitch_joint"]] = pitch
        arms[index[f"{label}_shoulder_roll_joint"]] = sign * roll
        arms[index[f"{label}_elbow_joint"]] = elbow
    return walk_targets(_mixed_commands(rng, style), style, _side(rng), arms)


def demo(rng: Random, seconds: float) -> Targets:
    """Walk forward, turn left, walk on, step sideways, step back, and stop; about `seconds` in all."""
    style = GaitStyle(step_time_s=0.5, lift_m=0.06)
    parts = (  # forward, left [m/s], turn [rad/s], share of the time
        (rng.uniform(0.5, 0.55), 0.0, 0.0, 0.28),
        (0.3, 0.0, rng.uniform(0.45, 0.55), 0.2),
        (rng.uniform(0.45, 0.55), 0.0, 0.0, 0.2),
        (0.0, -0.13, 0.0, 0.16),
        (-0.25, 0.0, 0.0, 0.16),
    )
    walking_s = max(seconds, 12.0) - 2.0 * (HOLD_S + SHIFT_S) - 3.0 * style.step_time_s
    return walk_targets([_command(style, part[:3], part[3] * walking_s) for part in parts], style)
