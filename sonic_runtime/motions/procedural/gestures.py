"""Motions on standing feet: sway, reaches, waves, turns, bows, squats and weight shifts.

They are slow enough to be balanced at every moment: the centre of mass stays over the middle of the feet, or moves
between them, in the support polygon with a margin. Every function returns targets that start and end standing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.rotations import quat_from_axis_angle
from sonic_runtime.motions.procedural.ik import Targets
from sonic_runtime.motions.procedural.profiles import frame_times, minimum_jerk, through
from sonic_runtime.motions.procedural.stance import ANKLE_HEIGHT_M, LEFT, RIGHT, SIDE_SIGNS, standing
from sonic_runtime.robots import g1

Array = npt.NDArray[np.floating]
Random = np.random.Generator

REST_S = 0.6
"""Standing still before and after each motion [s]."""
LEAN_AHEAD_M = 0.2
"""How far the shoulders come forward per metre of squat, leaning and with the hips going back [m/m]."""
JOINT_INDEX_HW = {name: i for i, name in enumerate(g1.JOINT_NAMES_HW)}
SIDE_LABELS = ("left", "right")

_SHOULDER_M = (0.0, 0.14, 0.29)
"""Left shoulder in the pelvis frame of the default pose [m]."""
_ARM_REACH_M = 0.32
"""Farthest that a hand is sent from the shoulder: less than the arm's 0.368 m, so that the elbow keeps a bend [m]."""


def still(times_s: Array) -> dict[str, Array]:
    """Return the arrays of `Targets` for standing still during (T,) times, for motions to change."""
    frames, stance = len(times_s), standing()
    ankles = np.concatenate([stance.feet[:, :2], np.full((2, 1), ANKLE_HEIGHT_M)], axis=1)
    identity = np.array([1.0, 0.0, 0.0, 0.0])
    return {
        "feet_pos_w": np.tile(ankles, (frames, 1, 1)),
        "feet_quat_wxyz": np.tile(identity, (frames, 2, 1)),
        "com_xy_w": np.tile(stance.com_w[:2], (frames, 1)),
        "height_m": np.full(frames, stance.pelvis_height_m),
        "pelvis_quat_wxyz": np.tile(identity, (frames, 1)),
        "joint_pos_hw": np.tile(g1.DEFAULT_POS_HW, (frames, 1)),
    }


def _targets(arrays: dict[str, Array], hands_pos_w: Array | None = None) -> Targets:
    return Targets(hands_pos_w=hands_pos_w, **arrays)


def _tilted(roll: Array, pitch: Array, yaw: Array) -> Array:
    """Return orientations (T, 4) of small rotation vectors (roll, pitch, yaw) [rad]."""
    return quat_from_axis_angle(np.stack([roll, pitch, yaw], axis=-1))


def _schedule(rng: Random, moves: int, move_s: tuple[float, float], hold_s: tuple[float, float]) -> Array:
    """Return key times (2 * moves + 2,) [s]: start, arrival and departure of each move, arrival at home."""
    times = [REST_S]
    for _ in range(moves):
        times.append(times[-1] + rng.uniform(*move_s))
        times.append(times[-1] + rng.uniform(*hold_s))
    times.append(times[-1] + rng.uniform(*move_s))
    return np.array(times)


def _visits(times_s: Array, keys_s: Array, home: Array, places: Array) -> Array:
    """Move from home to each place, stay there, and return: (T, ...) from keys of `_schedule`."""
    stays = np.repeat(places, 2, axis=0)
    return through(times_s, keys_s, np.concatenate([home[None], stays, home[None]]))


def _wandering(rng: Random, times_s: Array, size: npt.ArrayLike, slow_hz: float) -> Array:
    """Return (T, D) sums of three slow sines of random phase, at most about `size` (D,), zero at both ends."""
    sizes = np.atleast_1d(size)
    waves = np.zeros((len(times_s), len(sizes)))
    for part in (1.0, 1.7, 2.6):
        phase = rng.uniform(0.0, 2.0 * np.pi, len(sizes))
        waves += np.sin(2.0 * np.pi * slow_hz * part * times_s[:, None] + phase) / (2.0 * part)
    return waves * sizes * _fade(times_s)[:, None]


