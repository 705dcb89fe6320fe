"""The robot's own remote control as an operator input: its bytes come with every measured state.

The 40 bytes: two of a head, then the buttons as a little-endian u16, then the sticks as floats, then idle bytes; all
zero where there is no remote (xRockerBtnDataStruct of Unitree's SDK).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from sonic_runtime.contract.messages import RobotState
from sonic_runtime.contract.operator import OperatorEvent
from teleop.operator_device import Loss, Say, StopWhenLost, events_by_button

BUTTONS = (
    *("R1", "L1", "start", "select", "R2", "L2", "F1", "F2"),
    *("A", "B", "X", "Y", "up", "right", "down", "left"),
)
"""Names of the bits of the button word, from the lowest."""
REMOTE_BYTES = 40
LOST_AFTER_NS = 500_000_000
"""A remote that has been silent for so long is lost; single states without it happen."""


def buttons_of(wireless_remote: bytes | None) -> int | None:
    """Return the button word of the remote's bytes; None where there is no remote."""
    if wireless_remote is None or len(wireless_remote) != REMOTE_BYTES or not any(wireless_remote):
        return None
    return struct.unpack_from("<H", wireless_remote, 2)[0]


class WirelessRemote:
    """An OperatorInput that looks at the buttons in each state.

    A press counts from the second state on in which the button is down, and again only after two in which it is up: a
    bit that flickers for one state is no press. A stop counts at once. Buttons that are down when the remote appears
    were not pressed for this run.

    Args:
        say: where messages go.
        stop_when_lost: what follows when the remote falls silent; see `operator_device.Loss`.
    """

    def __init__(self, say: Say, stop_when_lost: StopWhenLost = "in_use") -> None:
        self._say = say
        self._loss = Loss("wireless remote", "remote", say, stop_when_lost)
        events = events_by_button("remote")
        self._events = {1 << i: events[name] for i, name in enumerate(BUTTONS) if name in events}
        self._stops = sum(bit for bit, event in self._events.items() if event.kind == "stop")
        self._seen_ns: int | None = None
        self._last = 0
        self._down = 0

    def read(self, state: RobotState, mode: str) -> Sequence[OperatorEvent]:
        """Return what was pressed."""
        buttons = buttons_of(state.wireless_remote)
        if buttons is None:
            return self._absent(state.stamp_ns, mode)
        if self._seen_ns is None:
            self._say("wireless remote: there; start starts, select stops")
            self._last = self._down = buttons & ~self._stops
        self._seen_ns = state.stamp_ns
        pressed = self._pressed(buttons)
        if not pressed:
            return ()
        self._loss.used()
        return [event for bit, event in self._events.items() if pressed & bit]

    def close(self) -> None:
        """Nothing to release."""

    def _pressed(self, buttons: int) -> int:
        """Return the bits of buttons that have just gone down for good."""
        steady_down = (buttons & self._last) | (buttons & self._stops)
        steady_up = ~(buttons | self._last)
        pressed = steady_down & ~self._down
        self._down = (self._down & ~steady_up) | steady_down
        self._last = buttons
        return pressed

    def _absent(self, now_ns: int, mode: str) -> Sequence[OperatorEvent]:
        if self._seen_ns is None or now_ns - self._seen_ns < LOST_AFTER_NS:
            return ()
        self._seen_ns = None
        return self._loss.lost(mode)
