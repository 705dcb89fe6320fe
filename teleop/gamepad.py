"""A gamepad as an operator input, by Linux' joystick interface: /dev/input/js*, eight bytes an event.

A thread of its own looks for the device, opens it and reads it, so that a pad may be plugged in and out at any time
and a sleeping USB port costs the tick nothing. Which button is which is asked of the kernel, whose codes do not depend
on the driver; by them a button has one name on all pads, that of the Xbox layout:

    here      Xbox     PlayStation          here      Xbox     PlayStation
    A B       A B      cross circle         start     menu     options
    X Y       X Y      square triangle      select    view     share or create
    L1 R1     LB RB    L1 R1                F1        guide    PS
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import select
import struct
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sonic_runtime.contract.messages import RobotState
from sonic_runtime.contract.operator import OperatorEvent
from teleop.operator_device import Loss, Say, StopWhenLost, events_by_button

DEVICES = "/dev/input/js*"

_EVENT = struct.Struct("<IhBB")
"""struct js_event of linux/joystick.h: time [ms], value, type, number."""
_BUTTON, _AXIS, _INITIAL = 0x01, 0x02, 0x80
_LOOK_EVERY_S = 1.0
_READ_TIMEOUT_MS = 200
_HALF = 16384
"""A direction pad gives 0 or +-32767."""

# ioctls of linux/joystick.h: JSIOCGNAME(128), JSIOCGBTNMAP, JSIOCGAXMAP
_GET_NAME, _GET_BUTTON_CODES, _GET_AXIS_CODES = 0x80806A13, 0x84006A34, 0x80406A32
_MAX_BUTTONS, _MAX_AXES = 512, 64

# codes of linux/input-event-codes.h: BTN_SOUTH ... BTN_DPAD_RIGHT, ABS_HAT0X, ABS_HAT0Y
_XBOX_CODES = {
    **{0x130: "A", 0x131: "B", 0x133: "X", 0x134: "Y", 0x136: "L1", 0x137: "R1", 0x138: "L2", 0x139: "R2"},
    **{0x13A: "select", 0x13B: "start", 0x13C: "F1", 0x220: "up", 0x221: "down", 0x222: "left", 0x223: "right"},
}
# the Xbox driver gives X the code of the northern button, where PlayStation pads have the triangle
_PLAYSTATION_CODES = _XBOX_CODES | {0x133: "Y", 0x134: "X"}
_PLAYSTATION_WORDS = ("sony", "playstation", "dualsense", "dualshock", "wireless controller")
_HAT_CODES = {0x10: ("left", "right"), 0x11: ("up", "down")}


@dataclass(frozen=True, slots=True)
class Layout:
    """What the numbers in the events of one pad mean.

    Attributes:
        name: what the pad calls itself.
        buttons: name of each button by its number.
        hats: names of the two directions of each axis of the direction pad, by its number.
    """

    name: str
    buttons: Mapping[int, str] = field(
        # numbers of the Xbox driver
        default_factory=lambda: dict(enumerate(("A", "B", "X", "Y", "L1", "R1", "select", "start", "F1")))
    )
    hats: Mapping[int, tuple[str, str]] = field(default_factory=lambda: {6: ("left", "right"), 7: ("up", "down")})


def layout_of_codes(name: str, button_codes: Sequence[int], axis_codes: Sequence[int]) -> Layout:
    """Return the layout of a pad from its name and the kernel's codes of its buttons and axes."""
    sony = any(word in name.lower() for word in _PLAYSTATION_WORDS)
    names = _PLAYSTATION_CODES if sony else _XBOX_CODES
    return Layout(
        name,
        {i: names[code] for i, code in enumerate(button_codes) if code in names},
        {i: _HAT_CODES[code] for i, code in enumerate(axis_codes) if code in _HAT_CODES},
    )