def _fade(times_s: Array, ramp_s: float = 1.0) -> Array:
    """Return (T,): 0 while resting at the ends, 1 between, minimum-jerk ramps."""
    end = times_s[-1]
    return minimum_jerk((times_s - REST_S) / ramp_s) * minimum_jerk((end - REST_S - times_s) / ramp_s)


def stand_sway(rng: Random) -> Targets:
    """Stand and sway a little, with slow small movements of trunk and arms."""
    times = frame_times(rng.uniform(7.0, 10.0))
    arrays = still(times)
    arrays["com_xy_w"] += _wandering(rng, times, [0.018, 0.03], rng.uniform(0.12, 0.25))
    arrays["height_m"] += _wandering(rng, times, 0.012, 0.15)[:, 0] - 0.01 * _fade(times)
    tilt = _wandering(rng, times, [0.02, 0.04, 0.08], 0.15)
    arrays["pelvis_quat_wxyz"] = _tilted(*tilt.T)
    arrays["joint_pos_hw"][:, 12:15] += _wandering(rng, times, [0.15, 0.05, 0.08], 0.15)
    arrays["joint_pos_hw"][:, 15:29] += _wandering(rng, times, np.full(14, 0.12), 0.2)
    return _targets(arrays)


def _around_shoulder(
    rng: Random, moves: int, side: int, sideways: tuple[float, float], up: tuple[float, float]
) -> Array:
    """Return (moves, 3) hand places [m] relative to the pelvis: around a shoulder, outward and upward angles [rad]."""
    outward, upward = rng.uniform(*sideways, moves), rng.uniform(*up, moves)
    direction = np.stack([np.cos(outward) * np.cos(upward), np.sin(outward) * np.cos(upward), np.sin(upward)], axis=1)
    place = np.array(_SHOULDER_M) + direction * rng.uniform(0.22, _ARM_REACH_M, (moves, 1))
    return place * np.array([1.0, SIDE_SIGNS[side], 1.0])


def reach(rng: Random) -> Targets:
    """Reach with one hand or both to places all around, at a walking human's speed."""
    moves = int(rng.integers(3, 6))
    keys = _schedule(rng, moves, (0.8, 1.4), (0.1, 0.6))
    times = frame_times(keys[-1] + REST_S)
    hands = np.tile(standing().hands_w, (len(times), 1, 1))
    busy = (LEFT, RIGHT) if rng.random() < 0.6 else (int(rng.integers(2)),)
    for side in busy:
        places = _around_shoulder(rng, moves, side, (-0.3, 1.3), (-1.0, 1.1))
        places[:, 2] += standing().pelvis_height_m
        hands[:, side] = _visits(times, keys, standing().hands_w[side], places)
    arrays = still(times)
    arrays["height_m"] -= _visits(times, keys, np.zeros(1), rng.uniform(0.0, 0.04, (moves, 1)))[:, 0]
    return _targets(arrays, hands)


def wave(rng: Random) -> Targets:
    """Raise one hand or both and wave."""
    keys = np.cumsum([REST_S, rng.uniform(0.9, 1.3), rng.uniform(2.5, 4.5), rng.uniform(0.9, 1.3)])
    times = frame_times(keys[-1] + REST_S)
    arrays = still(times)
    raised = through(times, keys, [0.0, 1.0, 1.0, 0.0])
    beat = np.sin(2.0 * np.pi * rng.uniform(0.9, 1.5) * (times - keys[1]))
    beat *= minimum_jerk((times - keys[1]) / 0.5) * minimum_jerk((keys[2] - times) / 0.5)
    busy = (LEFT, RIGHT) if rng.random() < 0.3 else (int(rng.integers(2)),)
    size = rng.uniform(0.2, 0.35)
    for side in busy:
        wave_arm(rng, arrays["joint_pos_hw"], side, raised, size * beat)
    turn = rng.uniform(-0.25, 0.25) * raised
    arrays["joint_pos_hw"][:, JOINT_INDEX_HW["waist_yaw_joint"]] += turn
    return _targets(arrays)


