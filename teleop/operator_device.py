"""What all devices of an operator share: which button means what, and what it means when the device is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from sonic_runtime.contract.operator import BINDINGS, OperatorEvent

Say = Callable[[str], None]
"""Takes a message for the operator; returns at once."""
StopWhenLost = Literal["in_use", "always", "never"]

_MOVING = ("ramp", "ready", "stand", "active")
"""Modes in which motors are driven; in the others a stop would change nothing."""


def events_by_key(origin: str) -> dict[str, OperatorEvent]:
    """Return what each key of the table asks for."""
    return {key: replace(row.event, origin=origin) for row in BINDINGS for key in row.keys}


def events_by_button(origin: str) -> dict[str, OperatorEvent]:
    """Return what each button of the table asks for."""
    return {button: replace(row.event, origin=origin) for row in BINDINGS for button in row.buttons}


class Loss:
    """Decides what follows when a device is lost.

    A robot that moves must not be left without anybody who can stop it. On the other hand damping lets a G1 fall, so
    that a gamepad that falls asleep in a drawer must not stop the robot that somebody steers with the keyboard. Hence
    the default: the loss of a device that has given an event in this run stops the robot, the loss of any other does
    not. Where a device is the only one, choose "always".

    Args:
        name: what to call the device in messages.
        origin: origin of the events.
        say: where messages go.
        stop: "in_use", "always" or "never".
    """

    def __init__(self, name: str, origin: str, say: Say, stop: StopWhenLost) -> None:
        self._name = name
        self._stop = OperatorEvent("stop", origin=origin)
        self._say = say
        self._when = stop
        self._used = False

    def used(self) -> None:
        """Note that the device has given an event."""
        self._used = True

    def lost(self, mode: str, why: str = "") -> Sequence[OperatorEvent]:
        """Say that the device is lost, and return what follows from it in a mode of the guard."""
        reason = f" ({why})" if why else ""
        if mode not in _MOVING:
            self._say(f"{self._name} lost{reason}")
            return ()
        if self._when == "always" or (self._when == "in_use" and self._used):
            self._say(f"{self._name.upper()} LOST{reason}: STOP, because the robot was operated with it")
            return (self._stop,)
        self._say(f"{self._name.upper()} LOST{reason}: the run goes on; stop it with another input or Ctrl-C")
        return ()
