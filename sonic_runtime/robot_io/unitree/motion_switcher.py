"""Takes the robot out of its stock controller, through the service that owns it, before the first command.

Service "motion_switcher" of the robot: function 1001 tells the controller in charge as JSON {"form", "name"}, an empty
name where there is none; 1003 lets it go. As Unitree's examples do, it is asked again until no name is left.
"""

from __future__ import annotations

import json
import time
from typing import Any

from cyclonedds.pub import DataWriter
from cyclonedds.qos import Policy, Qos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.robot_io.unitree.bus import Bus
from sonic_runtime.robot_io.unitree.idl import (
    Request,
    RequestHeader,
    RequestIdentity,
    RequestLease,
    RequestPolicy,
    Response,
)

REQUESTS, RESPONSES = "rt/api/motion_switcher/request", "rt/api/motion_switcher/response"
CHECK_MODE, RELEASE_MODE = 1001, 1003
_POLL_S = 0.01
_NO_SERVICE = (
    "a simulator has no such service: unitree.release_stock_controller=false. On a robot, wait until it has started up"
)


class MotionSwitcher:
    """A client of the service.

    Args:
        bus: the network.
        timeout_s: how long to wait for an answer, and for the service itself [s].

    Raises:
        RobotError: nobody offers the service.
    """

    def __init__(self, bus: Bus, timeout_s: float = 2.0) -> None:
        self._bus = bus
        self._timeout_s = timeout_s
        self._next_id = time.monotonic_ns()
        qos = Qos(Policy.Reliability.Reliable(max_blocking_time=0), Policy.History.KeepLast(10))
        self._writer = DataWriter(bus.participant, Topic(bus.participant, REQUESTS, Request), qos)
        self._reader = DataReader(bus.participant, Topic(bus.participant, RESPONSES, Response), qos)
        self._await_service()

    def controller(self) -> str:
        """Return the name of the controller in charge, empty where there is none.

        Raises:
            RobotError: the service does not answer, or answers with an error.
        """
        answer = self._call(CHECK_MODE)
        try:
            content: Any = json.loads(answer or "{}")
            return str(content.get("name", ""))
        except (ValueError, AttributeError) as error:
            raise RobotError(f"motion_switcher: expected JSON with a name, got {answer[:80]!r}") from error

    def release(self) -> None:
        """Let the controller in charge go. Raises RobotError where the service does not."""
        self._call(RELEASE_MODE)

    def _call(self, function: int) -> str:
        self._next_id += 1
        identity = RequestIdentity(self._next_id, function)
        header = RequestHeader(identity, RequestLease(0), RequestPolicy(0, False))
        no_bytes: Any = []
        self._writer.write(Request(header, "{}", no_bytes))
        deadline = time.monotonic() + self._timeout_s
        while time.monotonic() < deadline:
            for response in self._reader.take(N=10):
                if getattr(response, "header", None) is None or response.header.identity.id != self._next_id:
                    continue
                if response.header.status.code != 0:
                    raise RobotError(
                        f"motion_switcher: function {function} failed with code {response.header.status.code}"
                    )
                return response.data
            time.sleep(_POLL_S)
        raise RobotError(
            f"motion_switcher on {self._bus.where()}: no answer within {self._timeout_s:g} s; {_NO_SERVICE}"
        )

    def _await_service(self) -> None:
        """Wait until both sides know each other: a request sent before that is lost, and so is its answer."""
        deadline = time.monotonic() + self._timeout_s
        while not (self._writer.get_matched_subscriptions() and self._reader.get_matched_publications()):
            if time.monotonic() > deadline:
                raise RobotError(f"motion_switcher on {self._bus.where()}: nobody offers this service; {_NO_SERVICE}")
            time.sleep(_POLL_S)


def release_stock_controller(bus: Bus, patience_s: float = 20.0, pause_s: float = 2.0) -> list[str]:
    """Ask until no controller is in charge; return the names of those that were let go.

    Args:
        bus: the network.
        patience_s: how long to go on asking [s].
        pause_s: time between asking to let go and looking again [s].

    Raises:
        RobotError: the service does not answer, or a controller does not let go.
    """
    switcher = MotionSwitcher(bus)
    released: list[str] = []
    deadline = time.monotonic() + patience_s
    while name := switcher.controller():
        if time.monotonic() > deadline:
            raise RobotError(
                f"motion_switcher: the controller {name!r} is still in charge after {patience_s:g} s; stop it with the "
                "remote (L2 + R2 on a robot that hangs) and try again"
            )
        if name not in released:
            released.append(name)
        switcher.release()
        time.sleep(pause_s)
    return released
