"""The smaller messages of the G1 as bytes at fixed places: an IMU, and state and command of a Dex3 hand.

ImuState   54 bytes  thirteen floats, a 16-bit temperature at byte 52
HandCmd    216 bytes with seven motors: their number, then 28 bytes each: mode at 0, q 4, dq 8, tau 12, kp 16, kd 20
HandState  the number of motors, then 56 bytes each: mode at 0, q 4, dq 8, ddq 12, tau 16, two temperatures 20,
           voltage 24, sensors 28, error word 36; pressure sensors, an IMU and voltages follow
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.contract.messages import Array
from sonic_runtime.robot_io.unitree.idl import HAND_MOTORS
from sonic_runtime.robot_io.unitree.layout import HEADER, payload_of

IMU_BYTES = 54
HAND_CMD_BYTES = 4 + 28 * HAND_MOTORS + 16
_PRESS_SENSORS = 9
_HAND_STATE_BYTES = 4 + 56 * HAND_MOTORS + 4 + 104 * _PRESS_SENSORS + 56 + 16 + 8 + 8

_HAND_CMD_MOTOR = np.dtype(
    [("mode", "u1"), ("_", "u1", (3,)), *((name, "<f4") for name in ("q", "dq", "tau", "kp", "kd")), ("reserve", "<u4")]
)
_HAND_STATE_MOTOR = np.dtype(
    [
        ("mode", "u1"),
        ("_", "u1", (3,)),
        *((name, "<f4") for name in ("q", "dq", "ddq", "tau")),
        ("temperature", "<i2", (2,)),
        ("vol", "<f4"),
        ("sensor", "<u4", (2,)),
        ("error", "<u4"),
        ("reserve", "<u4", (4,)),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImuFields:
    """What an IMU says, in its own frame.

    Attributes:
        quat_wxyz: (4,) f64 orientation.
        gyro_b: (3,) f64 [rad/s].
        accel_b: (3,) f64 [m/s^2].
        rpy_rad: (3,) f64 roll, pitch, yaw.
    """

    quat_wxyz: Array
    gyro_b: Array
    accel_b: Array
    rpy_rad: Array


def imu_fields(wire: bytes) -> ImuFields:
    """Read an ImuState, header included.

    Raises:
        RobotError: the bytes are none.
    """
    # the C library pads a message to whole words on the wire, and says so in the header
    payload = payload_of(wire[: len(HEADER) + IMU_BYTES], IMU_BYTES, "IMUState")
    values = np.frombuffer(payload, dtype="<f4", count=13).astype(np.float64)
    return ImuFields(quat_wxyz=values[:4], gyro_b=values[4:7], accel_b=values[7:10], rpy_rad=values[10:])


def imu_wire(fields: ImuFields, temperature_c: int = 40) -> bytes:
    """Build an ImuState, header included. For simulated robots."""
    values = np.concatenate([fields.quat_wxyz, fields.gyro_b, fields.accel_b, fields.rpy_rad]).astype("<f4")
    return HEADER + values.tobytes() + int(temperature_c).to_bytes(2, "little", signed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandStateFields:
    """What a Dex3 hand says.

    Attributes:
        joint_pos: (7,) f64 [rad], order of the motors.
        joint_vel: (7,) f64 [rad/s].
        temperature_c: (7,) f64 [degrees Celsius], the hotter of two sensors.
        motor_error: (7,) i64, 0 where a motor is well.
    """

    joint_pos: Array
    joint_vel: Array
    temperature_c: Array
    motor_error: npt.NDArray[np.int64]


def hand_state_fields(wire: bytes) -> HandStateFields:
    """Read the motors of a HandState, header included.

    Raises:
        RobotError: the bytes are none, or of a hand with another number of motors.
    """
    body = wire[len(HEADER) :]
    count = int.from_bytes(body[:4], "little")
    if wire[:2] != HEADER[:2] or count != HAND_MOTORS or len(body) < 4 + 56 * HAND_MOTORS:
        raise RobotError(
            f"HandState: expected {HAND_MOTORS} motors of a Dex3 hand (CDR version 1, little endian), got {count} in "
            f"{len(wire)} bytes; another hand or message type is on this topic"
        )
    motors = np.frombuffer(body, dtype=_HAND_STATE_MOTOR, count=HAND_MOTORS, offset=4)
    return HandStateFields(
        joint_pos=motors["q"].astype(np.float64),
        joint_vel=motors["dq"].astype(np.float64),
        temperature_c=motors["temperature"].max(axis=1).astype(np.float64),
        motor_error=motors["error"].astype(np.int64),
    )


def hand_state_wire(fields: HandStateFields) -> bytes:
    """Build a HandState with nine silent pressure sensors, header included. For simulated robots."""
    body = bytearray(_HAND_STATE_BYTES)
    body[:4] = HAND_MOTORS.to_bytes(4, "little")
    motors = np.frombuffer(body, dtype=_HAND_STATE_MOTOR, count=HAND_MOTORS, offset=4)
    motors["mode"] = 1
    motors["q"], motors["dq"] = fields.joint_pos, fields.joint_vel
    motors["temperature"] = fields.temperature_c[:, None]
    motors["error"] = fields.motor_error
    sensors_at = 4 + 56 * HAND_MOTORS
    body[sensors_at : sensors_at + 4] = _PRESS_SENSORS.to_bytes(4, "little")
    return HEADER + bytes(body)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandCmdFields:
    """What the motors of a Dex3 hand are told.

    Attributes:
        mode: (7,) i64 number of the motor, status << 4, timeout << 7.
        joint_pos: (7,) f64 [rad].
        stiffness, damping: (7,) f64 [N m/rad], [N m s/rad].
    """

    mode: npt.NDArray[np.int64]
    joint_pos: Array
    stiffness: Array
    damping: Array


def hand_cmd_wire(fields: HandCmdFields) -> bytes:
    """Build a HandCmd, header included."""
    body = bytearray(HAND_CMD_BYTES)
    body[:4] = HAND_MOTORS.to_bytes(4, "little")
    motors = np.frombuffer(body, dtype=_HAND_CMD_MOTOR, count=HAND_MOTORS, offset=4)
    motors["mode"], motors["q"] = fields.mode, fields.joint_pos
    motors["kp"], motors["kd"] = fields.stiffness, fields.damping
    return HEADER + bytes(body)


def hand_cmd_fields(wire: bytes) -> HandCmdFields:
    """Read a HandCmd of seven motors, header included.

    Raises:
        RobotError: the bytes are none.
    """
    body = payload_of(wire, HAND_CMD_BYTES, "HandCmd")
    motors = np.frombuffer(body, dtype=_HAND_CMD_MOTOR, count=HAND_MOTORS, offset=4)
    return HandCmdFields(
        mode=motors["mode"].astype(np.int64),
        joint_pos=motors["q"].astype(np.float64),
        stiffness=motors["kp"].astype(np.float64),
        damping=motors["kd"].astype(np.float64),
    )
