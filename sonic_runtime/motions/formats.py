"""The file formats of published G1 motions, read into poses.

Four layouts are known; each is told from the others by its content:

* "twist2": pickle of `root_pos` (T, 3), `root_rot` (T, 4) xyzw, `dof_pos` (T, 29), `fps`
  (github.com/amazon-far/TWIST2, assets/example_motions).
* "phc": pickle or joblib of {clip: {`root_trans_offset` (T, 3), `root_rot` (T, 4) xyzw, `dof` (T, 23 or 29), `fps`,
  maybe `smpl_joints` (T, 24, 3)}} (github.com/LeCAR-Lab/ASAP; SONIC's robot motions use the same keys).
* "csv": 36 columns without a header: root position, root quaternion wxyz, 29 joints (github.com/NVlabs/ProtoMotions,
  data/g1-kimodo-generated).
* our own NPZ, see `clip.py`.

Root positions are metres, z up; joints are radians in hardware order.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import MotionError
from sonic_runtime.contract.rotations import quat_normalize, quat_wxyz_from_xyzw
from sonic_runtime.motions.pickles import load_arrays, read_bytes
from sonic_runtime.robots import g1

Array = npt.NDArray[np.floating]

CSV_COLUMNS = 3 + 4 + 29
MIN_FPS, MAX_FPS = 5.0, 500.0
MAX_QUAT_NORM_ERROR = 0.01
"""A quaternion further from unit norm than this is taken for something else than a quaternion."""
MAX_ROOT_HEIGHT_M = 10.0
"""A pelvis higher than this is taken for centimetres or millimetres."""

JOINT_NAMES_23: tuple[str, ...] = tuple(name for name in g1.JOINT_NAMES_HW if "wrist" not in name)
"""The 23 joints of robots and data sets without wrists: hardware order, wrists left out. In the ASAP clips, whose
`pose_aa` repeats every angle about its axis, this order agrees with the axes of our joints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMotion:
    """Poses as a file holds them, checked and in our conventions, at the file's rate.

    Attributes:
        name: name of the clip.
        fps: frames a second [Hz].
        root_pos_w: (T, 3) f64 pelvis position [m], z up.
        root_quat_wxyz: (T, 4) f64 unit.
        joint_pos_hw: (T, 29) f64 [rad].
        smpl_joints_w: (T, 24, 3) f64 paired SMPL joints in the world, z up [m], or None.
        source: what was read.
    """

    name: str
    fps: float
    root_pos_w: Array
    root_quat_wxyz: Array
    joint_pos_hw: Array
    smpl_joints_w: Array | None
    source: str


def read_pickle(path: Path, name: str) -> list[RawMotion]:
    """Read the poses of a pickle in the "twist2" or "phc" layout.

    Args:
        path: the file.
        name: name for the clip; with several clips in the file, each is named `name/key`.

    Raises:
        MotionError: if the file is damaged, of another layout, or holds values that cannot be a motion.
    """
    content = load_arrays(path)
    if not isinstance(content, dict) or not content:
        raise MotionError(f"{path}: expected a pickled dictionary of motion arrays, found {_kind(content)}")
    if "dof_pos" in content:
        keys = {"root_pos": "root_pos", "root_rot": "root_rot", "dof": "dof_pos"}
        return [_motion(path, name, content, keys, "pickle, TWIST2 layout")]
    motions = []
    for key, entry in content.items():
        if not isinstance(entry, dict) or "root_trans_offset" not in entry:
            raise MotionError(
                f"{path}: expected motions with root_pos, root_rot, dof_pos, or with root_trans_offset, root_rot, dof; "
                f"found {key!r}: {_kind(entry)}"
            )
        keys = {"root_pos": "root_trans_offset", "root_rot": "root_rot", "dof": "dof"}
        clip_name = name if len(content) == 1 else f"{name}/{key}"
        motions.append(_motion(path, clip_name, entry, keys, "pickle, ASAP layout"))
    return motions


def read_csv(path: Path, name: str, fps: float) -> RawMotion:
    """Read the poses of a table of 36 columns: root position [m], root quaternion wxyz, 29 joints [rad].

    Args:
        path: the file.
        name: name for the clip.
        fps: its rate, which the file does not tell [Hz].

    Raises:
        MotionError: if the file is no such table.
    """
    text = read_bytes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # numpy only warns about a file without numbers
            table = np.loadtxt(io.BytesIO(text), delimiter=",", dtype=np.float64, ndmin=2)
    except (ValueError, UserWarning) as error:
        raise MotionError(f"{path}: expected rows of {CSV_COLUMNS} numbers without a header, found: {error}") from error
    if table.shape[1] != CSV_COLUMNS:
        raise MotionError(
            f"{path}: expected {CSV_COLUMNS} columns (root position, quaternion wxyz, 29 joints), "
            f"found {table.shape[1]}"
        )
    return checked_motion(
        path,
        name,
        fps,
        root_pos_w=table[:, :3],
        root_quat_wxyz=table[:, 3:7],
        joint_pos_hw=table[:, 7:],
        source=f"{path.name}: CSV of {CSV_COLUMNS} columns, {fps:g} frames a second by assumption",
    )


