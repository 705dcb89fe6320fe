"""LowState and LowCmd as bytes at fixed places: read and built in microseconds.

Wire format: a header of 4 bytes (00 01 00 00: CDR version 1, little endian) and a payload in which numbers are aligned
to their size but structs are not, so that the mode of motor 0 sits before the padding of its neighbours. In 32-bit
words of the payload:

    LowCmd    1000 bytes  motor i: q 1+7i, dq 2+7i, tau 3+7i, kp 4+7i, kd 5+7i; mode at byte 2 (i = 0) or 28i; crc 249
    LowState  2088 bytes  tick 3, imu 4..16, motor i: q 18+14i, dq 19+14i, tau 21+14i, two 16-bit temperatures at byte
                          88+56i, error word 26+14i; remote at byte 2028; crc 521
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.contract.messages import Array
from sonic_runtime.robot_io.unitree.crc import low_cmd_crc, low_state_crc

HEADER = b"\x00\x01\x00\x00"
LOW_CMD_BYTES = 1000
LOW_STATE_BYTES = 2088
BODY_MOTORS = 29

_CMD = {name: slice(word, word + 7 * BODY_MOTORS, 7) for word, name in enumerate(("q", "dq", "tau", "kp", "kd"), 1)}
_STATE = {name: slice(word, word + 14 * BODY_MOTORS, 14) for name, word in (("q", 18), ("dq", 19), ("tau", 21))}
_STATE_MOTORS = slice(18, 18 + 14 * BODY_MOTORS)
_TEMPERATURES = tuple(slice(44 + k, 44 + k + 28 * BODY_MOTORS, 28) for k in (0, 1))
_ERRORS = slice(26, 26 + 14 * BODY_MOTORS, 14)
_REMOTE = slice(2028, 2068)


class LowStateFields(NamedTuple):
    """What a LowState says about the 29 motors, the pelvis IMU and the remote; hardware order throughout.

    Attributes:
        tick: the robot's count of messages.
        mode_pr, mode_machine: how ankles and waist are driven, and the variant of the robot.
        quat_wxyz: (4,) f64 orientation of the pelvis.
        gyro_b: (3,) f64 [rad/s].
        accel_b: (3,) f64 [m/s^2].
        joint_pos_hw, joint_vel_hw, joint_torque_hw: (29,) f64 [rad], [rad/s], [N m].
        temperature_c_hw: (29,) f64 [degrees Celsius], the hotter of the two sensors.
        motor_error_hw: (29,) i64, 0 where a motor is well.
        wireless_remote: 40 bytes.
        crc: as received.
    """

    tick: int
    mode_pr: int
    mode_machine: int
    quat_wxyz: Array
    gyro_b: Array
    accel_b: Array
    joint_pos_hw: Array
    joint_vel_hw: Array
    joint_torque_hw: Array
    temperature_c_hw: Array
    motor_error_hw: npt.NDArray[np.int64]
    wireless_remote: bytes
    crc: int


def payload_of(wire: bytes, size: int, name: str) -> bytes:
    """Return a message without its header.

    Raises:
        RobotError: the header is another one, or the size is not that of the type.
    """
    if wire[:2] != HEADER[:2] or len(wire) != 4 + size:
        raise RobotError(
            f"{name}: expected {4 + size} bytes that begin with {HEADER.hex()} (CDR version 1, little endian), got "
            f"{len(wire)} bytes that begin with {wire[:4].hex()}; another type or encoding is on this topic"
        )
    return wire[4:]


def low_state_fields(payload: bytes) -> LowStateFields:
    """Read a LowState of 2088 bytes; the checksum is returned, not checked (`low_state_crc`)."""
    floats = np.frombuffer(payload, dtype="<f4")
    words = np.frombuffer(payload, dtype="<u4")
    shorts = np.frombuffer(payload, dtype="<i2")
    imu = floats[4:17].astype(np.float64)
    # q, dq, ddq and torque of all motors in one go: numpy's calls cost more than its copies
    motors = np.array(floats[_STATE_MOTORS].reshape(BODY_MOTORS, 14)[:, :4].T, dtype=np.float64, order="C")
    return LowStateFields(
        tick=int(words[3]),
        mode_pr=payload[8],
        mode_machine=payload[9],
        quat_wxyz=imu[:4],
        gyro_b=imu[4:7],
        accel_b=imu[7:10],
        joint_pos_hw=motors[0],
        joint_vel_hw=motors[1],
        joint_torque_hw=motors[3],
        temperature_c_hw=np.maximum(shorts[_TEMPERATURES[0]], shorts[_TEMPERATURES[1]]).astype(np.float64),
        motor_error_hw=words[_ERRORS].astype(np.int64),
        wireless_remote=payload[_REMOTE],
        crc=int(words[521]),
    )


def low_state_wire(fields: LowStateFields, rpy_rad: Sequence[float] = (0.0, 0.0, 0.0)) -> bytes:
    """Build a LowState, with header and checksum; `fields.crc` is not used. For simulated robots."""
    words = np.zeros(LOW_STATE_BYTES // 4, dtype="<u4")
    floats, shorts, raw = words.view("<f4"), words.view("<i2"), words.view(np.uint8)
    words[3] = fields.tick & 0xFFFFFFFF
    raw[8], raw[9] = fields.mode_pr, fields.mode_machine
    floats[4:17] = np.concatenate([fields.quat_wxyz, fields.gyro_b, fields.accel_b, np.asarray(rpy_rad)])
    floats[_STATE["q"]] = fields.joint_pos_hw
    floats[_STATE["dq"]] = fields.joint_vel_hw
    floats[_STATE["tau"]] = fields.joint_torque_hw
    for sensor in _TEMPERATURES:
        shorts[sensor] = fields.temperature_c_hw
    words[_ERRORS] = fields.motor_error_hw
    raw[70] = 1
    raw[68 + 56 : 68 + 56 * BODY_MOTORS : 56] = 1
    raw[_REMOTE] = np.frombuffer(fields.wireless_remote, dtype=np.uint8)
    words[521] = low_state_crc(words.tobytes())
    return HEADER + words.tobytes()


class LowCmdFields(NamedTuple):
    """What a LowCmd tells the 29 motors; hardware order, units as in JointTarget.

    Attributes:
        mode_pr, mode_machine: as in LowStateFields; mode_machine is echoed from the robot.
        enabled_hw: (29,) bool.
        joint_pos_hw, joint_vel_hw, torque_ff_hw, stiffness_hw, damping_hw: (29,) f64.
        crc: as received; `low_cmd_wire` makes its own.
    """

    mode_pr: int
    mode_machine: int
    enabled_hw: npt.NDArray[np.bool_]
    joint_pos_hw: Array
    joint_vel_hw: Array
    torque_ff_hw: Array
    stiffness_hw: Array
    damping_hw: Array
    crc: int = 0


def low_cmd_fields(payload: bytes) -> LowCmdFields:
    """Read a LowCmd of 1000 bytes; the checksum is returned, not checked (`low_cmd_crc`)."""
    floats = np.frombuffer(payload, dtype="<f4")
    raw = np.frombuffer(payload, dtype=np.uint8)
    enabled = raw[0 : 28 * BODY_MOTORS : 28] == 1
    enabled[0] = raw[2] == 1
    values = {name: floats[where].astype(np.float64) for name, where in _CMD.items()}
    return LowCmdFields(
        mode_pr=payload[0],
        mode_machine=payload[1],
        enabled_hw=enabled,
        joint_pos_hw=values["q"],
        joint_vel_hw=values["dq"],
        torque_ff_hw=values["tau"],
        stiffness_hw=values["kp"],
        damping_hw=values["kd"],
        crc=int(np.frombuffer(payload, dtype="<u4")[249]),
    )


def low_cmd_wire(fields: LowCmdFields) -> bytes:
    """Build a LowCmd, with header and checksum; motors 29 to 34 stay disabled."""
    words = np.zeros(LOW_CMD_BYTES // 4, dtype="<u4")
    floats, raw = words.view("<f4"), words.view(np.uint8)
    raw[0 : 28 * BODY_MOTORS : 28] = fields.enabled_hw
    raw[0], raw[1], raw[2] = fields.mode_pr, fields.mode_machine, fields.enabled_hw[0]
    floats[_CMD["q"]] = fields.joint_pos_hw
    floats[_CMD["dq"]] = fields.joint_vel_hw
    floats[_CMD["tau"]] = fields.torque_ff_hw
    floats[_CMD["kp"]] = fields.stiffness_hw
    floats[_CMD["kd"]] = fields.damping_hw
    words[249] = low_cmd_crc(words.tobytes())
    return HEADER + words.tobytes()
