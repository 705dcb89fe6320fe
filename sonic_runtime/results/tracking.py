"""How well a robot followed a reference: per-frame errors, the rule of success, and the means of a clip.

Definitions are those of SONIC's evaluation: positions of 14 bodies in the world (mpjpe_g), or after subtracting the
pelvis position of each side without turning (mpjpe_l). A motion fails at the first frame at which

    the pelvis height is off by more than 0.25 m,
    the pelvis orientation is off by more than 1.0 rad,
    the height of an ankle or wrist is off by more than 0.25 m in the relative frame,
    or (ours, besides) the pelvis is off by more than 1 m in the ground plane.

Relative frame: the reference moved to the robot's pelvis in x and y and turned about z by the difference of headings.
SONIC's configuration leaves a fifth, stricter rule active by the way its files merge: an ankle off by more than 0.2 m
in the relative frame. It is reported beside the others and is no part of success.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.messages import Array
from sonic_runtime.contract.rotations import (
    quat_angle,
    quat_conjugate,
    quat_from_yaw,
    quat_multiply,
    quat_rotate,
    yaw_of_quat,
)
from sonic_runtime.robots import g1

MAX_ANCHOR_HEIGHT_ERROR_M = 0.25
MAX_ANCHOR_ANGLE_RAD = 1.0
MAX_END_HEIGHT_ERROR_M = 0.25
MAX_ROOT_XY_ERROR_M = 1.0
MAX_FOOT_ERROR_M = 0.2

_TRACKED = [g1.BODY_NAMES.index(name) for name in g1.TRACKED_BODY_NAMES]
_ANCHOR = g1.BODY_NAMES.index(g1.ANCHOR_BODY)
_FEET = [g1.BODY_NAMES.index(name) for name in g1.FOOT_BODY_NAMES]
_ENDS = [*_FEET, *(g1.BODY_NAMES.index(f"{side}_wrist_yaw_link") for side in ("left", "right"))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bodies:
    """Where the links of a robot are over time.

    Attributes:
        pos_w: (T, 30, 3) f64 [m], in the order of g1.BODY_NAMES.
        quat_wxyz: (T, 30, 4) f64.
    """

    pos_w: Array
    quat_wxyz: Array

    def __len__(self) -> int:
        return len(self.pos_w)

    def frames(self, chosen: slice | npt.NDArray[np.integer]) -> Bodies:
        """Return some of the frames."""
        return Bodies(pos_w=self.pos_w[chosen], quat_wxyz=self.quat_wxyz[chosen])


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingErrors:
    """Errors of each frame, all (T,) f64.

    Attributes:
        mpjpe_l_m: mean distance of the 14 tracked bodies, pelvis positions subtracted [m].
        mpjpe_g_m: the same in the world [m].
        root_xy_m: distance of the pelvis in the ground plane [m].
        anchor_height_m: difference of pelvis heights [m].
        anchor_angle_rad: angle between pelvis orientations [rad].
        end_height_m: largest difference of height of ankles and wrists, relative frame [m].
        foot_m: larger distance of the two ankles, relative frame [m].
    """

    mpjpe_l_m: Array
    mpjpe_g_m: Array
    root_xy_m: Array
    anchor_height_m: Array
    anchor_angle_rad: Array
    end_height_m: Array
    foot_m: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipResult:
    """The outcome of one clip.

    Attributes:
        name: of the clip.
        seconds: length of the clip.
        success: whether no rule was broken and no fault occurred.
        failure: which rule was broken first, or the code of a fault; empty on success.
        failure_s: when, from the start of the clip; None on success.
        frames: frames counted in the means: to the failure or the end, without the first, where the robot was put.
        mpjpe_l_mm, mpjpe_g_mm: means over the counted frames.
        root_xy_error_m: mean over the counted frames.
        root_xy_error_max_m: largest of the counted frames.
        foot_rule: whether SONIC's stricter foot rule was kept too.
    """

    name: str
    seconds: float
    success: bool
    failure: str
    failure_s: float | None
    frames: int
    mpjpe_l_mm: float
    mpjpe_g_mm: float
    root_xy_error_m: float
    root_xy_error_max_m: float
    foot_rule: bool


def tracking_errors(robot: Bodies, reference: Bodies) -> TrackingErrors:
    """Compare two motions frame by frame; both must have the same number of frames."""
    difference = robot.pos_w[:, _TRACKED] - reference.pos_w[:, _TRACKED]
    local = difference - difference[:, :1]
    anchor = robot.pos_w[:, _ANCHOR] - reference.pos_w[:, _ANCHOR]
    relative = relative_positions(robot, reference)
    end_error = robot.pos_w[:, _ENDS, 2] - relative[:, _ENDS, 2]
    foot_error = robot.pos_w[:, _FEET] - relative[:, _FEET]
    return TrackingErrors(
        mpjpe_l_m=np.linalg.norm(local, axis=-1).mean(axis=-1),
        mpjpe_g_m=np.linalg.norm(difference, axis=-1).mean(axis=-1),
        root_xy_m=np.linalg.norm(anchor[:, :2], axis=-1),
        anchor_height_m=np.abs(anchor[:, 2]),
        anchor_angle_rad=quat_angle(robot.quat_wxyz[:, _ANCHOR], reference.quat_wxyz[:, _ANCHOR]),
        end_height_m=np.abs(end_error).max(axis=-1),
        foot_m=np.linalg.norm(foot_error, axis=-1).max(axis=-1),
    )


def relative_positions(robot: Bodies, reference: Bodies) -> Array:
    """Return the reference's bodies (T, 30, 3) [m] moved to the robot's pelvis in x and y and turned to its heading."""
    turn = quat_multiply(robot.quat_wxyz[:, _ANCHOR], quat_conjugate(reference.quat_wxyz[:, _ANCHOR]))
    offset = reference.pos_w - reference.pos_w[:, _ANCHOR : _ANCHOR + 1]
    yaw_quat = quat_from_yaw(yaw_of_quat(turn))[:, None]
    origin = np.concatenate([robot.pos_w[:, _ANCHOR, :2], reference.pos_w[:, _ANCHOR, 2:]], axis=-1)
    return origin[:, None] + quat_rotate(np.broadcast_to(yaw_quat, (*offset.shape[:2], 4)), offset)


def first_failure(errors: TrackingErrors, may_drift: bool = False) -> tuple[int, str] | None:
    """Return the first frame that breaks the rule of success and the name of the broken part, None where none does.

    A value that is not a number counts as broken.

    Args:
        errors: of each frame.
        may_drift: whether the part about the ground plane, which is ours, is left out.
    """
    rules = {
        "anchor_height": (errors.anchor_height_m, MAX_ANCHOR_HEIGHT_ERROR_M),
        "anchor_orientation": (errors.anchor_angle_rad, MAX_ANCHOR_ANGLE_RAD),
        "end_effector_height": (errors.end_height_m, MAX_END_HEIGHT_ERROR_M),
        "root_xy": (errors.root_xy_m, np.inf if may_drift else MAX_ROOT_XY_ERROR_M),
    }
    broken = np.stack([~(values <= limit) for values, limit in rules.values()])
    frames = np.flatnonzero(broken.any(axis=0))
    if not len(frames):
        return None
    frame = int(frames[0])
    return frame, list(rules)[int(np.argmax(broken[:, frame]))]


def judge_clip(
    name: str, fps: float, clip_frames: int, errors: TrackingErrors, fault: tuple[int, str] | None = None
) -> ClipResult:
    """Sum up a clip.

    Args:
        name: of the clip.
        fps: frames a second.
        clip_frames: number of frames of the clip; fewer errors mean that the run ended early.
        errors: of the frames that ran.
        fault: frame and code of a fault that ended the run, if one did.
    """
    failures = [failure for failure in (first_failure(errors), fault) if failure is not None]
    if not failures and len(errors.root_xy_m) < clip_frames:
        failures = [(len(errors.root_xy_m), "ended_early")]
    failure = min(failures) if failures else None
    last = len(errors.root_xy_m) - 1 if failure is None else failure[0]
    counted = slice(1, last + 1)
    frames = len(errors.root_xy_m[counted])
    return ClipResult(
        name=name,
        seconds=clip_frames / fps,
        success=failure is None,
        failure="" if failure is None else failure[1],
        failure_s=None if failure is None else failure[0] / fps,
        frames=frames,
        mpjpe_l_mm=_mean(errors.mpjpe_l_m[counted]) * 1000.0,
        mpjpe_g_mm=_mean(errors.mpjpe_g_m[counted]) * 1000.0,
        root_xy_error_m=_mean(errors.root_xy_m[counted]),
        root_xy_error_max_m=float(errors.root_xy_m[counted].max()) if frames else 0.0,
        foot_rule=failure is None and bool((errors.foot_m <= MAX_FOOT_ERROR_M).all()),
    )


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Means over clips: rates over clips, errors over all counted frames (long clips weigh more).

    `mpjpe_l_mm_success` is that of the clips that succeeded, None where none did.
    """

    clips: int
    success_rate: float
    mpjpe_l_mm: float
    mpjpe_g_mm: float
    root_xy_error_m: float
    success_rate_foot_rule: float
    mpjpe_l_mm_success: float | None


def summarize(results: list[ClipResult]) -> Summary:
    """Average over at least one clip."""
    succeeded = [result for result in results if result.success]
    return Summary(
        clips=len(results),
        success_rate=len(succeeded) / len(results),
        mpjpe_l_mm=_mean_over_frames(results, [r.mpjpe_l_mm for r in results]),
        mpjpe_g_mm=_mean_over_frames(results, [r.mpjpe_g_mm for r in results]),
        root_xy_error_m=_mean_over_frames(results, [r.root_xy_error_m for r in results]),
        success_rate_foot_rule=sum(result.foot_rule for result in results) / len(results),
        mpjpe_l_mm_success=_mean_over_frames(succeeded, [r.mpjpe_l_mm for r in succeeded]) if succeeded else None,
    )


def _mean_over_frames(results: list[ClipResult], values: list[float]) -> float:
    frames = sum(result.frames for result in results)
    weighted = sum(result.frames * value for result, value in zip(results, values, strict=True))
    return weighted / frames if frames else 0.0
