"""Battery and main board, where the robot publishes them: a few times a second at most, read by cyclonedds."""

from __future__ import annotations

import time
from typing import Any

from cyclonedds.core import DDSException
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from sonic_runtime.contract.messages import TickReport
from sonic_runtime.guard.warning import GuardWarning
from sonic_runtime.robot_io.unitree.bus import Bus
from sonic_runtime.robot_io.unitree.idl import BmsState, MainBoardState

BATTERY, MAIN_BOARD = "rt/lf/bmsstate", "rt/lf/mainboardstate"
_PERIOD_S = 1.0
_SILENT_S = 10.0


class Vitals:
    """What the robot says about its battery and its main board; a ReportSink that looks once a second.

    Args:
        bus: the network.
        battery_warning_percent: charge below which there is a warning.

    Attributes:
        charge_percent: charge of the battery; None where the robot does not say it.
        board_temperature_c: hottest sensor of the main board [degrees Celsius]; None where unknown.
    """

    def __init__(self, bus: Bus, battery_warning_percent: float) -> None:
        self.charge_percent: int | None = None
        self.board_temperature_c: int | None = None
        self._warning_percent = battery_warning_percent
        participant, qos = bus.participant, bus.reader_qos()
        self._battery: Any = DataReader(participant, Topic(participant, BATTERY, BmsState), qos)
        self._board: Any = DataReader(participant, Topic(participant, MAIN_BOARD, MainBoardState), qos)
        self._looked_s = self._heard_s = time.monotonic()

    def put(self, report: TickReport) -> None:
        """Look, where it is time."""
        if time.monotonic() - self._looked_s >= _PERIOD_S:
            self.look()

    def look(self) -> None:
        """Take what has come."""
        self._looked_s = time.monotonic()
        for message in _newest(self._battery):
            self._heard_s = self._looked_s
            self.charge_percent = int(message.soc)
        for message in _newest(self._board):
            self.board_temperature_c = max(message.temperature)

    def warnings(self) -> list[GuardWarning]:
        """Return what is not well."""
        if self.charge_percent is None:
            return []
        if time.monotonic() - self._heard_s > _SILENT_S:
            return [GuardWarning("battery", f"the battery has been silent for {_SILENT_S:g} s")]
        if self.charge_percent > self._warning_percent:
            return []
        return [
            GuardWarning("battery", f"the battery is at {self.charge_percent} %: let the robot down and charge it soon")
        ]

    def line(self) -> str:
        """Return a phrase about battery and main board."""
        if self.charge_percent is None:
            return "the robot does not tell the charge of its battery"
        board = "" if self.board_temperature_c is None else f", main board {self.board_temperature_c} degrees Celsius"
        return f"battery {self.charge_percent} %{board}"

    def close(self) -> None:
        """Leave the topics; safe to call twice."""
        self._battery = self._board = None


def _newest(reader: Any) -> list[Any]:
    """Return the newest message, where there is one that can be read."""
    if reader is None:
        return []
    try:
        return [message for message in reader.take(N=1) if hasattr(message, "temperature")]
    except DDSException:
        return []
