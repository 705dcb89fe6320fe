"""The keys of the terminal as an operator input: single keys by the table of bindings, never waited for."""

from __future__ import annotations

import sys
import termios
from collections.abc import Sequence

from sonic_runtime.contract.messages import RobotState
from sonic_runtime.contract.operator import OperatorEvent, bindings_table
from teleop.operator_device import Loss, Say, StopWhenLost, events_by_key
from teleop.terminal import Terminal

HELP_KEYS = ("?", "h")
_SUSPEND = "\x1a"
_MAX_KEYS_AT_ONCE = 8
"""More keys than this in one tick were not typed: a paste, or what gathered while the process was stopped."""
_REPEAT_NS = 700_000_000
"""A held key repeats after at most 0.66 s with the settings of the usual desktops, then every 30 ms."""
_ONCE_PER_PRESS = ("start", "source", "policy", "encoder")
"""Kinds that a held key must not give twice: a second "start" would hand over to the policy."""


class KeyParser:
    """Finds the keys in what a terminal sends; escape sequences (arrows, function keys, Alt) are no keys."""

    def __init__(self) -> None:
        self._state = ""

    def feed(self, data: bytes) -> list[str]:
        """Return the keys, letters in lower case, in what was typed; a sequence may go on in the next call.

        Nothing typed in a whole tick ends a sequence, so that a lone Escape does not swallow the key after it.
        """
        if not data:
            self._state = ""
        return [key for byte in data if (key := self._next(chr(byte)))]

    def _next(self, char: str) -> str:
        if char == "\x1b":
            self._state = "escape"
            return ""
        if self._state and char == " ":  # no sequence of a keyboard holds a space, and a space stops the robot
            self._state = ""
        elif self._state == "escape":
            self._state = "sequence" if char in "[O" else ""
            return ""
        elif self._state == "sequence":
            self._state = "sequence" if char < "@" else ""  # parameters lie below "@", the last letter above
            return ""
        if char == "\r":
            return "\n"
        return char.lower() if char < "\x7f" else ""


class Keyboard:
    """An OperatorInput that reads the terminal.

    Where standard input is no terminal, it says so once and gives nothing.

    Args:
        say: where messages and the help go.
        stop_when_lost: what follows when the terminal is closed; see `operator_device.Loss`.
        fd: file descriptor of the terminal; None for standard input.
    """

    def __init__(self, say: Say, stop_when_lost: StopWhenLost = "in_use", fd: int | None = None) -> None:
        self._say = say
        self._events = events_by_key("keys")
        self._loss = Loss("terminal", "keys", say, stop_when_lost)
        self._parser = KeyParser()
        self._last_press_ns: dict[str, int] = {}
        self._terminal = _open(fd)
        if self._terminal is None:
            say("keys: standard input is no terminal; operate with another input")
        else:
            say("keys: ] starts, o or space stops, ? shows all")

    @property
    def open(self) -> bool:
        """Whether there is a terminal that gives keys."""
        return self._terminal is not None

    def read(self, state: RobotState, mode: str) -> Sequence[OperatorEvent]:
        """Return what was typed since the last call, in its order."""
        if self._terminal is None:
            return ()
        typed = self._terminal.read()
        if typed is None:
            self.close()
            return self._loss.lost(mode)
        keys = self._parser.feed(typed)
        if not keys:
            return ()
        events = [event for key in keys if (event := self._event(key, state.stamp_ns))]
        if len(keys) > _MAX_KEYS_AT_ONCE:
            self._say(f"keys: {len(keys)} at once were not typed by hand; only a stop among them counts")
            events = [event for event in events if event.kind == "stop"]
        if events:
            self._loss.used()
        return events

    def close(self) -> None:
        """Give the terminal back as it was found; safe to call twice."""
        if self._terminal is not None:
            self._terminal.close()
            self._terminal = None

    def _event(self, key: str, now_ns: int) -> OperatorEvent | None:
        if key in HELP_KEYS:
            self._say(bindings_table() + f"\n{' '.join(HELP_KEYS):<19}this table")
        if key == _SUSPEND:
            self._say("keys: Ctrl-Z does not suspend a run, a suspended controller holds no robot; o stops it")
        event = self._events.get(key)
        if event is None or event.kind not in _ONCE_PER_PRESS:
            return event
        last_ns, self._last_press_ns[key] = self._last_press_ns.get(key), now_ns
        return event if last_ns is None or now_ns - last_ns > _REPEAT_NS else None


def _open(fd: int | None) -> Terminal | None:
    try:
        return Terminal(sys.stdin.fileno() if fd is None else fd)
    except (OSError, ValueError, AttributeError, termios.error):
        # no terminal; or standard input closed, or replaced by something without a descriptor
        return None
