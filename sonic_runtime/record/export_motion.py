"""Writes what was tracked in a recording as a reference motion folder, to be tracked again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from sonic_runtime.contract.errors import RecordingError
from sonic_runtime.contract.messages import Array
from sonic_runtime.contract.rotations import quat_multiply, quat_rotate
from sonic_runtime.motions.clip import Clip, clip_from_qpos
from sonic_runtime.motions.reference_folder import write_reference_folder
from sonic_runtime.motions.resample import CONTROL_HZ
from sonic_runtime.record.read import RecordedTick, Recording
from sonic_runtime.robots import g1

Of = Literal["robot", "reference"]


def write_motion(recording: Recording, folder: Path, of: Of) -> Clip:
    """Write the ticks in which a goal was tracked as one motion.

    Args:
        recording: the run.
        folder: reference motion folder to make; its last part becomes the name of the motion.
        of: "robot", what the robot did; or "reference", what it was to do, turned to the world of the robot.

    Returns:
        The motion.

    Raises:
        RecordingError: no goal was tracked.
        MotionError: the folder exists already or cannot be written.
    """
    tracked = [tick for tick in recording.ticks() if tick.mode == "active" and tick.goal is not None]
    if len(tracked) < 2:
        raise RecordingError(
            f"{recording.path}: expected ticks in which a goal was tracked, found {len(tracked)}; there is no motion "
            "to write"
        )
    poses = [_of_robot(tick) if of == "robot" else _of_reference(tick) for tick in tracked]
    places = [place for place, _, _, _ in poses]
    known = all(place is not None for place in places)
    root_pos = np.array([place if known else np.zeros(3) for place in places])
    clip = clip_from_qpos(
        folder.name,
        CONTROL_HZ,
        root_pos,
        np.array([quat for _, quat, _, _ in poses]),
        np.array([joint_pos for _, _, joint_pos, _ in poses]),
        smpl=_smpl(tracked) if of == "reference" else None,
        source=f"{of} of the recording {recording.path.name}",
    )
    clip = replace(clip, joint_vel_hw=np.array([joint_vel for _, _, _, joint_vel in poses]))
    write_reference_folder(clip, folder, positions=known)
    return clip


def _of_robot(tick: RecordedTick) -> tuple[Array | None, Array, Array, Array]:
    state = tick.state
    return state.base_pos_w, state.base_quat_wxyz, state.joint_pos_hw, state.joint_vel_hw


def _of_reference(tick: RecordedTick) -> tuple[Array | None, Array, Array, Array]:
    """Return root position (3,) [m] or None, orientation (4,), joints (29,) [rad] and [rad/s], motor order."""
    goal = tick.goal or {}
    heading, place = goal["heading_quat_wxyz"], goal.get("root_pos_w")
    return (
        None if place is None else quat_rotate(heading, place),
        quat_multiply(heading, goal["root_quat_wxyz"]),
        g1.to_hw_order(goal["joint_pos_pol"]),
        g1.to_hw_order(goal["joint_vel_pol"]),
    )


def _smpl(ticks: list[RecordedTick]) -> Array | None:
    """Return (T, 24, 3) SMPL joints [m], None where a frame has none."""
    frames = [(tick.goal or {}).get("smpl_joints_b") for tick in ticks]
    known = [frame for frame in frames if frame is not None]
    return np.array(known) if len(known) == len(frames) else None
