"""What is in the mailboxes: one layout for each kind of record, and its way from and to the runtime's messages.

Arrays of 29 are in hardware order; units as in `contract.messages`. Times are of the machine's monotonic clock [ns],
which all its processes share.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sonic_runtime.contract.messages import JointTarget, RobotState
from sonic_runtime.robot_io.mailbox import MailboxWriter, Record
from sonic_runtime.robots import g1

_N = len(g1.JOINT_NAMES_HW)
_REMOTE_BYTES = 40

KIND_TARGET, KIND_END = 1, 2
"""Kind of a motor command: a target to repeat; or the end, before which the motors are damped a last time."""

MOTOR_COMMAND = np.dtype(
    [
        ("stamp_ns", "<i8"),
        ("kind", "<u8"),
        ("joint_pos_hw", "<f8", (_N,)),
        ("joint_vel_hw", "<f8", (_N,)),
        ("stiffness_hw", "<f8", (_N,)),
        ("damping_hw", "<f8", (_N,)),
        ("torque_ff_hw", "<f8", (_N,)),
    ]
)
"""A joint target, and when it was put here."""

_BASE_POS, _TEMPERATURE, _ERROR, _REMOTE = 1, 2, 4, 8

ROBOT_STATE = np.dtype(
    [
        ("stamp_ns", "<i8"),
        ("has", "<u8"),
        ("joint_pos_hw", "<f8", (_N,)),
        ("joint_vel_hw", "<f8", (_N,)),
        ("base_quat_wxyz", "<f8", (4,)),
        ("base_ang_vel_b", "<f8", (3,)),
        ("joint_torque_hw", "<f8", (_N,)),
        ("base_pos_w", "<f8", (3,)),
        ("motor_temperature_c_hw", "<f8", (_N,)),
        ("motor_error_hw", "<i8", (_N,)),
        ("wireless_remote", "<u1", (_REMOTE_BYTES,)),
    ]
)
"""A robot state; `has` says which of the optional fields mean something."""

PHASE_IDLE, PHASE_COMMAND, PHASE_DAMPING = 0, 1, 2
PHASES = ("idle: no command yet", "repeats the last command", "damping")
REASONS = (
    "",
    "the last command of the loop is too old",
    "the process of the loop has ended",
    "it was asked to terminate from outside",
    "the robot took no command",
    "the loop asked for the end",
)
REASON_AGE, REASON_PARENT, REASON_SIGTERM, REASON_OUTPUT, REASON_END = 1, 2, 3, 4, 5

WRITER_STATUS = np.dtype(
    [
        ("stamp_ns", "<i8"),
        ("cycles", "<u8"),
        ("phase", "<u8"),
        ("reason", "<u8"),
        ("age_ns", "<i8"),
        ("missed", "<u8"),
    ]
)
"""The writer's heartbeat: when, how many cycles, what it writes (PHASE_*) and why (REASON_*), how old the command was
when it went to damping, and how many cycles it had to leave out."""

GANTRY_FREE, GANTRY_HOLD, GANTRY_LOWER = 0, 1, 2

SIM_CONTROL = np.dtype([("gantry", "<u8"), ("resets", "<u8"), ("end", "<u8")])
"""What is asked of the simulated robot: the gantry's work (GANTRY_*), how many resets so far, and whether to end."""

SIM_STATUS = np.dtype(
    [
        ("stamp_ns", "<i8"),
        ("steps", "<u8"),
        ("commands", "<u8"),
        ("last_command_ns", "<i8"),
        ("damping_since_ns", "<i8"),
        ("skipped_ns", "<i8"),
        ("speed", "<f8"),
        ("held", "<u8"),
        ("resets", "<u8"),
    ]
)
"""What the simulated robot did: steps, commands received and when the last one was, since when every received command
was damping (0 where the last one was not), time left out because the machine was too slow, speed over the last second
(1 is real time), whether the gantry carries the robot, and how often it was reset."""


