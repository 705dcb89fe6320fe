"""Reference motion folders as SONIC's runtime reads and records them: one folder per motion, CSV at 50 Hz.

    joint_pos.csv, joint_vel.csv               29 columns, Isaac Lab order (our policy order), absolute rad, rad/s
    body_pos.csv, body_quat.csv                3 and 4 columns for each body, world, m and wxyz; body 0 is the pelvis
    body_lin_vel.csv, body_ang_vel.csv         3 columns for each body, world, m/s and rad/s
    smpl_joint.csv, smpl_pose.csv              24 x 3 and 21 x 3 columns
    metadata.txt                               which bodies, as numbers of Isaac Lab; number of frames

Every CSV begins with a header row. Joints and the pelvis' orientation are required. What forward kinematics can fill
is filled: the other bodies, the velocities, and, where body_pos.csv is missing, a height at which the feet stand on
the ground. smpl_pose.csv is checked, but a clip has no place for it. Values that are there are checked cell by cell:
SONIC's own loader drops cells that it cannot read, and the columns behind them move.
"""

from __future__ import annotations

import io
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import MotionError
from sonic_runtime.motions.clip import Clip, clip_from_qpos
from sonic_runtime.motions.formats import MAX_QUAT_NORM_ERROR, checked_motion
from sonic_runtime.motions.pickles import read_bytes
from sonic_runtime.motions.repair import on_ground
from sonic_runtime.motions.resample import CONTROL_HZ
from sonic_runtime.robots import g1

Array = npt.NDArray[np.floating]

BODY_NAMES_ISAAC: tuple[str, ...] = (
    g1.ANCHOR_BODY,
    *(next(joint.child for joint in g1.JOINTS if joint.name == name) for name in g1.JOINT_NAMES_POL),
)
"""The 30 bodies by the numbers that metadata.txt uses: the pelvis, then the child links in policy order of joints."""
METADATA = "metadata.txt"
MAX_BODY_ERROR_M = 0.2
"""Bodies this far, on average, from where forward kinematics puts them mean columns in another order [m]."""

# values for each joint, body or point of a frame
_WIDTHS = {"joint_pos": 29, "joint_vel": 29, "smpl_joint": 72, "smpl_pose": 63}
_BODY_WIDTHS = {"body_pos": 3, "body_quat": 4, "body_lin_vel": 3, "body_ang_vel": 3}
FILES: tuple[str, ...] = tuple(f"{name}.csv" for name in (*_WIDTHS, *_BODY_WIDTHS))
"""Files that tell a reference motion folder from other folders."""
_BODIES_LINE = re.compile(r"Body part indexes:\s*\n\s*\[([^\]]*)\]")
_FRAMES_LINE = re.compile(r"Total timesteps:\s*(\d+)")


def is_reference_folder(folder: Path) -> bool:
    """Return whether a folder holds one reference motion."""
    return any((folder / name).is_file() for name in FILES)


def read_reference_folder(folder: Path, name: str) -> Clip:
    """Read one reference motion.

    Args:
        folder: the folder with its CSV files.
        name: name for the clip.

    Raises:
        MotionError: a file is missing, is a Git LFS pointer, or holds anything but the numbers it must; the message
            names file, line and column.
    """
    tables = {stem: _read_table(folder / f"{stem}.csv") for stem in (*_WIDTHS, *_BODY_WIDTHS) if _has(folder, stem)}
    for stem in ("joint_pos", "body_quat"):
        if stem not in tables:
            found = ", ".join(f"{other}.csv" for other in tables)
            raise MotionError(
                f"{folder}: expected {stem}.csv, found only {found}; a motion of the robot needs joint angles and the "
                "orientation of the pelvis"
            )
    bodies, told_frames = _read_metadata(folder)
    _check_columns(folder, tables, bodies)
    frames = len(tables["joint_pos"])
    for stem, table in tables.items():
        if len(table) != frames:
            raise MotionError(
                f"{folder / stem}.csv: expected {frames} frames as in joint_pos.csv, found {len(table)}; "
                "one of the two is cut off"
            )
    clip = _clip(folder, name, tables)
    if bodies is not None and "body_pos" in tables:
        _check_bodies(folder, clip, tables["body_pos"], bodies)
    if told_frames not in (None, frames):
        clip = replace(clip, source=f"{clip.source}; {METADATA} speaks of {told_frames} frames")
    return clip


