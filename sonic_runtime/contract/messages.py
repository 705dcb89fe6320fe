"""What the stages of a tick hand to each other. Immutable; arrays that leave `sense` are not written to again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.operator import OperatorEvent

Array = npt.NDArray[np.floating]
Mode = Literal["waiting", "ramp", "ready", "stand", "active", "damping"]
"""Where a run stands; sonic_runtime/guard/modes.py says what each means and what leads from one to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotState:
    """What the robot measured.

    Attributes:
        stamp_ns: time of measurement on the clock of the loop [ns].
        joint_pos_hw: (29,) f64 [rad], hardware order, absolute.
        joint_vel_hw: (29,) f64 [rad/s], hardware order.
        base_quat_wxyz: (4,) f64 pelvis orientation in the world, from the pelvis IMU.
        base_ang_vel_b: (3,) f64 [rad/s], pelvis gyro, body frame.
        joint_torque_hw: (29,) f64 [N m], hardware order; zeros where a backend has none.
        base_pos_w: (3,) f64 [m], pelvis position; a simulator's ground truth, None on a robot. No policy sees it.
        motor_temperature_c_hw: (29,) f64 [degrees Celsius], the hotter of a motor's two sensors; None where a backend
            has none.
        motor_error_hw: (29,) i64 error word of each motor, 0 where it is well; None where a backend has none.
        wireless_remote: the 40 bytes of the robot's remote control; None where there is none.
    """

    stamp_ns: int
    joint_pos_hw: Array
    joint_vel_hw: Array
    base_quat_wxyz: Array
    base_ang_vel_b: Array
    joint_torque_hw: Array
    base_pos_w: Array | None = None
    motor_temperature_c_hw: Array | None = None
    motor_error_hw: npt.NDArray[np.int64] | None = None
    wireless_remote: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A piece of reference motion at the control rate, and the frame to track now.

    Attributes:
        joint_pos_pol: (T, 29) f64 [rad], policy order, absolute.
        joint_vel_pol: (T, 29) f64 [rad/s], policy order.
        root_quat_wxyz: (T, 4) f64 root orientation in the world of the reference.
        cursor: frame to track now, 0 <= cursor < T.
        playing: whether the cursor moves; where it does not, future frames repeat the current one at rest.
        root_pos_w: (T, 3) f64 [m] root position in the world of the reference, where known.
        vr_pos_b: (T, 3, 3) f64 [m] left wrist, right wrist, torso points in the reference root frame, where known.
        vr_quat_b_wxyz: (T, 3, 4) f64 their orientations in the reference root frame, where known.
        vr5_pos_b: (T, 5, 3) f64 [m] left wrist, right wrist, pelvis, left ankle, right ankle in the reference root
            frame, where known.
        vr5_quat_b_wxyz: (T, 5, 4) f64 their orientations in the reference root frame, where known.
        smpl_joints_b: (T, 24, 3) f64 [m] SMPL joints in the frame of the SMPL root, where known.
        smpl_root_quat_wxyz: (T, 4) f64 SMPL root orientation, z up, x forward, where known.
        smpl_pose_rad: (T, 21, 3) f64 [rad] rotation vectors of SMPL joints 1 to 21, each in its parent's frame, where
            known.
        first_index: number of frame 0 in the count of the source (a stream shows a moving window of its frames).
    """

    joint_pos_pol: Array
    joint_vel_pol: Array
    root_quat_wxyz: Array
    cursor: int
    playing: bool = True
    root_pos_w: Array | None = None
    vr_pos_b: Array | None = None
    vr_quat_b_wxyz: Array | None = None
    vr5_pos_b: Array | None = None
    vr5_quat_b_wxyz: Array | None = None
    smpl_joints_b: Array | None = None
    smpl_root_quat_wxyz: Array | None = None
    smpl_pose_rad: Array | None = None
    first_index: int = 0

    def __len__(self) -> int:
        return len(self.joint_pos_pol)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What the operator or a stream wants now.

    Attributes:
        reference: motion and the frame to track.
        encoder: encoder that reads it: "g1", "teleop" or "smpl".
        heading_quat_wxyz: (4,) f64 rotation about z that turns reference headings into the robot's world; fixed when
            tracking starts, so that the reference begins in the direction the robot faces.
        stamp_ns: when the newest data of the reference arrived, on the clock of the loop [ns].
        vr_compliance: (3,) f64 [1] how far left wrist, right wrist and torso points may give way, from 0 to 0.5; None
            where the operator says nothing.
        token: (64,) f32 ready motion token; where it is given, no encoder runs and the reference is only shown.
        hand_joint_pos: (2, 7) f64 [rad] left and right hand, in the order of the Dex3 motors; None leaves the hands.
        upper_body_pos_pol: (17,) f64 [rad] angles that replace those of the reference above the legs, in the order of
            `g1.UPPER_BODY_NAMES`; the terms of all 29 joints see them, those of a subset of joints do not.
        upper_body_vel_pol: (17,) f64 [rad/s] their velocities; None stands for zeros.
    """

    reference: Reference
    encoder: str
    heading_quat_wxyz: Array
    stamp_ns: int
    vr_compliance: Array | None = None
    token: npt.NDArray[np.float32] | None = None
    hand_joint_pos: Array | None = None
    upper_body_pos_pol: Array | None = None
    upper_body_vel_pol: Array | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JointTarget:
    """What the motors are told: torque = stiffness (pos - q) + damping (vel - dq) + torque_ff, clipped to effort.

    Attributes:
        joint_pos_hw: (29,) f64 [rad], hardware order.
        joint_vel_hw: (29,) f64 [rad/s].
        stiffness_hw: (29,) f64 [N m/rad].
        damping_hw: (29,) f64 [N m s/rad].
        torque_ff_hw: (29,) f64 [N m].
    """

    joint_pos_hw: Array
    joint_vel_hw: Array
    stiffness_hw: Array
    damping_hw: Array
    torque_ff_hw: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a controller made of a state and a goal.

    Attributes:
        target: joint target, not yet guarded.
        action_pol: (29,) f32 raw network output in policy order, or None where no network ran.
        token: (64,) f32 quantised motion token, or None.
    """

    target: JointTarget
    action_pol: Array | None = None
    token: Array | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why the guard stopped a run: `code` is a short name ("stale_stream"), `detail` a full sentence with numbers."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TickReport:
    """Everything one tick saw and did.

    Attributes:
        index: number of the tick, from 0.
        now_ns: time of the loop when the mode was decided [ns].
        state: what the robot measured.
        events: what the operator asked for since the tick before.
        goal: what to do; None where there is nothing yet.
        mode: mode of the guard.
        controller: name of the controller in charge.
        decision: what it wanted.
        target: what was written.
        fault: the first fault of the run, None while there is none.
        stage_ns: duration of sense, command, decide, act, guard, write [ns].
    """

    index: int
    now_ns: int = 0
    state: RobotState
    events: Sequence[OperatorEvent] = ()
    goal: Goal | None
    mode: Mode
    controller: str = ""
    decision: Decision
    target: JointTarget
    fault: Fault | None = None
    stage_ns: dict[str, int] = field(default_factory=dict)
