"""Motions from files and folders, whatever their format, at the control rate and on the ground."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sonic_runtime.contract.errors import MotionError
from sonic_runtime.motions.clip import Clip, clip_from_qpos, load_clip
from sonic_runtime.motions.formats import RawMotion, read_csv, read_pickle
from sonic_runtime.motions.reference_folder import is_reference_folder, read_reference_folder
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
        path: a motion file, a reference motion folder, or a folder that is searched for both with all its folders.
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
        name = _name(file, root)
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
    if root.is_file() or is_reference_folder(root):
        return [root]
    visible = [p for p in root.rglob("*") if not any(part.startswith(".") for part in p.relative_to(root).parts)]
    folders = {p for p in visible if p.is_dir() and is_reference_folder(p)}
    files = {p for p in visible if p.is_file() and p.suffix.lower() in SUFFIXES and p.parent not in folders}
    if not files | folders:
        raise MotionError(
            f"{root}: expected motion files ({', '.join(SUFFIXES)}) or folders with joint_pos.csv, "
            "found none in the folder"
        )
    return sorted(files | folders)


def _name(file: Path, root: Path) -> str:
    """Return the name of the motion in a file or reference folder: its path within `root`, without the suffix."""
    if file.is_dir():
        return file.resolve().name if file == root else file.relative_to(root).as_posix()
    return (Path(file.name) if file == root else file.relative_to(root)).with_suffix("").as_posix()


def _read_file(file: Path, name: str, csv_fps: float) -> list[Clip]:
    if file.is_dir():
        return [read_reference_folder(file, name)]
    suffix = file.suffix.lower()
    if suffix == ".npz":
        return [load_clip(file)]
    if suffix in (".pkl", ".joblib"):
        return [clip_from_raw(motion) for motion in read_pickle(file, name)]
    if suffix == ".csv":
        return [clip_from_raw(read_csv(file, name, csv_fps))]
    raise MotionError(f"{file}: expected a motion file ({', '.join(SUFFIXES)}), found the suffix {suffix!r}")