def write_reference_folder(clip: Clip, folder: Path, *, positions: bool = True) -> Path:
    """Write a clip as a reference motion folder, whole or not at all; return the folder.

    Args:
        clip: what to write; the 14 tracked bodies are written, and SMPL joints where they were measured.
        folder: folder to make; must not exist, and the one that it lies in is made where it is missing.
        positions: False where the place of the pelvis is not known; body_pos.csv and body_lin_vel.csv are left out.

    Raises:
        MotionError: it exists already, or cannot be written.
    """
    folder = Path(folder)
    index = [g1.BODY_NAMES.index(name) for name in g1.TRACKED_BODY_NAMES]
    tables = {
        "joint_pos": g1.to_policy_order(clip.joint_pos_hw),
        "joint_vel": g1.to_policy_order(clip.joint_vel_hw),
        "body_quat": clip.body_quat_wxyz[:, index],
        "body_ang_vel": clip.body_ang_vel_w[:, index],
    }
    if positions:
        tables |= {"body_pos": clip.body_pos_w[:, index], "body_lin_vel": clip.body_lin_vel_w[:, index]}
    if clip.smpl_measured:
        tables["smpl_joint"] = clip.smpl_joints_b
    if folder.exists():
        raise MotionError(f"{folder}: expected no such folder yet, found one; a motion is not written over another")
    scratch = folder.with_name(f".{folder.name}-{os.getpid()}")
    try:
        scratch.mkdir(parents=True)
        for stem, values in tables.items():
            (scratch / f"{stem}.csv").write_text(_csv(stem, values))
        (scratch / METADATA).write_text(_metadata(clip))
        scratch.rename(folder)
    except OSError as error:
        raise MotionError(f"{folder}: the motion cannot be written there: {error.strerror}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _has(folder: Path, stem: str) -> bool:
    return (folder / f"{stem}.csv").is_file()


def _read_table(path: Path) -> Array:
    """Return the numbers (T, columns) behind the header row of a CSV file."""
    try:
        lines = read_bytes(path).decode("utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError as error:
        raise MotionError(f"{path}: expected text, found the byte {error.object[error.start]:#04x}") from error
    rows = [line.split(",") for line in lines]
    if all(_number(cell) is not None for cell in rows[0]):
        raise MotionError(f"{path}:1: expected a header row, found numbers; the first frame would be lost")
    columns = len(rows[1]) if len(rows) > 1 else 0
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != columns:
            raise MotionError(f"{path}:{number}: expected {columns} columns as in line 2, found {len(row)}")
    if len(rows) < 3:
        raise MotionError(f"{path}: expected a header and at least 2 frames, found {len(rows)} lines")
    try:
        table = np.array(rows[1:], dtype=np.float64)
    except ValueError:
        table = np.full((len(rows) - 1, columns), np.nan)
    if not np.isfinite(table).all():
        raise _bad_cell(path, rows)
    return table


def _bad_cell(path: Path, rows: list[list[str]]) -> MotionError:
    """Return what to say about the first cell that is no finite number."""
    for line, row in enumerate(rows[1:], start=2):
        for column, cell in enumerate(row, start=1):
            value = _number(cell)
            if value is None or not np.isfinite(value):
                what = repr(cell.strip()[:40])
                return MotionError(f"{path}:{line}:{column}: expected a finite number, found {what}")
    raise AssertionError("a table without a bad cell is a table")


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _read_metadata(folder: Path) -> tuple[list[str] | None, int | None]:
    """Return the names of the bodies and the number of frames that metadata.txt tells; None for what it does not."""
    path = folder / METADATA
    if not path.is_file():
        return None, None
    text = read_bytes(path).decode("utf-8", errors="replace").replace("\r\n", "\n")
    frames = _FRAMES_LINE.search(text)
    listed = _BODIES_LINE.search(text)
    if listed is None:
        return None, None if frames is None else int(frames[1])
    words = listed[1].replace(",", " ").split()
    if not all(word.isdecimal() and int(word) < len(BODY_NAMES_ISAAC) for word in words) or words[:1] != ["0"]:
        raise MotionError(
            f"{path}: expected numbers of bodies from 0 to {len(BODY_NAMES_ISAAC) - 1}, the pelvis (0) first, "
            f"found [{listed[1].strip()[:60]}]"
        )
    return [BODY_NAMES_ISAAC[int(word)] for word in words], None if frames is None else int(frames[1])


def _check_columns(folder: Path, tables: dict[str, Array], bodies: list[str] | None) -> None:
    """Require the number of columns that each file must have, and unit quaternions."""
    for stem, table in tables.items():
        path, found = folder / f"{stem}.csv", table.shape[1]
        if stem in _WIDTHS and found != _WIDTHS[stem]:
            raise MotionError(f"{path}: expected {_WIDTHS[stem]} columns, found {found}")
        width = _BODY_WIDTHS.get(stem, 1)
        if found % width:
            raise MotionError(f"{path}: expected {width} columns for each body, found {found} columns")
        if bodies is not None and stem in _BODY_WIDTHS and found != width * len(bodies):
            raise MotionError(
                f"{path}: expected {width} columns for each of the {len(bodies)} bodies in {METADATA}, found {found}"
            )
    quat = tables["body_quat"].reshape(len(tables["body_quat"]), -1, 4)
    error = np.abs(np.linalg.norm(quat, axis=-1) - 1.0)
    if error.max() > MAX_QUAT_NORM_ERROR:
        frame, body = np.unravel_index(int(error.argmax()), error.shape)
        raise MotionError(
            f"{folder / 'body_quat.csv'}:{int(frame) + 2}:{4 * int(body) + 1}: expected a unit quaternion wxyz, "
            f"found norm {np.linalg.norm(quat[frame, body]):.4f}"
        )


def _clip(folder: Path, name: str, tables: dict[str, Array]) -> Clip:
    frames = len(tables["joint_pos"])
    poses = checked_motion(
        folder,
        name,
        CONTROL_HZ,
        root_pos_w=tables["body_pos"][:, :3] if "body_pos" in tables else np.zeros((frames, 3)),
        root_quat_wxyz=tables["body_quat"][:, :4],
        joint_pos_hw=g1.to_hw_order(tables["joint_pos"]),
        source=f"{folder.name}: reference motion folder, {frames} frames",
    )
    if "body_pos" not in tables:
        poses = on_ground(poses)
    smpl = tables["smpl_joint"].reshape(frames, 24, 3) if "smpl_joint" in tables else None
    clip = clip_from_qpos(
        name, poses.fps, poses.root_pos_w, poses.root_quat_wxyz, poses.joint_pos_hw, smpl=smpl, source=poses.source
    )
    if "joint_vel" not in tables:
        return clip
    return replace(clip, joint_vel_hw=g1.to_hw_order(tables["joint_vel"]))


def _check_bodies(folder: Path, clip: Clip, body_pos: Array, bodies: list[str]) -> None:
    """Compare the bodies in the file with forward kinematics, which finds joints or bodies in a wrong order."""
    found = body_pos.reshape(len(clip), -1, 3)
    placed = clip.body_pos_w[:, [g1.BODY_NAMES.index(name) for name in bodies]]
    error = np.linalg.norm(found - placed, axis=-1).mean(axis=0)
    worst = int(error.argmax())
    if error[worst] > MAX_BODY_ERROR_M:
        raise MotionError(
            f"{folder}: expected body_pos.csv to agree with the joint angles, found {bodies[worst]} "
            f"{error[worst]:.2f} m from where they put it; are the columns of joint_pos.csv in Isaac Lab order, and "
            f"those of body_pos.csv in the order of {METADATA}?"
        )


def _csv(stem: str, values: Array) -> str:
    """Return a table with its header row; numbers with nine digits, which keeps float32 exact."""
    if stem in ("joint_pos", "joint_vel"):
        header = list(g1.JOINT_NAMES_POL)
    else:
        axes = "wxyz" if stem == "body_quat" else "xyz"
        names = g1.TRACKED_BODY_NAMES if stem in _BODY_WIDTHS else [f"smpl_{i}" for i in range(values.shape[1])]
        header = [f"{name}_{axis}" for name in names for axis in axes]
    text = io.StringIO()
    np.savetxt(text, values.reshape(len(values), -1), fmt="%.9g", delimiter=",", header=",".join(header), comments="")
    return text.getvalue()


def _metadata(clip: Clip) -> str:
    ids = " ".join(str(BODY_NAMES_ISAAC.index(name)) for name in g1.TRACKED_BODY_NAMES)
    return (
        f"Metadata for: {clip.name}\n{'=' * 30}\n\nBody part indexes:\n[{ids}]\n\nTotal timesteps: {len(clip)}\n\n"
        f"Source: {clip.source}\n"
    )
