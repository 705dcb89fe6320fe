"""Absolute deadlines and the histogram of how late they were."""

import numpy as np
import pytest

from sonic_runtime import pacing
from sonic_runtime.pacing import BUFFER_BYTES, Lateness, Pacer

MS = 1_000_000


def test_percentiles_are_those_of_the_samples_to_a_microsecond():
    rng = np.random.default_rng(0)
    samples_ns = (rng.gamma(2.0, 50_000.0, size=20_000)).astype(int)
    lateness = Lateness()
    for sample in samples_ns.tolist():
        lateness.add(sample)
    stats = lateness.stats()
    expected = np.percentile(samples_ns, [50, 99, 99.9]) * 1e-6
    assert [stats.p50_ms, stats.p99_ms, stats.p999_ms] == pytest.approx(expected, abs=0.0021)
    assert (stats.count, stats.max_ms) == (20_000, samples_ns.max() * 1e-6)


def test_what_is_beyond_the_bins_is_told_by_the_maximum():
    lateness = Lateness()
    for late_ns in (-5, 1 * MS, 30 * MS, 90 * MS):
        lateness.add(late_ns)
    stats = lateness.stats()
    assert stats.p50_ms == pytest.approx(1.0, abs=0.0011)
    assert stats.p999_ms == stats.max_ms == 90.0


def test_memory_is_shared_and_can_be_cleared():
    memory = bytearray(BUFFER_BYTES)
    Lateness(memory).add(5 * MS)
    reader = Lateness(memory)
    assert reader.stats().count == 1
    reader.clear()
    assert Lateness(memory).stats() == Lateness().stats()


def test_a_line_of_json_has_its_prefix():
    assert set(Lateness().stats().line("jitter_")) == {
        "jitter_p50_ms",
        "jitter_p99_ms",
        "jitter_p999_ms",
        "jitter_max_ms",
    }


class Time:
    """A clock that sleeps exactly, unless told to oversleep."""

    def __init__(self):
        self.now, self.oversleep_ns = 1000 * MS, {}
        self.sleeps = 0

    def monotonic_ns(self):
        return self.now

    def sleep(self, seconds):
        self.now += round(seconds * 1e9) + self.oversleep_ns.get(self.sleeps, 0)
        self.sleeps += 1


@pytest.fixture
def clock(monkeypatch):
    clock = Time()
    monkeypatch.setattr(pacing, "time", clock)
    return clock


def test_a_late_wake_up_does_not_move_the_next(clock):
    lateness = Lateness()
    pacer = Pacer(500.0, lateness)
    clock.oversleep_ns = {1: 1 * MS}
    woken = []
    for _ in range(4):
        assert pacer.wait() == 0
        woken.append((clock.now - 1000 * MS) // MS)
    assert woken == [2, 5, 6, 8]
    assert lateness.stats().max_ms == 1.0


def test_missed_periods_are_left_out_and_counted(clock):
    pacer = Pacer(500.0, Lateness())
    clock.oversleep_ns = {1: 7 * MS}
    missed = [pacer.wait() for _ in range(4)]
    # due at 4, awake at 11: 6, 8 and 10 are left out
    assert missed == [0, 3, 0, 0]
    assert clock.now == 1000 * MS + 14 * MS


def test_a_simulation_catches_up_first(clock):
    pacer = Pacer(200.0, Lateness(), catch_up=10)
    clock.oversleep_ns = {0: 20 * MS}
    assert [pacer.wait() for _ in range(6)] == [0] * 6
    assert clock.now == 1000 * MS + 30 * MS
    clock.oversleep_ns = {clock.sleeps: 100 * MS}
    assert pacer.wait() == 20
