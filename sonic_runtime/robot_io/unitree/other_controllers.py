"""Whether anybody else sends commands to the motors.

A publisher that is silent does no harm, and a robot may keep one of its own; what counts is what is sent.
"""

from __future__ import annotations

import time
from typing import Any

from cyclonedds.core import DDSException
from cyclonedds.qos import Policy, Qos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.robot_io.unitree.bus import LOW_CMD, Bus
from sonic_runtime.robot_io.unitree.idl import LowCmd

_KEPT = 64
"""Newest commands of everybody; the writer's own are 500 a second, so that these are those of an eighth of a second."""
_POLL_S = 0.02


class OtherControllers:
    """Listens to the commands that others send.

    Args:
        bus: the network; commands of its own group are not others'.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._foreign: dict[int, bool] = {}
        qos = Qos(Policy.Reliability.BestEffort, Policy.History.KeepLast(_KEPT))
        self._reader: Any = DataReader(bus.participant, Topic(bus.participant, LOW_CMD, LowCmd), qos)

    def heard(self) -> int:
        """Return how many commands of others came since the last call, of those that are kept."""
        try:
            messages = self._reader.take(N=_KEPT)
        except DDSException:
            return 0
        return sum(self._is_foreign(message.sample_info.publication_handle) for message in messages)

    def listen(self, seconds: float) -> int:
        """Return how many commands of others come within some time."""
        deadline, count = time.monotonic() + seconds, 0
        while time.monotonic() < deadline:
            time.sleep(_POLL_S)
            count += self.heard()
        return count

    def require_silence(self, seconds: float = 0.0) -> None:
        """Check that nobody else sends commands.

        Args:
            seconds: how long to listen; 0 for what has come already [s].

        Raises:
            RobotError: somebody does.
        """
        count = self.listen(seconds) if seconds else self.heard()
        if count:
            foreign = len(self._bus.publishers(LOW_CMD).foreign)
            raise RobotError(
                f"{LOW_CMD} on {self._bus.where()}: expected to be the only controller, but another program sends "
                f"commands too ({foreign} foreign publishers); two controllers fight over the motors. A run that was "
                "killed damps for some seconds more: wait; the robot's own controller is let go with "
                "unitree.release_stock_controller=true; any other program must be ended"
            )

    def note(self) -> str:
        """Return a line about publishers that are there but silent; empty where there are none."""
        foreign = len(self._bus.publishers(LOW_CMD).foreign)
        return f"{LOW_CMD}: {foreign} other publisher(s) there, silent so far" if foreign else ""

    def close(self) -> None:
        """Leave the topic; safe to call twice."""
        self._reader = None

    def _is_foreign(self, handle: int) -> bool:
        if handle not in self._foreign:
            try:
                endpoint = self._reader.get_matched_publication_data(handle)
            except DDSException:
                endpoint = None
            # one that has left already cannot be told any more, and is heard no more either
            self._foreign[handle] = endpoint is not None and not self._bus.is_ours(endpoint.qos)
        return self._foreign[handle]
