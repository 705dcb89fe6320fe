"""The two clocks of the loop."""

from __future__ import annotations

import time

_SPIN_NS = 300_000
"""The last 0.3 ms before a deadline are spent looking at the clock: sleep wakes up to 0.1 ms late on an idle Linux."""


class RealTimeClock:
    """The machine's monotonic clock."""

    def now_ns(self) -> int:
        """Return the monotonic time [ns]."""
        return time.monotonic_ns()

    def wait_until(self, deadline_ns: int) -> int:
        """Sleep until the deadline; return how late it was already when called [ns], 0 when in time."""
        late_ns = time.monotonic_ns() - deadline_ns
        if late_ns > 0:
            return late_ns
        if -late_ns > _SPIN_NS:
            time.sleep((-late_ns - _SPIN_NS) * 1e-9)
        while time.monotonic_ns() < deadline_ns:
            pass
        return 0


class LockstepClock:
    """Time that moves only when the loop waits: the same run every time, as fast as it goes."""

    def __init__(self) -> None:
        self._now_ns = 0

    def now_ns(self) -> int:
        """Return the time of the loop [ns]; 0 at the start."""
        return self._now_ns

    def wait_until(self, deadline_ns: int) -> int:
        """Set the time to the deadline; never late."""
        self._now_ns = max(self._now_ns, deadline_ns)
        return 0
