"""One run beside its reference, frame by frame: what the report draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.contract.messages import Array
from sonic_runtime.contract.rotations import quat_multiply, quat_rotate
from sonic_runtime.results.recording import Recording
from sonic_runtime.results.tracking import Bodies, TrackingErrors, first_failure, tracking_errors
from sonic_runtime.robots.kinematics import forward_kinematics

FrameNumbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A robot and what it was to follow, in one world; T frames.

    Attributes:
        fps: frames a second.
        robot: links of the robot.
        reference: links of the reference.
        joint_pos_hw: (T, 29) f64 [rad] measured.
        reference_pos_hw: (T, 29) f64 [rad].
        errors: of each frame.
        stage_ms: (T, 6) f64 duration of the stages of the tick.
        failure_s: when the rule of success was first broken, None where it was kept.
    """

    fps: float
    robot: Bodies
    reference: Bodies
    joint_pos_hw: Array
    reference_pos_hw: Array
    errors: TrackingErrors
    stage_ms: Array
    failure_s: float | None

    def __len__(self) -> int:
        return len(self.joint_pos_hw)


def streamed_trace(
    recording: Recording,
    joints_of: Callable[[FrameNumbers], Array],
    root_poses_of: Callable[[FrameNumbers], tuple[Array, Array]],
    fps: float,
) -> Trace:
    """Put a recording of a stream beside the motion that was streamed.

    A `pose` stream of version 1 tells no place of its root. The reference is therefore laid over the robot at the
    first tracked tick: in x and y, and turned by the heading that the controller was given then. Heights are the
    motion's own.

    Args:
        recording: the run; ticks in which no stream was played, or not tracked, are left out.
        joints_of: joint angles (N, 29) [rad], hardware order, of frames by number.
        root_poses_of: root positions (N, 3) [m] and orientations (N, 4) of frames by number.
        fps: frames a second.

    Raises:
        RobotError: no tick tracked a stream.
    """
    active = np.array([mode == "active" for mode in recording.mode], dtype=bool)
    ticks = np.flatnonzero(active & (recording.frame_index >= 0))
    if not len(ticks):
        raise RobotError("expected a run in which the stream was tracked, found no such tick; the stream never arrived")
    frames = recording.frame_index[ticks]
    joint_pos_hw = joints_of(frames)
    root_pos_w, root_quat = root_poses_of(frames)
    heading = np.tile(recording.heading_quat_wxyz[ticks[0]], (len(ticks), 1))
    turned = quat_rotate(heading, root_pos_w)
    robot = recording.robot.frames(ticks)
    turned[:, :2] += robot.pos_w[0, 0, :2] - turned[0, :2]
    pos_w, quat_wxyz = forward_kinematics(turned, quat_multiply(heading, root_quat), joint_pos_hw)
    reference = Bodies(pos_w=pos_w, quat_wxyz=quat_wxyz)
    errors = tracking_errors(robot, reference)
    failure = first_failure(errors, may_drift=True)
    return Trace(
        fps=fps,
        robot=robot,
        reference=reference,
        joint_pos_hw=recording.joint_pos_hw[ticks],
        reference_pos_hw=joint_pos_hw,
        errors=errors,
        stage_ms=recording.stage_ms[ticks],
        failure_s=None if failure is None else failure[0] / fps,
    )
