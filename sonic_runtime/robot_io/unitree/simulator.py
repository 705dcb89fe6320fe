"""A simulated G1 on a network, 500 times a second: body, firmware, topics, faults and the band that carries it."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import numpy as np

from sonic_runtime.contract.errors import ConfigError, RobotError
from sonic_runtime.contract.messages import Array
from sonic_runtime.robot_io.records import GANTRY_FREE, GANTRY_HOLD, GANTRY_LOWER
from sonic_runtime.robot_io.unitree.bus import Bus
from sonic_runtime.robot_io.unitree.hands import SIDES
from sonic_runtime.robot_io.unitree.layout_small import hand_cmd_fields
from sonic_runtime.robot_io.unitree.motor_output import low_cmd_of
from sonic_runtime.robot_io.unitree.sim_bus import SimBus, SimMotionSwitcher
from sonic_runtime.robot_io.unitree.sim_config import Band, Faults, SimConfig, joint_index
from sonic_runtime.robot_io.unitree.sim_firmware import Firmware, stock_target
from sonic_runtime.robot_io.unitree.sim_robot import STATE_HZ, SimBody, button_word

_HAND_EVERY = 5
_SERVE_EVERY = 5
_VITALS_EVERY = round(STATE_HZ)
_PRESS_NS = 200_000_000
_ERROR_WORD = 1
_GANTRY = {"hold": GANTRY_HOLD, "lower": GANTRY_LOWER, "free": GANTRY_FREE}


class SimReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a simulated robot did so far; times on the machine's monotonic clock [ns].

    Attributes:
        now_ns: when this was written.
        steps: steps of 2 ms.
        commands: commands received, the refused ones included.
        refused: commands refused, by reason.
        last_command_ns: when the newest good command came; 0 before it.
        damping_since_ns: when the first of the unbroken row of damping commands up to now was sent, whether the cable
            is in or out; 0 where the newest is no damping.
        stock_controller: name of the one in charge, empty for none.
        held: whether the band carries it.
        height_m: height of the pelvis.
        pos_w: (3,) [m] place of the pelvis.
        joint_pos_hw: (29,) [rad].
        fingers: (2, 7) [rad] of the left and the right hand.
        hottest_c: temperature of its hottest motor.
        skipped_s: time left out because the machine was too slow [s].
        faults: what goes wrong now.
    """

    now_ns: int
    steps: int
    commands: int
    refused: dict[str, int]
    last_command_ns: int
    damping_since_ns: int
    stock_controller: str
    held: bool
    height_m: float
    pos_w: list[float]
    joint_pos_hw: list[float]
    fingers: list[list[float]]
    hottest_c: float
    skipped_s: float
    faults: Faults