class ButtonReader:
    """Finds the buttons that go down in the bytes of a joystick device."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._rest = b""
        self._held: dict[int, str] = {}

    def feed(self, data: bytes) -> Iterator[str]:
        """Yield the names of buttons that went down; those that are down from the start were not pressed."""
        data = self._rest + data
        whole = len(data) - len(data) % _EVENT.size
        self._rest = data[whole:]
        for _, value, kind, number in _EVENT.iter_unpack(data[:whole]):
            name = self._name(kind & ~_INITIAL, number, value)
            if name and not kind & _INITIAL:
                yield name

    def _name(self, kind: int, number: int, value: int) -> str:
        """Return the button that an event presses, empty where it presses none."""
        if kind == _BUTTON and value:
            return self._layout.buttons.get(number, "")
        if kind != _AXIS or number not in self._layout.hats:
            return ""
        low, high = self._layout.hats[number]
        name = low if value < -_HALF else high if value > _HALF else ""
        if self._held.get(number, "") == name:
            return ""
        self._held[number] = name
        return name


class Gamepad:
    """An OperatorInput that reads the first gamepad there is, whenever one is there.

    Args:
        say: where messages go; called from the thread that reads the device.
        stop_when_lost: what follows when the pad is unplugged or falls asleep; see `operator_device.Loss`.
        devices: pattern of the device files.
    """

    def __init__(self, say: Say, stop_when_lost: StopWhenLost = "in_use", devices: str = DEVICES) -> None:
        self._say = say
        self._loss = Loss("gamepad", "gamepad", say, stop_when_lost)
        self._events = events_by_button("gamepad")
        self._devices = Path(devices)
        self._pressed: deque[OperatorEvent | None] = deque(maxlen=256)
        self._refused: set[str] = set()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="gamepad", daemon=True)
        self._thread.start()

    def read(self, state: RobotState, mode: str) -> Sequence[OperatorEvent]:
        """Return what was pressed since the last call."""
        if not self._pressed:
            return ()
        events: list[OperatorEvent] = []
        while self._pressed:
            event = self._pressed.popleft()
            if event is None:
                events += self._loss.lost(mode)
            else:
                self._loss.used()
                events.append(event)
        return events

    def close(self) -> None:
        """End the thread and release the device; safe to call twice."""
        self._closed.set()
        self._thread.join(timeout=1.0)

    def _watch(self) -> None:
        while not self._closed.is_set():
            for path in sorted(self._devices.parent.glob(self._devices.name)):
                self._try(str(path))
            self._closed.wait(_LOOK_EVERY_S)

    def _try(self, path: str) -> None:
        """Read a device until it is gone; devices that cannot be used are named once."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno == errno.EACCES:
                self._refuse(path, f"gamepad {path}: no permission to read it; add yourself to the group input")
            return
        try:
            layout = _ask_layout(fd, path)
            if "select" in layout.buttons.values():
                self._say(f"gamepad {layout.name}: start starts, select (view, share) stops")
                self._serve(fd, ButtonReader(layout))
            else:
                self._refuse(path, f"gamepad {layout.name}: it has no button for stop (select) and is not used")
        finally:
            os.close(fd)

    def _refuse(self, path: str, why: str) -> None:
        if path not in self._refused:
            self._refused.add(path)
            self._say(why)

    def _serve(self, fd: int, reader: ButtonReader) -> None:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        while not self._closed.is_set():
            if not poll.poll(_READ_TIMEOUT_MS):
                continue
            try:
                data = os.read(fd, 64 * _EVENT.size)
            except BlockingIOError:
                continue
            except OSError:
                data = b""  # unplugged
            if not data:
                self._pressed.append(None)
                return
            self._pressed.extend(self._events[name] for name in reader.feed(data) if name in self._events)


def _ask_layout(fd: int, path: str) -> Layout:
    """Ask the kernel for name and codes; a device that has none is read as an Xbox pad."""
    name = bytearray(128)
    buttons, axes = array.array("H", bytes(2 * _MAX_BUTTONS)), bytearray(_MAX_AXES)
    try:
        fcntl.ioctl(fd, _GET_NAME, name)
        fcntl.ioctl(fd, _GET_BUTTON_CODES, buttons)
        fcntl.ioctl(fd, _GET_AXIS_CODES, axes)
    except OSError:
        return Layout(path)
    return layout_of_codes(name.split(b"\0")[0].decode(errors="replace"), buttons.tolist(), list(axes))