def wave_arm(rng: Random, posture_hw: Array, side: int, raised: Array, beat: Array) -> None:
    """Lift an arm beside the head in place, scaled by `raised` (T,), and let it swing by `beat` (T,) [rad]."""
    sign, label = SIDE_SIGNS[side], SIDE_LABELS[side]
    lifted = {
        "shoulder_pitch": rng.uniform(-1.2, -0.6),
        "shoulder_roll": sign * rng.uniform(0.7, 1.1),
        "shoulder_yaw": sign * rng.uniform(-0.3, 0.2),
        "elbow": rng.uniform(-0.6, 0.0),
    }
    for joint, angle in lifted.items():
        column = JOINT_INDEX_HW[f"{label}_{joint}_joint"]
        posture_hw[:, column] += raised * (angle - g1.DEFAULT_POS_HW[column])
    posture_hw[:, JOINT_INDEX_HW[f"{label}_shoulder_yaw_joint"]] += beat
    posture_hw[:, JOINT_INDEX_HW[f"{label}_shoulder_roll_joint"]] += 0.5 * beat
    posture_hw[:, JOINT_INDEX_HW[f"{label}_wrist_roll_joint"]] += beat


def arm_raise(rng: Random) -> Targets:
    """Move both arms through random postures: forward, to the sides, overhead, crossed before the body."""
    moves = int(rng.integers(3, 6))
    keys = _schedule(rng, moves, (0.9, 1.5), (0.1, 0.5))
    times = frame_times(keys[-1] + REST_S)
    arrays = still(times)
    both = rng.random() < 0.5
    shared = _arm_postures(rng, moves)
    for side, label in enumerate(SIDE_LABELS):
        chosen = shared if both else _arm_postures(rng, moves)
        mirror = np.array([1.0, SIDE_SIGNS[side], SIDE_SIGNS[side], 1.0, SIDE_SIGNS[side], 1.0, SIDE_SIGNS[side]])
        first = JOINT_INDEX_HW[f"{label}_shoulder_pitch_joint"]
        arm = slice(first, first + 7)
        home = g1.DEFAULT_POS_HW[arm]
        arrays["joint_pos_hw"][:, arm] = _visits(times, keys, home, chosen * mirror)
    return _targets(arrays)


def _arm_postures(rng: Random, moves: int) -> Array:
    """Return (moves, 7) postures of a left arm [rad]: shoulder pitch, roll, yaw, elbow, wrist roll, pitch, yaw."""
    low = [-2.2, 0.25, -0.6, -0.5, -0.6, -0.5, -0.5]
    high = [0.5, 1.4, 0.6, 1.3, 0.6, 0.5, 0.5]
    return rng.uniform(low, high, (moves, 7))


def torso_turn(rng: Random) -> Targets:
    """Turn the trunk to the sides, partly with the pelvis, and lean a little."""
    moves = int(rng.integers(3, 6))
    keys = _schedule(rng, moves, (0.9, 1.6), (0.1, 0.5))
    times = frame_times(keys[-1] + REST_S)
    signs = np.where(np.arange(moves) % 2 == 0, 1.0, -1.0) * rng.choice([-1.0, 1.0])
    turns = np.stack([signs * rng.uniform(0.3, 1.0, moves), *rng.uniform(-0.2, 0.2, (2, moves))], axis=1)
    waist = _visits(times, keys, np.zeros(3), turns)
    arrays = still(times)
    arrays["joint_pos_hw"][:, 12:15] += waist
    arrays["pelvis_quat_wxyz"] = _tilted(np.zeros(len(times)), np.zeros(len(times)), 0.2 * waist[:, 0])
    arms = rng.uniform(-0.4, 0.4, (moves, 4))
    for column, joint in enumerate(("shoulder_pitch", "elbow")):
        for side, label in enumerate(SIDE_LABELS):
            swing = _visits(times, keys, np.zeros(1), arms[:, 2 * column + side, None])[:, 0]
            arrays["joint_pos_hw"][:, JOINT_INDEX_HW[f"{label}_{joint}_joint"]] += swing
    away = 0.2 * _visits(times, keys, np.zeros(1), np.ones((moves, 1)))
    for side, label in enumerate(SIDE_LABELS):
        arrays["joint_pos_hw"][:, JOINT_INDEX_HW[f"{label}_shoulder_roll_joint"]] += SIDE_SIGNS[side] * away[:, 0]
    return _targets(arrays)


