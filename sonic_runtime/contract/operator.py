"""What an operator can ask for: one small set of events, and one table of the keys and buttons that give them.

Terminal, gamepad, wireless remote and the `command` topic all become these events; the help screen prints the table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

EventKind = Literal[
    "start",
    "stop",
    "play",
    "pause",
    "restart",
    "next",
    "previous",
    "turn",
    "recenter",
    "encoder",
    "source",
    "policy",
]


@dataclass(frozen=True, slots=True)
class OperatorEvent:
    """One thing an operator asked for.

    Attributes:
        kind: what.
        value: how much, where the kind has an amount: "turn" in radians, positive to the left.
        origin: where it came from, for the log: "keys", "gamepad", "remote", "command".
    """

    kind: EventKind
    value: float = 0.0
    origin: str = ""


class Binding(NamedTuple):
    """A row of the table: an event and what gives it. Buttons are those of a gamepad and of the wireless remote."""

    event: OperatorEvent
    keys: tuple[str, ...]
    buttons: tuple[str, ...]
    meaning: str


_TURN_RAD = math.pi / 12.0
"""[rad] What one press turns the reference, as in SONIC's runtime."""

BINDINGS: tuple[Binding, ...] = (
    Binding(
        OperatorEvent("start"), ("]",), ("start",), "one step on: ramp to the ready pose; then hand over to the policy"
    ),
    Binding(OperatorEvent("stop"), ("o", " "), ("select",), "stop: damping until the program has ended; always wins"),
    Binding(OperatorEvent("play"), ("t",), ("A",), "play the motion, or go on after a pause"),
    Binding(OperatorEvent("pause"), ("k",), ("X",), "pause: hold the frame at rest"),
    Binding(OperatorEvent("restart"), ("r",), ("B",), "back to the first frame, paused"),
    Binding(OperatorEvent("next"), ("n",), ("R1",), "next motion, paused at its first frame"),
    Binding(OperatorEvent("previous"), ("p",), ("L1",), "previous motion, paused at its first frame"),
    Binding(OperatorEvent("turn", _TURN_RAD), ("q",), ("left",), "turn the reference 15 degrees to the left"),
    Binding(OperatorEvent("turn", -_TURN_RAD), ("e",), ("right",), "turn the reference 15 degrees to the right"),
    Binding(OperatorEvent("recenter"), ("i",), ("Y",), "let the reference face where the robot faces now"),
    Binding(OperatorEvent("encoder"), ("z",), ("up",), "next encoder that the motion has data for"),
    Binding(OperatorEvent("source"), ("\n",), ("F1",), "hand over between the stream and the motions"),
    Binding(OperatorEvent("policy"), ("x",), ("down",), "next controller: the policy, then the imported ones"),
)


def shown_key(key: str) -> str:
    """Return the name of a key as it is printed."""
    return {" ": "space", "\n": "enter"}.get(key, key)


def bindings_table() -> str:
    """Return the table of keys and buttons, one event a line."""
    lines = [f"{'key':<10}{'button':<9}meaning"]
    for binding in BINDINGS:
        keys = " ".join(shown_key(key) for key in binding.keys)
        lines.append(f"{keys:<10}{' '.join(binding.buttons):<9}{binding.meaning}")
    return "\n".join(lines)
