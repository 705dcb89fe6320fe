"""Things that happen at a fixed rate: absolute deadlines, and how late they were, in memory of bounded size."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_BIN_NS = 1_000
_BINS = 20_000
"""One microsecond each: 0 to 20 ms, which is a whole control period; what is later counts in the last bin."""
_MAX_AT, _COUNT_AT = _BINS, _BINS + 1

BUFFER_BYTES = 8 * (_BINS + 2)
"""Size of a histogram in memory: the bins, the maximum [ns], and the count, 64 bits each."""


@dataclass(frozen=True, slots=True)
class LatenessStats:
    """Percentiles of a lateness or a duration [ms], to a microsecond; all zero where nothing was counted."""

    count: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float

    def line(self, prefix: str = "") -> dict[str, float]:
        """Return the percentiles for a line of JSON, each key with a prefix."""
        values = {"p50_ms": self.p50_ms, "p99_ms": self.p99_ms, "p999_ms": self.p999_ms, "max_ms": self.max_ms}
        return {prefix + name: round(value, 4) for name, value in values.items()}


class Lateness:
    """Counts durations in bins of one microsecond; takes 2 us for one and grows never.

    Args:
        buffer: `BUFFER_BYTES` of writable memory that may be shared with a process that reads the statistics; None for
            memory of its own.
    """

    def __init__(self, buffer: Any = None) -> None:
        self._all: npt.NDArray[np.uint64] = (
            np.zeros(_BINS + 2, dtype=np.uint64)
            if buffer is None
            else np.frombuffer(buffer, dtype=np.uint64, count=_BINS + 2)
        )
        # a memoryview reads and writes one element in a third of numpy's time
        self._cells = memoryview(self._all)

    def add(self, late_ns: int) -> None:
        """Count one duration [ns]; what is early counts as 0."""
        cells, late_ns = self._cells, max(0, late_ns)
        cells[min(late_ns // _BIN_NS, _BINS - 1)] += 1
        cells[_COUNT_AT] += 1
        if late_ns > cells[_MAX_AT]:
            cells[_MAX_AT] = late_ns

    def clear(self) -> None:
        """Start anew."""
        self._all[:] = 0

    def stats(self) -> LatenessStats:
        """Return the percentiles so far; those beyond 20 ms are given as the maximum."""
        bins, worst_ms = self._all[:_BINS].copy(), int(self._all[_MAX_AT]) * 1e-6
        sums = np.cumsum(bins)
        count = int(sums[-1])
        if not count:
            return LatenessStats(0, 0.0, 0.0, 0.0, 0.0)

        def percentile(share: float) -> float:
            at = int(np.searchsorted(sums, share * count))
            return worst_ms if at >= _BINS - 1 else min(worst_ms, (at + 1) * _BIN_NS * 1e-6)

        return LatenessStats(count, percentile(0.5), percentile(0.99), percentile(0.999), worst_ms)


class Pacer:
    """Absolute deadlines at a fixed rate; a late wake-up does not move the next, and what is missed is left out.

    Args:
        hz: rate [1/s].
        lateness: counts how late each wake-up is.
        catch_up: periods that may be run late one after the other before any is left out.
    """

    def __init__(self, hz: float, lateness: Lateness, catch_up: int = 0) -> None:
        self._period_ns = round(1e9 / hz)
        self._lateness = lateness
        self._catch_up = catch_up
        self._deadline_ns = time.monotonic_ns()

    def wait(self) -> int:
        """Sleep until the next deadline and return how many were left out."""
        self._deadline_ns += self._period_ns
        wait_ns = self._deadline_ns - time.monotonic_ns()
        if wait_ns > 0:
            time.sleep(wait_ns * 1e-9)
        late_ns = time.monotonic_ns() - self._deadline_ns
        self._lateness.add(late_ns)
        behind = late_ns // self._period_ns
        if behind <= self._catch_up:
            return 0
        self._deadline_ns += behind * self._period_ns
        return behind