def bow(rng: Random) -> Targets:
    """Bow by up to 50 degrees, hips moving back so that the balance is kept."""
    moves = int(rng.integers(1, 4))
    keys = _schedule(rng, moves, (1.2, 2.0), (0.2, 0.8))
    times = frame_times(keys[-1] + REST_S)
    angles = rng.uniform(0.3, np.deg2rad(50.0), (moves, 1))
    bowed = _visits(times, keys, np.zeros(1), angles)[:, 0]
    arrays = still(times)
    zero = np.zeros(len(times))
    arrays["pelvis_quat_wxyz"] = _tilted(zero, 0.6 * bowed, zero)
    arrays["joint_pos_hw"][:, JOINT_INDEX_HW["waist_pitch_joint"]] += 0.4 * bowed
    for label in SIDE_LABELS:
        hang = rng.uniform(-0.6, 0.3) * bowed
        arrays["joint_pos_hw"][:, JOINT_INDEX_HW[f"{label}_shoulder_pitch_joint"]] += hang
        outward = SIDE_SIGNS[SIDE_LABELS.index(label)] * 0.15 * bowed
        arrays["joint_pos_hw"][:, JOINT_INDEX_HW[f"{label}_shoulder_roll_joint"]] += outward
    arrays["height_m"] -= 0.04 * bowed
    return _targets(arrays)


def squat(rng: Random) -> Targets:
    """Squat, down to a pelvis height of about 0.45 m, trunk leaning and arms coming forward for balance."""
    moves = int(rng.integers(1, 4))
    keys = _schedule(rng, moves, (1.1, 1.8), (0.1, 0.7))
    times = frame_times(keys[-1] + REST_S)
    depths = rng.uniform(0.08, standing().pelvis_height_m - 0.45, (moves, 1))
    depth = _visits(times, keys, np.zeros(1), depths)[:, 0]
    arrays = still(times)
    arrays["height_m"] -= depth
    zero = np.zeros(len(times))
    arrays["pelvis_quat_wxyz"] = _tilted(zero, rng.uniform(0.9, 1.4) * depth, zero)
    arms = rng.uniform(1.0, 3.0)
    for label in SIDE_LABELS:
        arrays["joint_pos_hw"][:, JOINT_INDEX_HW[f"{label}_shoulder_pitch_joint"]] -= arms * depth
    return _targets(arrays)


def weight_shift(rng: Random) -> Targets:
    """Shift the weight from foot to foot, and a little forward and back."""
    moves = int(rng.integers(3, 6))
    keys = _schedule(rng, moves, (1.0, 1.8), (0.1, 0.6))
    times = frame_times(keys[-1] + REST_S)
    signs = np.where(np.arange(moves) % 2 == 0, 1.0, -1.0) * rng.choice([-1.0, 1.0])
    places = np.stack([rng.uniform(-0.015, 0.03, moves), signs * rng.uniform(0.035, 0.08, moves)], axis=1)
    arrays = still(times)
    offset = _visits(times, keys, np.zeros(2), places)
    arrays["com_xy_w"] += offset
    arrays["height_m"] -= _visits(times, keys, np.zeros(1), rng.uniform(0.01, 0.06, (moves, 1)))[:, 0]
    roll = rng.uniform(-0.6, 0.8) * offset[:, 1]
    arrays["pelvis_quat_wxyz"] = _tilted(roll, np.zeros(len(times)), np.zeros(len(times)))
    arrays["joint_pos_hw"][:, JOINT_INDEX_HW["waist_roll_joint"]] -= roll
    arrays["joint_pos_hw"][:, 15:29] += _wandering(rng, times, np.full(14, 0.12), 0.2)
    return _targets(arrays)


def squat_reach(rng: Random) -> Targets:
    """Squat a little and reach down or forward with both hands."""
    moves = int(rng.integers(2, 4))
    keys = _schedule(rng, moves, (1.2, 1.8), (0.1, 0.6))
    times = frame_times(keys[-1] + REST_S)
    depths = rng.uniform(0.05, 0.28, (moves, 1))
    hands = np.tile(standing().hands_w, (len(times), 1, 1))
    for side in (LEFT, RIGHT):
        places = _around_shoulder(rng, moves, side, (-0.2, 0.4), (-1.4, 0.1))
        places[:, 0] += LEAN_AHEAD_M * depths[:, 0]
        places[:, 2] += standing().pelvis_height_m - depths[:, 0]
        hands[:, side] = _visits(times, keys, standing().hands_w[side], places)
    depth = _visits(times, keys, np.zeros(1), depths)[:, 0]
    arrays = still(times)
    arrays["height_m"] -= depth
    arrays["pelvis_quat_wxyz"] = _tilted(np.zeros(len(times)), 1.4 * depth, np.zeros(len(times)))
    return _targets(arrays, hands)
