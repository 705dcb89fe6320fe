"""How a G1's own computer takes LowCmd messages: what it refuses, silently as the robot does, and what it obeys."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.contract.messages import Array, JointTarget
from sonic_runtime.robot_io.records import is_damping
from sonic_runtime.robot_io.unitree.crc import low_cmd_crc
from sonic_runtime.robot_io.unitree.layout import LOW_CMD_BYTES, LowCmdFields, low_cmd_fields, payload_of
from sonic_runtime.robots import g1


class Firmware:
    """The receiving end of rt/lowcmd.

    Args:
        mode_machine: variant of the robot; commands that name another one are refused.
        stock_controller: name of the controller in charge, empty for none.

    Attributes:
        mode_machine: as above; may be changed.
        stock_controller: as above; while there is one, commands are not obeyed.
        target: what the motors do; None before the first command.
        received: commands that came.
        refused: commands that were refused, by reason: "layout", "crc", "mode_machine", "mode_pr", "stock".
        last_ns: when the newest good command came [ns]; 0 before it.
        stiff_since_ns: when the first command with stiffness came [ns]; 0 before it.
        damping_since_ns: when the first of the unbroken row of good damping commands up to now was sent, heard or not
            [ns]; 0 where the newest is no damping.
    """

    def __init__(self, mode_machine: int, stock_controller: str) -> None:
        self.mode_machine = mode_machine
        self.stock_controller = stock_controller
        self.target: JointTarget | None = stock_target() if stock_controller else None
        self.received = 0
        self.refused: Counter[str] = Counter()
        self.last_ns = 0
        self.stiff_since_ns = 0
        self.damping_since_ns = 0

    def take(self, wire: bytes, heard: bool = True) -> None:
        """Take a message as it came, header included; one that is not heard, for the cable is out, does nothing."""
        self.received += heard
        try:
            payload = payload_of(wire, LOW_CMD_BYTES, "LowCmd")
        except RobotError:
            self.refused["layout"] += 1
            return
        fields = low_cmd_fields(payload)
        reason = self._why_refused(fields, payload)
        if reason:
            self.refused[reason] += 1
            return
        now_ns, target = time.monotonic_ns(), target_of_fields(fields)
        damps = is_damping(target)
        self.damping_since_ns = (self.damping_since_ns or now_ns) if damps else 0
        if not heard:
            return
        self.last_ns, self.target = now_ns, target
        if not damps:
            self.stiff_since_ns = self.stiff_since_ns or now_ns

    def release(self) -> None:
        """Let the stock controller go: the motors are limp until the next command."""
        if self.stock_controller:
            self.stock_controller = ""
            self.target = None

    def forget(self) -> None:
        """Be as one that was just switched on: limp, without a command; what was counted stays."""
        self.target = None
        self.last_ns = self.stiff_since_ns = self.damping_since_ns = 0

    def _why_refused(self, fields: LowCmdFields, payload: bytes) -> str:
        if fields.crc != low_cmd_crc(payload):
            return "crc"
        if fields.mode_machine != self.mode_machine:
            return "mode_machine"
        if fields.mode_pr != 0:
            return "mode_pr"
        return "stock" if self.stock_controller else ""


def target_of_fields(fields: LowCmdFields) -> JointTarget:
    """Return what the motors do; one that is disabled is limp."""

    def of_enabled(values: Array) -> Array:
        return np.where(fields.enabled_hw, values, 0.0)

    return JointTarget(
        joint_pos_hw=fields.joint_pos_hw,
        joint_vel_hw=fields.joint_vel_hw,
        stiffness_hw=of_enabled(fields.stiffness_hw),
        damping_hw=of_enabled(fields.damping_hw),
        torque_ff_hw=of_enabled(fields.torque_ff_hw),
    )


def stock_target() -> JointTarget:
    """Return what the simulated stock controller does: hold the default pose."""
    zeros = np.zeros(len(g1.JOINT_NAMES_HW))
    return JointTarget(
        joint_pos_hw=g1.DEFAULT_POS_HW,
        joint_vel_hw=zeros,
        stiffness_hw=g1.STIFFNESS_HW,
        damping_hw=g1.DAMPING_HW,
        torque_ff_hw=zeros,
    )
