"""The DDS side of a simulated G1: its topics, the way of its messages through a bad cable, and its motion switcher."""

from __future__ import annotations

import json
import random
import time
from collections import deque
from typing import Any

from cyclonedds.core import DDSException
from cyclonedds.idl import IdlStruct
from cyclonedds.pub import DataWriter
from cyclonedds.qos import Policy, Qos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.robot_io.unitree import idl
from sonic_runtime.robot_io.unitree.bus import LOW_CMD, LOW_STATE, TORSO_IMU, Bus
from sonic_runtime.robot_io.unitree.hands import SIDES, hand_cmd_topic, hand_state_topic
from sonic_runtime.robot_io.unitree.idl import message_of, wire_of
from sonic_runtime.robot_io.unitree.motion_switcher import CHECK_MODE, RELEASE_MODE, REQUESTS, RESPONSES
from sonic_runtime.robot_io.unitree.sim_config import Faults
from sonic_runtime.robot_io.unitree.sim_firmware import Firmware
from sonic_runtime.robot_io.unitree.vitals import BATTERY, MAIN_BOARD

_KEPT = 16
"""Commands that wait between two steps of the simulation."""
_DISCOVERY_S = 0.6
_BAD_CRC_AT = -1
"""The last byte of a LowState is one of its checksum."""


class SimBus:
    """Topics of a simulated robot.

    Args:
        bus: the network.
        seed: of the dice of the faults.

    Raises:
        RobotError: there is a robot on this network already.
    """

    def __init__(self, bus: Bus, seed: int) -> None:
        self._bus = bus
        self._dice = random.Random(seed)
        self._under_way: deque[tuple[int, bytes]] = deque()
        self._last_due_ns = 0
        time.sleep(_DISCOVERY_S)
        if bus.publishers(LOW_STATE).count:
            raise RobotError(
                f"{LOW_STATE} on {bus.where()}: expected no robot here, found one; a simulator beside a robot would "
                "answer in its place. Choose another domain, or end the other program"
            )
        qos = Qos(Policy.Reliability.BestEffort, Policy.History.KeepLast(_KEPT), Policy.IgnoreLocal.Participant)
        self._commands = self._reader(LOW_CMD, idl.LowCmd, qos)
        self._hand_commands = [self._reader(hand_cmd_topic(side), idl.HandCmd, qos) for side in SIDES]
        self._low_state: Any = self._writer(LOW_STATE, idl.LowState)
        self._torso = self._writer(TORSO_IMU, idl.ImuState)
        self._hand_states = [self._writer(hand_state_topic(side), idl.HandState) for side in SIDES]
        self._battery = self._writer(BATTERY, idl.BmsState)
        self._board = self._writer(MAIN_BOARD, idl.MainBoardState)

    def commands(self) -> list[bytes]:
        """Return the LowCmd messages that came since the last call, header included."""
        return [wire_of(message) for message in _taken(self._commands, idl.LowCmd)]

    def hand_commands(self, hand: int) -> list[bytes]:
        """Return the HandCmd messages of a hand that came since the last call, header included."""
        return [wire_of(message) for message in _taken(self._hand_commands[hand], idl.HandCmd)]

    def send_state(self, wire: bytes, faults: Faults, now_ns: int) -> None:
        """Send a LowState on its way, and let those arrive whose time has come."""
        if faults.silent != (self._low_state is None):
            self._low_state = None if faults.silent else self._writer(LOW_STATE, idl.LowState)
        if not (faults.drop and self._dice.random() < faults.drop):
            if faults.corrupt_crc and self._dice.random() < faults.corrupt_crc:
                wire = wire[:_BAD_CRC_AT] + bytes([wire[_BAD_CRC_AT] ^ 0xFF])
            due_ns = now_ns + round(1e6 * (faults.delay_ms + faults.jitter_ms * self._dice.random()))
            self._last_due_ns = max(self._last_due_ns, due_ns) if faults.delay_ms or faults.jitter_ms else now_ns
            self._under_way.append((self._last_due_ns, wire))
        # once nothing delays them any more, those that were under way come too
        while self._under_way and min(self._under_way[0][0], self._last_due_ns) <= now_ns:
            _, arrived = self._under_way.popleft()
            if self._low_state is not None and not faults.cable_out:
                self._low_state.write(message_of(idl.LowState, arrived))

    def send_torso(self, wire: bytes) -> None:
        """Send the state of the torso's IMU."""
        self._torso.write(message_of(idl.ImuState, wire))

    def send_hand(self, hand: int, wire: bytes) -> None:
        """Send the state of a hand, 0 for the left one."""
        self._hand_states[hand].write(message_of(idl.HandState, wire))

    def send_vitals(self, charge_percent: int) -> None:
        """Send the states of battery and main board."""
        # cyclonedds' array types are no lists to a type checker
        bms: Any = ([4000] * 13 + [0] * 27, [52_000] * 3, [30] * 12, [0] * 5, [0] * 3)
        cells, voltages, temperatures, states, reserve = bms
        self._battery.write(
            idl.BmsState(1, 0, 0, cells, voltages, 0, charge_percent, 100, temperatures, 1, 0, states, reserve)
        )
        board: Any = ([1] * 6, [40] * 6, [0.0] * 6, [0] * 6)
        self._board.write(idl.MainBoardState(*board))

    def _reader(self, name: str, kind: type[IdlStruct], qos: Qos) -> Any:
        return DataReader(self._bus.participant, Topic(self._bus.participant, name, kind), qos)

    def _writer(self, name: str, kind: type[IdlStruct]) -> Any:
        return DataWriter(self._bus.participant, Topic(self._bus.participant, name, kind), self._bus.writer_qos())


class SimMotionSwitcher:
    """The service that owns the stock controller.

    While one is in charge it sends commands of its own, as it does on a robot.

    Args:
        bus: the network.
        firmware: what it controls.
    """

    def __init__(self, bus: Bus, firmware: Firmware) -> None:
        self._firmware = firmware
        participant = bus.participant
        qos = Qos(Policy.Reliability.Reliable(max_blocking_time=0), Policy.History.KeepLast(10))
        self._requests: Any = DataReader(participant, Topic(participant, REQUESTS, idl.Request), qos)
        self._responses: Any = DataWriter(participant, Topic(participant, RESPONSES, idl.Response), qos)
        self._stock: Any = None
        if firmware.stock_controller:
            self._stock = DataWriter(participant, Topic(participant, LOW_CMD, idl.LowCmd), bus.writer_qos())

    def serve(self, stock_command: bytes) -> None:
        """Answer what was asked; let the stock controller, where there is one, send its command."""
        for request in _taken(self._requests, idl.Request):
            function = request.header.identity.api_id
            data, code = "", 0
            if function == CHECK_MODE:
                data = json.dumps({"form": "0", "name": self._firmware.stock_controller})
            elif function == RELEASE_MODE:
                self._firmware.release()
            else:
                code = 1
            header = idl.ResponseHeader(request.header.identity, idl.ResponseStatus(code))
            no_bytes: Any = []
            self._responses.write(idl.Response(header, data, no_bytes))
        if not self._firmware.stock_controller:
            self._stock = None
        if self._stock is not None:
            self._stock.write(message_of(idl.LowCmd, stock_command))


def _taken(reader: Any, kind: type[IdlStruct]) -> list[Any]:
    """Return what came; the end of a publisher, told as a sample without data, is left out."""
    try:
        return [message for message in reader.take(N=_KEPT) if isinstance(message, kind)]
    except DDSException:
        return []
