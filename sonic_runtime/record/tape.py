"""Takes down what reaches a tick from outside, besides the robot's state and the operator's events.

A tick is a function of what its parts remember and of what comes in: state, events, the time, raw stream messages, and
what the loop tells the guard between ticks. The tape hands out stand-ins for the parts through which the last two come;
what it wrote down since the last `cut` belongs to one tick. A replay feeds it back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.messages import Fault
from sonic_runtime.guard.modes import Guard

Vector = npt.NDArray[np.float32]
P = TypeVar("P")


class Inbox(Protocol):
    """Messages that have arrived; see `teleop.inbox`."""

    def take(self, limit: int) -> list[bytes]:
        """Return at most `limit` messages that are there now."""
        ...

    def close(self) -> None:
        """Release the connection."""
        ...


@dataclass(slots=True)
class Cut:
    """What came in since the cut before.

    Attributes:
        takes: (inbox, messages) of each time a source took messages, in order.
        guard_calls: what the loop told the guard, in order: {"call": "late", "late_ns": n}, {"call": "release"},
            {"call": "fail", "code": text, "detail": text}.
        encoder_input: (1, n) f32 what the encoder was given, None where it did not run.
        decoder_input: (1, n) f32 what the decoder was given, None where it did not run.
        warnings: what the guard warns of now, "code: sentence".
        refusal: why the guard refused the last "start", empty where it did not.
    """

    takes: list[tuple[str, list[bytes]]] = field(default_factory=list)
    guard_calls: list[dict[str, Any]] = field(default_factory=list)
    encoder_input: Vector | None = None
    decoder_input: Vector | None = None
    warnings: list[str] = field(default_factory=list)
    refusal: str = ""


class Tape:
    """Hands out the stand-ins and keeps what they saw until the next cut. Used by the loop's thread alone."""

    def __init__(self) -> None:
        self._cut = Cut()
        self._guard: Guard | None = None

    def inbox(self, name: str, inbox: Inbox) -> RecordingInbox:
        """Return an inbox that takes from another one and writes down what was taken."""
        return RecordingInbox(self, name, inbox)

    def guard(self, guard: Guard) -> Guard:
        """Return a guard that is another one and writes down what it is told from outside its own decisions."""
        self._guard = guard
        return cast("Guard", _RecordingGuard(self, guard))

    def policy(self, policy: P) -> P:
        """Return a policy that is another one and keeps what its networks are given, for recordings of observations."""
        return cast("P", _RecordingPolicy(self, policy))

    def cut(self) -> Cut:
        """Return what came in since the last cut, with what the guard says now, and begin anew."""
        cut, self._cut = self._cut, Cut()
        if self._guard is not None:
            cut.warnings = [f"{warning.code}: {warning.detail}" for warning in self._guard.warnings]
            cut.refusal = self._guard.refusal
        return cut

    @property
    def open(self) -> Cut:
        """What is being written now."""
        return self._cut


class RecordingInbox:
    """An inbox that takes from another one and writes down what was taken.

    Args:
        tape: where it is written.
        name: what to call it in the recording; unique in a run.
        inbox: where the messages come from; closed with this one.
    """

    def __init__(self, tape: Tape, name: str, inbox: Inbox) -> None:
        self._tape = tape
        self._name = name
        self._inbox = inbox

    def take(self, limit: int) -> list[bytes]:
        """Return at most `limit` messages that are there now."""
        messages = self._inbox.take(limit)
        # a copy: whoever takes a list may change it
        self._tape.open.takes.append((self._name, messages.copy()))
        return messages

    def close(self) -> None:
        """Close the inbox behind it."""
        self._inbox.close()


class _RecordingGuard:
    """Everything of a guard, with notes of what is called from outside; the guard's own calls do not come here."""

    def __init__(self, tape: Tape, guard: Guard) -> None:
        self._tape = tape
        self._guard = guard
        self.decide = guard.decide
        self.admit = guard.admit

    def fail(self, fault: Fault) -> None:
        self._tape.open.guard_calls.append({"call": "fail", "code": fault.code, "detail": fault.detail})
        self._guard.fail(fault)

    def note_late(self, late_ns: int) -> None:
        self._tape.open.guard_calls.append({"call": "late", "late_ns": late_ns})
        self._guard.note_late(late_ns)

    def release(self) -> None:
        self._tape.open.guard_calls.append({"call": "release"})
        self._guard.release()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._guard, name)


class _RecordingPolicy:
    """Everything of a policy, with notes of what its networks are given."""

    def __init__(self, tape: Tape, policy: Any) -> None:
        self._tape = tape
        self._policy = policy

    def encode(self, vector: Vector) -> Vector:
        # a copy: the vector is filled anew in each tick
        self._tape.open.encoder_input = vector.copy()
        return self._policy.encode(vector)

    def decode(self, vector: Vector) -> Vector:
        self._tape.open.decoder_input = vector.copy()
        return self._policy.decode(vector)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)
