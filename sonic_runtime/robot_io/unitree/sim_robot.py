"""The body of a simulated G1: physics at 500 Hz, IMUs, warm motors, hands, remote; what it measures, as messages."""

# MuJoCo's compiled modules carry no type stubs, so that pyright sees none of their names
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import math
import struct

import numpy as np

from sonic_runtime.contract.messages import Array, JointTarget, RobotState
from sonic_runtime.robot_io.gantry import GantryRobot, StartPose
from sonic_runtime.robot_io.records import GANTRY_HOLD
from sonic_runtime.robot_io.unitree.hands import HAND_LIMITS
from sonic_runtime.robot_io.unitree.layout import LowStateFields, low_state_wire
from sonic_runtime.robot_io.unitree.layout_small import (
    HandCmdFields,
    HandStateFields,
    ImuFields,
    hand_state_wire,
    imu_wire,
)
from sonic_runtime.robots import g1

STATE_HZ = 500.0
"""Rate of rt/lowstate, of the physics, and of the motors' PD law [1/s]."""
REMOTE_BUTTONS = (
    *("R1", "L1", "start", "select", "R2", "L2", "F1", "F2"),
    *("A", "B", "X", "Y", "up", "right", "down", "left"),
)
"""Names of the bits of the remote's button word, from the lowest; xRockerBtnDataStruct of Unitree's SDK."""
_ROOM_C = 30.0
_WARM_C_PER_S = 1.0
_COOL_S = 60.0
"""A motor at its full effort warms by 1 degree a second, and by 60 in the end; a guess, no measurement."""
_FINGER_S = 0.1


class SimBody:
    """The simulated robot without its network.

    Args:
        start: as in `GantryRobot`.

    Attributes:
        gantry_robot: physics and support band.
        temperature_c_hw: (29,) of the motors [degrees Celsius].
        error_hw: (29,) i64 error words of the motors.
        buttons: button word of the remote; None for no remote.
        tick: count of states.
    """

    def __init__(self, start: StartPose) -> None:
        self.gantry_robot = GantryRobot(start, GANTRY_HOLD, physics_hz=STATE_HZ)
        self.temperature_c_hw = np.full(len(g1.JOINT_NAMES_HW), _ROOM_C)
        self.error_hw = np.zeros(len(g1.JOINT_NAMES_HW), dtype=np.int64)
        self.buttons: int | None = 0
        self.tick = 0
        self._state = self.gantry_robot.sim.read()
        self._finger_pos = np.zeros((2, HAND_LIMITS.shape[1]))
        self._finger_vel = np.zeros_like(self._finger_pos)
        self._finger_cmd: list[HandCmdFields | None] = [None, None]
        model = self.gantry_robot.sim.model
        self._sensors = {
            site: [
                slice(int(model.sensor(f"{site}_{kind}").adr[0]), int(model.sensor(f"{site}_{kind}").adr[0]) + size)
                for kind, size in (("quat", 4), ("gyro", 3), ("accelerometer", 3))
            ]
            for site in ("imu_in_pelvis", "imu_in_torso")
        }

    @property
    def state(self) -> RobotState:
        """What the simulator knows."""
        return self._state

    def step(self, target: JointTarget | None, freeze_tick: bool = False) -> None:
        """Advance physics, temperatures and fingers by 2 ms."""
        self._state = self.gantry_robot.step(target)
        load = (self._state.joint_torque_hw / g1.EFFORT_LIMIT_HW) ** 2
        self.temperature_c_hw += (_WARM_C_PER_S * load - (self.temperature_c_hw - _ROOM_C) / _COOL_S) / STATE_HZ
        self._move_fingers()
        if not freeze_tick:
            self.tick += 1

    def command_hand(self, hand: int, command: HandCmdFields) -> None:
        """Take a command of a hand, 0 for the left one."""
        self._finger_cmd[hand] = command

    def low_state(self, mode_machine: int, hot_hw: Array | None = None) -> bytes:
        """Return the LowState of this moment, header included.

        Args:
            mode_machine: variant of the robot.
            hot_hw: (29,) temperatures to tell in place of its own; None for its own.
        """
        imu = self.imu("imu_in_pelvis")
        fields = LowStateFields(
            tick=self.tick,
            mode_pr=0,
            mode_machine=mode_machine,
            quat_wxyz=imu.quat_wxyz,
            gyro_b=imu.gyro_b,
            accel_b=imu.accel_b,
            joint_pos_hw=self._state.joint_pos_hw,
            joint_vel_hw=self._state.joint_vel_hw,
            joint_torque_hw=self._state.joint_torque_hw,
            temperature_c_hw=self.temperature_c_hw if hot_hw is None else hot_hw,
            motor_error_hw=self.error_hw,
            wireless_remote=self._remote(),
            crc=0,
        )
        return low_state_wire(fields, imu.rpy_rad.tolist())

    def torso_imu(self) -> bytes:
        """Return the ImuState of the torso, header included."""
        return imu_wire(self.imu("imu_in_torso"))

    def fingers(self) -> list[list[float]]:
        """Return the angles [rad] of the left and the right hand's motors."""
        return self._finger_pos.tolist()

    def hand_state(self, hand: int) -> bytes:
        """Return the HandState of a hand, 0 for the left one, header included."""
        none = np.zeros(HAND_LIMITS.shape[1])
        return hand_state_wire(
            HandStateFields(
                joint_pos=self._finger_pos[hand],
                joint_vel=self._finger_vel[hand],
                temperature_c=none + _ROOM_C,
                motor_error=none.astype(np.int64),
            )
        )

    def imu(self, site: str) -> ImuFields:
        """Return what an IMU measures."""
        quat, gyro, accel = (self.gantry_robot.sim.data.sensordata[where] for where in self._sensors[site])
        if not quat.any():
            # before the first step
            quat = np.array([1.0, 0.0, 0.0, 0.0])
        return ImuFields(quat_wxyz=quat, gyro_b=gyro, accel_b=accel, rpy_rad=np.array(roll_pitch_yaw(quat)))

    def _move_fingers(self) -> None:
        for hand, command in enumerate(self._finger_cmd):
            if command is None or not command.stiffness.any():
                continue
            before = self._finger_pos[hand].copy()
            wanted = np.clip(command.joint_pos, HAND_LIMITS[hand, :, 0], HAND_LIMITS[hand, :, 1])
            self._finger_pos[hand] += (wanted - before) / (_FINGER_S * STATE_HZ)
            self._finger_vel[hand] = (self._finger_pos[hand] - before) * STATE_HZ

    def _remote(self) -> bytes:
        if self.buttons is None:
            return bytes(40)
        return struct.pack("<2sH5f16x", b"\x55\x51", self.buttons, 0.0, 0.0, 0.0, 0.0, 0.0)


def roll_pitch_yaw(quat_wxyz: Array) -> tuple[float, float, float]:
    """Return the angles [rad] of a rotation about the fixed axes x, y, z, in this order."""
    w, x, y, z = quat_wxyz.tolist()
    roll = math.atan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
    pitch = math.asin(max(-1.0, min(1.0, 2.0 * (w * y - z * x))))
    yaw = math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    return roll, pitch, yaw


def button_word(names: str) -> int | None:
    """Return the button word of names joined by "+", such as "L2+R2"; empty for no button, None for an unknown one."""
    wanted = [name for name in names.split("+") if name]
    if any(name not in REMOTE_BUTTONS for name in wanted):
        return None
    return sum(1 << REMOTE_BUTTONS.index(name) for name in wanted)
