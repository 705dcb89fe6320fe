"""Motions from files and folders, whatever their format, at the control rate and on the ground."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sonic_runtime.contract.errors import MotionError
from sonic_runtime.motions.clip import Clip, clip_from_qpos, load_clip
from sonic_runtime.motions.formats import RawMotion, read_csv, read_pickle
from sonic_runtime.motions.repair import on_ground, without_jumps
from sonic_runtime.motions.smpl import smpl_joints_in_root

SUFFIXES = (".npz", ".pkl", ".joblib", ".csv")
CSV_FPS = 30.0
"""Rate of the published CSV clips, which do not tell it [Hz]."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be read: its path and why."""

    path: Path
    error: MotionError


def read_motions(path: Path | str, csv_fps: float = CSV_FPS) -> list[Clip]:
    """Read all motions of a file or folder.

    Args:
        path: a motion file, or a folder that is searched for them with all its folders.
        csv_fps: rate of CSV files [Hz].

    Returns:
        Clips at 50 Hz, sorted by path. A clip is named after its path within the folder, without the suffix.

    Raises:
        MotionError: if there is no motion at `path`, or if any file cannot be read; then it names every bad file.
    """
    clips, failures = try_read_motions(path, csv_fps)
    if len(failures) == 1:
        raise failures[0].error
    if failures:
        total = len(_motion_files(Path(path)))
        lines = "\n".join(f"  {failure.error}" for failure in failures)
        raise MotionError(f"{path}: {len(failures)} of {total} motion files cannot be read:\n{lines}")
    return clips


def try_read_motions(path: Path | str, csv_fps: float = CSV_FPS) -> tuple[list[Clip], list[Failure]]:
    """Read what can be read: like `read_motions`, but bad files are returned beside the clips.

    Raises:
        MotionError: if there is no motion file at `path` at all.
    """
    root = Path(path)
    clips: list[Clip] = []
    failures: list[Failure] = []
    for file in _motion_files(root):
        name = (file.relative_to(root) if root.is_dir() else Path(file.name)).with_suffix("").as_posix()
        try:
            clips.extend(_read_file(file, name, csv_fps))
        except MotionError as error:
            failures.append(Failure(file, error))
    return clips, failures


def clip_from_raw(motion: RawMotion) -> Clip:
    """Bring poses from a file to a clip: ends trimmed, set on the ground, resampled, with kinematics."""
    motion = on_ground(without_jumps(motion))
    smpl = motion.smpl_joints_w
    return clip_from_qpos(
        motion.name,
        motion.fps,
        motion.root_pos_w,
        motion.root_quat_wxyz,
        motion.joint_pos_hw,
        smpl=None if smpl is None else smpl_joints_in_root(smpl, motion.root_quat_wxyz),
        source=motion.source,
    )


def _motion_files(root: Path) -> list[Path]:
    if not root.exists():
        raise MotionError(f"{root}: expected a motion file or a folder of them, found nothing there")
    if root.is_file():
        return [root]
    visible = (p for p in root.rglob("*") if not any(part.startswith(".") for part in p.relative_to(root).parts))
    files = sorted(p for p in visible if p.is_file() and p.suffix.lower() in SUFFIXES)
    if not files:
        raise MotionError(f"{root}: expected motion files ({', '.join(SUFFIXES)}), found none in the folder")
    return files


def _read_file(file: Path, name: str, csv_fps: float) -> list[Clip]:
    suffix = file.suffix.lower()
    if suffix == ".npz":
        return [load_clip(file)]
    if suffix in (".pkl", ".joblib"):
        return [clip_from_raw(motion) for motion in read_pickle(file, name)]
    if suffix == ".csv":
        return [clip_from_raw(read_csv(file, name, csv_fps))]
    raise MotionError(f"{file}: expected a motion file ({', '.join(SUFFIXES)}), found the suffix {suffix!r}")