def damping_target(gain_nm_s_per_rad: float) -> JointTarget:
    """Return the target that brakes every joint: no stiffness, the same velocity gain everywhere [N m s/rad]."""
    zeros = np.zeros(_N)
    return JointTarget(
        joint_pos_hw=zeros,
        joint_vel_hw=zeros,
        stiffness_hw=zeros,
        damping_hw=np.full(_N, gain_nm_s_per_rad),
        torque_ff_hw=zeros,
    )


def is_damping(target: JointTarget) -> bool:
    """Return whether a target only brakes: no stiffness, no wanted velocity, no torque of its own."""
    pushes = target.stiffness_hw.any() or target.joint_vel_hw.any() or target.torque_ff_hw.any()
    return not pushes and bool((target.damping_hw > 0.0).all())


def put_target(box: MailboxWriter, target: JointTarget, stamp_ns: int, kind: int = KIND_TARGET) -> None:
    """Put a joint target into a mailbox of `MOTOR_COMMAND`."""
    fields = box.fields
    fields["stamp_ns"] = stamp_ns
    fields["kind"] = kind
    fields["joint_pos_hw"] = target.joint_pos_hw
    fields["joint_vel_hw"] = target.joint_vel_hw
    fields["stiffness_hw"] = target.stiffness_hw
    fields["damping_hw"] = target.damping_hw
    fields["torque_ff_hw"] = target.torque_ff_hw
    box.put()


def target_of(record: Record) -> JointTarget:
    """Return the joint target of a record of `MOTOR_COMMAND`; its arrays are read-only."""
    fields = record.fields
    return JointTarget(
        joint_pos_hw=fields["joint_pos_hw"][0],
        joint_vel_hw=fields["joint_vel_hw"][0],
        stiffness_hw=fields["stiffness_hw"][0],
        damping_hw=fields["damping_hw"][0],
        torque_ff_hw=fields["torque_ff_hw"][0],
    )


def put_state(box: MailboxWriter, state: RobotState) -> None:
    """Put a robot state into a mailbox of `ROBOT_STATE`."""
    fields = box.fields
    fields["stamp_ns"] = state.stamp_ns
    fields["joint_pos_hw"] = state.joint_pos_hw
    fields["joint_vel_hw"] = state.joint_vel_hw
    fields["base_quat_wxyz"] = state.base_quat_wxyz
    fields["base_ang_vel_b"] = state.base_ang_vel_b
    fields["joint_torque_hw"] = state.joint_torque_hw
    has = 0
    optional = (
        (_BASE_POS, "base_pos_w", state.base_pos_w),
        (_TEMPERATURE, "motor_temperature_c_hw", state.motor_temperature_c_hw),
        (_ERROR, "motor_error_hw", state.motor_error_hw),
        (_REMOTE, "wireless_remote", None if state.wireless_remote is None else list(state.wireless_remote)),
    )
    for bit, name, value in optional:
        if value is not None:
            has |= bit
            fields[name] = value
    fields["has"] = has
    box.put()


def state_of(record: Record) -> RobotState:
    """Return the robot state of a record of `ROBOT_STATE`; its arrays are read-only."""
    fields: Any = record.fields
    has = int(fields["has"][0])
    return RobotState(
        stamp_ns=int(fields["stamp_ns"][0]),
        joint_pos_hw=fields["joint_pos_hw"][0],
        joint_vel_hw=fields["joint_vel_hw"][0],
        base_quat_wxyz=fields["base_quat_wxyz"][0],
        base_ang_vel_b=fields["base_ang_vel_b"][0],
        joint_torque_hw=fields["joint_torque_hw"][0],
        base_pos_w=fields["base_pos_w"][0] if has & _BASE_POS else None,
        motor_temperature_c_hw=fields["motor_temperature_c_hw"][0] if has & _TEMPERATURE else None,
        motor_error_hw=fields["motor_error_hw"][0] if has & _ERROR else None,
        wireless_remote=fields["wireless_remote"][0].tobytes() if has & _REMOTE else None,
    )
