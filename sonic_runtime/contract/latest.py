"""One-slot mailbox between threads: the newest value wins, and nobody waits."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Stamped(NamedTuple, Generic[T]):
    """A value and when it was put [ns]."""

    value: T
    stamp_ns: int


class Latest(Generic[T]):
    """Holds the newest value that any thread has put.

    Value and stamp are replaced together by one reference assignment, which Python does atomically, so a reader sees
    either the old pair or the new one. The value must not be changed after it was put.
    """

    def __init__(self) -> None:
        self._slot: Stamped[T] | None = None

    def put(self, value: T, stamp_ns: int) -> None:
        """Replace the value."""
        self._slot = Stamped(value, stamp_ns)

    def get(self) -> Stamped[T] | None:
        """Return the newest value with its stamp, None before the first."""
        return self._slot

    def age_ns(self, now_ns: int) -> int | None:
        """Return how old the newest value is [ns], None before the first."""
        slot = self._slot
        return None if slot is None else now_ns - slot.stamp_ns