def checked_motion(
    path: Path,
    name: str,
    fps: float,
    root_pos_w: Array,
    root_quat_wxyz: Array,
    joint_pos_hw: Array,
    smpl_joints_w: Array | None = None,
    source: str = "",
) -> RawMotion:
    """Check that arrays make a motion: rate, finite values, unit quaternions, radians and metres.

    Raises:
        MotionError: naming the file, what was expected and what was found.
    """
    frames = len(joint_pos_hw)
    if not (np.isfinite(fps) and MIN_FPS <= fps <= MAX_FPS):
        raise MotionError(f"{path}: expected {MIN_FPS:g} to {MAX_FPS:g} frames a second, found {fps:g}")
    if frames < 2:
        raise MotionError(f"{path}: expected at least 2 frames, found {frames}")
    named = {"root position": root_pos_w, "root quaternion": root_quat_wxyz, "joint positions": joint_pos_hw}
    if smpl_joints_w is not None:
        named["SMPL joints"] = smpl_joints_w
    for what, values in named.items():
        if not np.all(np.isfinite(values)):
            bad = np.argwhere(~np.isfinite(values))
            raise MotionError(
                f"{path}: expected finite {what}, found {len(bad)} NaN or infinite, first in frame {bad[0, 0]}"
            )
    norm = np.linalg.norm(root_quat_wxyz, axis=-1)
    worst = int(np.argmax(np.abs(norm - 1.0)))
    if abs(norm[worst] - 1.0) > MAX_QUAT_NORM_ERROR:
        raise MotionError(f"{path}: expected unit root quaternions, found norm {norm[worst]:.4f} in frame {worst}")
    if np.max(np.abs(joint_pos_hw)) > 2.0 * np.pi:
        raise MotionError(f"{path}: expected joints in radians, found {np.max(np.abs(joint_pos_hw)):.1f}; degrees?")
    if np.max(np.abs(root_pos_w[:, 2])) > MAX_ROOT_HEIGHT_M:
        raise MotionError(f"{path}: expected a root height in metres, found {np.max(np.abs(root_pos_w[:, 2])):.1f}")
    return RawMotion(
        name=name,
        fps=float(fps),
        root_pos_w=np.asarray(root_pos_w, dtype=np.float64),
        root_quat_wxyz=quat_normalize(np.asarray(root_quat_wxyz, dtype=np.float64)),
        joint_pos_hw=np.asarray(joint_pos_hw, dtype=np.float64),
        smpl_joints_w=smpl_joints_w,
        source=source,
    )


def _motion(path: Path, name: str, entry: dict[str, Any], keys: dict[str, str], layout: str) -> RawMotion:
    """Take one motion out of a pickled dictionary; `keys` maps our words to the file's."""
    joints = _array(path, entry, keys["dof"], ((23,), (29,)))
    frames = len(joints)
    root_pos = _array(path, entry, keys["root_pos"], ((3,),), frames)
    root_quat = quat_wxyz_from_xyzw(_array(path, entry, keys["root_rot"], ((4,),), frames))
    smpl = _array(path, entry, "smpl_joints", ((24, 3),), frames) if "smpl_joints" in entry else None
    if smpl is not None and not np.any(smpl):
        smpl = None  # some data sets fill the place with zeros
    fps = _number(path, entry)
    note = "23 joints, wrists set to zero" if joints.shape[1] == 23 else "29 joints"
    return checked_motion(
        path,
        name,
        fps,
        root_pos_w=root_pos,
        root_quat_wxyz=root_quat,
        joint_pos_hw=_with_wrists(joints),
        smpl_joints_w=smpl,
        source=f"{path.name}: {layout}, {note}, {frames} frames at {fps:.6g} frames a second",
    )


def _with_wrists(joints: Array) -> Array:
    """Widen 23 joints without wrists to 29 in hardware order, wrists at zero."""
    if joints.shape[1] == 29:
        return joints
    widened = np.zeros((len(joints), 29))
    widened[:, g1.HW.index_of(JOINT_NAMES_23)] = joints
    return widened


def _array(
    path: Path, entry: dict[str, Any], key: str, tails: tuple[tuple[int, ...], ...], frames: int | None = None
) -> Array:
    """Take a float64 array (T, *tail) out of a dictionary, with one of some tails."""
    shapes = " or ".join(str(("T" if frames is None else frames, *tail)).replace("'", "") for tail in tails)
    values = entry.get(key)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise MotionError(f"{path}: expected {key} as an array {shapes}, found {_kind(values)}")
    if values.shape[1:] not in tails or values.ndim == 0 or (frames is not None and len(values) != frames):
        raise MotionError(f"{path}: expected {key} of shape {shapes}, found {values.shape}")
    return values.astype(np.float64)


def _number(path: Path, entry: dict[str, Any]) -> float:
    """Take the frame rate out of a dictionary."""
    value = entry.get("fps")
    if not isinstance(value, int | float | np.number | np.ndarray) or np.size(value) != 1:
        raise MotionError(f"{path}: expected fps as one number, found {_kind(value)}")
    return float(np.asarray(value, dtype=np.float64).reshape(()))


def _kind(value: object) -> str:
    """Say in a few words what a value is."""
    if value is None:
        return "nothing"
    if isinstance(value, np.ndarray):
        return f"an array {value.shape} of {value.dtype}"
    if isinstance(value, dict):
        return "a dictionary with " + (", ".join(repr(key) for key in list(value)[:8]) or "no keys")
    return f"a value of type {type(value).__name__}"