class Simulator:
    """A simulated robot, without its clock.

    Args:
        config: what it is.

    Attributes:
        skipped_s: time left out so far [s].
        body: the robot.
        firmware: what takes its commands.

    Raises:
        ConfigError: a fault names a joint that a G1 does not have.
        RobotError: the network cannot be used, or has a robot already.
    """

    def __init__(self, config: SimConfig) -> None:
        self.skipped_s = 0.0
        self.body = SimBody(config.start)
        self.firmware = Firmware(config.mode_machine, config.stock_controller or "")
        self._config = config
        self._bus = Bus(config.interface, config.domain, "simulated-robot")
        self._topics = SimBus(self._bus, config.seed)
        self._switcher = SimMotionSwitcher(self._bus, self.firmware)
        self._band: Band = config.band
        self._charge = config.battery_percent
        self._pressed_until_ns = 0
        self._hot_hw: Array | None = None
        self._faults = Faults()
        self._steps = 0
        self._stock_command = low_cmd_of(stock_target(), config.mode_machine, np.ones(29, dtype=bool))
        self.body.buttons = 0 if config.remote else None
        self.set_faults(config.faults)

    def step(self, now_ns: int) -> None:
        """Take commands, advance by 2 ms, send what the robot measures."""
        faults, firmware, topics, body = self._faults, self.firmware, self._topics, self.body
        cable = not faults.cable_out
        for wire in topics.commands():
            firmware.take(wire, heard=cable)
        self._hold(now_ns)
        body.step(firmware.target, faults.freeze_tick)
        if now_ns > self._pressed_until_ns > 0:
            body.buttons, self._pressed_until_ns = 0, 0
        topics.send_state(body.low_state(firmware.mode_machine, self._hot_hw), faults, now_ns)
        if cable:
            topics.send_torso(body.torso_imu())
            self._send_slow()
        self._steps += 1

    def tell(self, order: dict[str, Any]) -> SimReport:
        """Do what is asked and return how the robot is.

        Args:
            order: keys are those of `Faults`, and: "band", "buttons" (names joined by "+", held), "press" (the same,
                for 0.2 s), "mode_machine", "stock_controller" (null lets it go), "battery_percent", "reset".

        Raises:
            ConfigError: a key or a value is none of these.
        """
        faults = {key: value for key, value in order.items() if key in Faults.__struct_fields__}
        if faults:
            self.set_faults(_convert({**msgspec.structs.asdict(self._faults), **faults}, Faults))
        for key in order.keys() - faults.keys():
            self._set(key, order[key])
        return self.report()

    def set_faults(self, faults: Faults) -> None:
        """Let things go wrong from now on.

        Raises:
            ConfigError: a joint is none of a G1.
        """
        joints = {name: joint_index(name) for name in (faults.motor_error, faults.hot) if name is not None}
        for name, index in joints.items():
            if index is None:
                raise ConfigError(f"faults: expected a joint of the G1 such as left_knee, got {name!r}")
        self._faults = faults
        self.body.error_hw[:] = 0
        self._hot_hw = None
        if faults.motor_error is not None:
            self.body.error_hw[joints[faults.motor_error]] = _ERROR_WORD
        if faults.hot is not None:
            self._hot_hw = self.body.temperature_c_hw.copy()
            self._hot_hw[joints[faults.hot]] = faults.hot_c

    def report(self) -> SimReport:
        """Return how the robot is."""
        body, firmware, state = self.body, self.firmware, self.body.state
        place = [0.0, 0.0, 0.0] if state.base_pos_w is None else state.base_pos_w.tolist()
        return SimReport(
            now_ns=time.monotonic_ns(),
            steps=self._steps,
            commands=firmware.received,
            refused=dict(firmware.refused),
            last_command_ns=firmware.last_ns,
            damping_since_ns=firmware.damping_since_ns,
            stock_controller=firmware.stock_controller,
            held=body.gantry_robot.held,
            height_m=place[2],
            pos_w=place,
            joint_pos_hw=state.joint_pos_hw.tolist(),
            fingers=body.fingers(),
            hottest_c=float(body.temperature_c_hw.max()),
            skipped_s=self.skipped_s,
            faults=self._faults,
        )

    def _set(self, key: str, value: Any) -> None:
        match key:
            case "band":
                self._band = _convert(value, Band)
            case "reset":
                self.body.gantry_robot.gantry = GANTRY_HOLD
                self.body.gantry_robot.reset()
                self.firmware.forget()
            case "buttons" | "press":
                word = button_word(str(value))
                if word is None:
                    raise ConfigError(f"{key}: expected names of buttons joined by +, such as L2+start, got {value!r}")
                self.body.buttons = word
                self._pressed_until_ns = time.monotonic_ns() + _PRESS_NS if key == "press" else 0
            case "mode_machine":
                self.firmware.mode_machine = _convert(value, int)
            case "battery_percent":
                self._charge = _convert(value, int)
            case "stock_controller" if not value:
                self.firmware.release()
            case _:
                raise ConfigError(
                    f"{key}={value}: expected one of {', '.join(Faults.__struct_fields__)}, band, buttons, press, "
                    "mode_machine, stock_controller, battery_percent, reset"
                )

    def _hold(self, now_ns: int) -> None:
        robot, band = self.body.gantry_robot, self._band
        if band == "auto":
            stiff_ns = self.firmware.stiff_since_ns
            gone = stiff_ns and now_ns - stiff_ns > self._config.band_s * 1e9
            band = "hold" if not stiff_ns else "free" if gone else "lower"
        robot.gantry = _GANTRY[band]

    def _send_slow(self) -> None:
        topics = self._topics
        if self._config.hands and self._steps % _HAND_EVERY == 0:
            for hand in range(len(SIDES)):
                self._take_hand(hand)
                topics.send_hand(hand, self.body.hand_state(hand))
        if self._steps % _SERVE_EVERY == 0:
            self._switcher.serve(self._stock_command)
        if self._steps % _VITALS_EVERY == 0:
            topics.send_vitals(self._charge)

    def _take_hand(self, hand: int) -> None:
        for wire in self._topics.hand_commands(hand):
            try:
                self.body.command_hand(hand, hand_cmd_fields(wire))
            except RobotError:
                self.firmware.refused["hand"] += 1


def _convert(value: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"sonic-sim: {error}, found {value!r}") from error
