"""A motion of the robot at the control rate, and its file."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import MotionError
from sonic_runtime.contract.rotations import quat_normalize
from sonic_runtime.motions import resample as rs
from sonic_runtime.motions.pickles import read_bytes
from sonic_runtime.motions.smpl import SMPL_JOINT_NAMES, smpl_joints_of_robot
from sonic_runtime.robots import g1
from sonic_runtime.robots.kinematics import forward_kinematics

Array = npt.NDArray[np.floating]

FORMAT_VERSION = 1
UNITS = "m, rad, s; quaternions wxyz; world frame z up; SMPL joints in the frame of the SMPL root"

# attribute of Clip -> key in the file; the first seven keys are those of mjlab and BeyondMimic
_FILE_KEYS = {
    "fps": "fps",
    "joint_pos_hw": "joint_pos",
    "joint_vel_hw": "joint_vel",
    "body_pos_w": "body_pos_w",
    "body_quat_wxyz": "body_quat_w",
    "body_lin_vel_w": "body_lin_vel_w",
    "body_ang_vel_w": "body_ang_vel_w",
    "smpl_joints_b": "smpl_joints",
    "smpl_root_quat_wxyz": "smpl_root_quat_w",
    "smpl_measured": "smpl_measured",
    "source": "source",
}
_FRAME_SHAPES = {
    "joint_pos_hw": (29,),
    "joint_vel_hw": (29,),
    "body_pos_w": (30, 3),
    "body_quat_wxyz": (30, 4),
    "body_lin_vel_w": (30, 3),
    "body_ang_vel_w": (30, 3),
    "smpl_joints_b": (24, 3),
    "smpl_root_quat_wxyz": (4,),
}

_DAMAGED = (
    *(OSError, ValueError, EOFError, TypeError, AttributeError, KeyError, RuntimeError, OverflowError, MemoryError),
    *(zipfile.BadZipFile, zlib.error),
)
"""What numpy and zipfile raise on an NPZ that is none, is damaged, encrypted, or claims an absurd size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A reference motion. All arrays are float64; T frames at `fps`.

    Attributes:
        name: name, unique within a library.
        fps: frames a second [Hz].
        joint_pos_hw: (T, 29) joint angles [rad], hardware order.
        joint_vel_hw: (T, 29) joint speeds [rad/s], hardware order.
        body_pos_w: (T, 30, 3) link frames in the world [m], order of `g1.BODY_NAMES`; [:, 0] is the pelvis.
        body_quat_wxyz: (T, 30, 4) their orientations, unit.
        body_lin_vel_w: (T, 30, 3) velocities of the link frames' origins, world frame [m/s].
        body_ang_vel_w: (T, 30, 3) angular velocities, world frame [rad/s].
        smpl_joints_b: (T, 24, 3) SMPL joints relative to the SMPL pelvis, in the frame of the SMPL root [m].
        smpl_root_quat_wxyz: (T, 4) orientation of the SMPL root in the world: z up, x forward.
        smpl_measured: whether the SMPL joints came with the motion; False when read off the robot's links.
        source: where the motion came from and what was done to it.

    Raises:
        MotionError: on construction, if shapes disagree or a value is not finite.
    """

    name: str
    fps: float
    joint_pos_hw: Array
    joint_vel_hw: Array
    body_pos_w: Array
    body_quat_wxyz: Array
    body_lin_vel_w: Array
    body_ang_vel_w: Array
    smpl_joints_b: Array
    smpl_root_quat_wxyz: Array
    smpl_measured: bool
    source: str

    def __post_init__(self) -> None:
        frames = len(self.joint_pos_hw)
        for attribute, tail in _FRAME_SHAPES.items():
            values = getattr(self, attribute)
            if values.shape != (frames, *tail):
                raise MotionError(f"motion {self.name}: expected {attribute} {(frames, *tail)}, found {values.shape}")
            if not np.all(np.isfinite(values)):
                frame = int(np.argwhere(~np.isfinite(values))[0, 0])
                raise MotionError(
                    f"motion {self.name}: expected finite {attribute}, found {values.dtype} with NaN or "
                    f"infinity, first in frame {frame}"
                )

    def __len__(self) -> int:
        return len(self.joint_pos_hw)

    @property
    def duration_s(self) -> float:
        """Time from the first to the last frame [s]."""
        return (len(self) - 1) / self.fps

    @property
    def root_pos_w(self) -> Array:
        """Pelvis position (T, 3) in the world [m]."""
        return self.body_pos_w[:, 0]

    @property
    def root_quat_wxyz(self) -> Array:
        """Pelvis orientation (T, 4) in the world."""
        return self.body_quat_wxyz[:, 0]


def clip_from_qpos(
    name: str,
    fps: float,
    root_pos_w: Array,
    root_quat_wxyz: Array,
    joint_pos_hw: Array,
    smpl: Array | None = None,
    source: str = "",
) -> Clip:
    """Make a clip at 50 Hz from poses: resample, forward kinematics, finite differences.

    Args:
        name: name of the clip.
        fps: rate of the poses [Hz].
        root_pos_w: (T, 3) pelvis position [m], T >= 2.
        root_quat_wxyz: (T, 4) pelvis orientation; normalised here.
        joint_pos_hw: (T, 29) joint angles [rad], hardware order.
        smpl: (T, 24, 3) measured SMPL joints in the frame of the pelvis [m]; read off the robot when None.
        source: where the poses came from.

    Returns:
        The clip; its SMPL root orientation is the pelvis orientation.

    Raises:
        MotionError: if there are fewer than two frames, or a value is not finite.
    """
    frames = len(joint_pos_hw)
    if frames < 2:
        raise MotionError(f"motion {name}: expected at least 2 frames, found {frames}")
    index, fraction = rs.sample_positions(frames, fps)
    quat = rs.continuous_quat(quat_normalize(np.asarray(root_quat_wxyz, dtype=np.float64)))
    root_quat = rs.resample_quat(quat, index, fraction)
    root_pos = rs.resample(np.asarray(root_pos_w, dtype=np.float64), index, fraction)
    joint_pos = rs.resample(np.asarray(joint_pos_hw, dtype=np.float64), index, fraction)
    body_pos, body_quat = forward_kinematics(root_pos, root_quat, joint_pos)
    measured = None if smpl is None else rs.resample(np.asarray(smpl, dtype=np.float64), index, fraction)
    return Clip(
        name=name,
        fps=rs.CONTROL_HZ,
        joint_pos_hw=joint_pos,
        joint_vel_hw=rs.velocity(joint_pos, rs.CONTROL_HZ),
        body_pos_w=body_pos,
        body_quat_wxyz=body_quat,
        body_lin_vel_w=rs.velocity(body_pos, rs.CONTROL_HZ),
        body_ang_vel_w=rs.angular_velocity(body_quat, rs.CONTROL_HZ),
        smpl_joints_b=smpl_joints_of_robot(body_pos, body_quat) if measured is None else measured,
        smpl_root_quat_wxyz=body_quat[:, 0].copy(),
        smpl_measured=smpl is not None,
        source=source,
    )


def save_clip(clip: Clip, path: Path) -> None:
    """Write a clip as NPZ, whole or not at all.

    The keys are those of mjlab and BeyondMimic, with joints in hardware order and all 30 links, and besides the names
    of joints and links, the units and the SMPL joints. Motion arrays are stored as float32.

    Args:
        clip: what to write.
        path: file to write or replace; its folder must exist.

    Raises:
        MotionError: if the file cannot be written.
    """
    data: dict[str, object] = {key: getattr(clip, attribute) for attribute, key in _FILE_KEYS.items()}
    for attribute in _FRAME_SHAPES:
        data[_FILE_KEYS[attribute]] = getattr(clip, attribute).astype(np.float32)
    data |= {
        "joint_names": np.array(g1.JOINT_NAMES_HW),
        "body_names": np.array(g1.BODY_NAMES),
        "smpl_joint_names": np.array(SMPL_JOINT_NAMES),
        "units": UNITS,
        "format_version": FORMAT_VERSION,
        "name": clip.name,
    }
    path = Path(path)
    scratch = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        with scratch.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **data)  # pyright: ignore[reportArgumentType]
        scratch.replace(path)
    except OSError as error:
        raise MotionError(f"{path}: the motion cannot be written there: {error}") from error
    finally:
        scratch.unlink(missing_ok=True)


def load_clip(path: Path) -> Clip:
    """Read a clip that `save_clip` wrote. Nothing in the file can execute.

    Args:
        path: the NPZ file.

    Returns:
        The clip, named as when it was written.

    Raises:
        MotionError: if the file is missing, damaged, or holds another format, robot, order or version.
    """
    path = Path(path)
    content = read_bytes(path)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            data = {key: archive[key] for key in archive.files}
    except _DAMAGED as error:
        raise MotionError(
            f"{path}: expected a motion as NPZ, found {len(content)} damaged or foreign bytes ({error}); fetch it again"
        ) from error
    wanted = {*_FILE_KEYS.values(), "joint_names", "body_names", "format_version", "name"}
    missing = sorted(wanted - set(data))
    if missing:
        raise MotionError(
            f"{path}: expected a motion written by this project, found an NPZ without the keys {', '.join(missing)}; "
            "convert it from its source"
        )
    if data["format_version"].tolist() != FORMAT_VERSION:
        raise MotionError(f"{path}: expected format version {FORMAT_VERSION}, found {data['format_version']}")
    for key, names in (("joint_names", g1.JOINT_NAMES_HW), ("body_names", g1.BODY_NAMES)):
        _require_names(path, key, data[key].ravel().tolist(), names)
    if data["fps"].tolist() != rs.CONTROL_HZ:
        raise MotionError(
            f"{path}: expected {rs.CONTROL_HZ:g} frames a second, found {data['fps']}; convert it from its source"
        )
    try:
        return _clip_of(data)
    except MotionError as error:
        raise MotionError(f"{path}: {error}") from error


def _require_names(path: Path, key: str, found: list[str], expected: Sequence[str]) -> None:
    if found == list(expected):
        return
    differing = [f"{e} and found {f}" for e, f in zip(expected, found, strict=False) if e != f]
    first = f"; the first that differs: expected {differing[0]}" if differing else ""
    raise MotionError(
        f"{path}: expected the {len(expected)} {key} of {g1.ROBOT_NAME} in hardware order, found {len(found)}{first}; "
        "convert it from its source"
    )


def _clip_of(data: dict[str, np.ndarray]) -> Clip:
    values: dict[str, Array] = {}
    for attribute in _FRAME_SHAPES:
        array = data[_FILE_KEYS[attribute]]
        if array.dtype.kind != "f":
            raise MotionError(f"expected {_FILE_KEYS[attribute]} as floats, found {array.dtype}")
        values[attribute] = array.astype(np.float64)
    for attribute in ("body_quat_wxyz", "smpl_root_quat_wxyz"):
        if np.any(np.abs(np.linalg.norm(values[attribute], axis=-1) - 1.0) > 1e-3):
            raise MotionError(f"expected unit quaternions in {_FILE_KEYS[attribute]}")
        values[attribute] = quat_normalize(values[attribute])  # float32 had rounded them
    return Clip(
        name=str(data["name"]),
        fps=float(data["fps"]),
        smpl_measured=bool(data["smpl_measured"]),
        source=str(data["source"]),
        **values,
    )
