import time

from sonic_runtime.clock import LockstepClock, RealTimeClock


def test_lockstep_time_moves_only_by_waiting():
    clock = LockstepClock()
    assert clock.now_ns() == 0
    assert clock.wait_until(20) == 0
    assert clock.now_ns() == 20
    assert clock.wait_until(10) == 0
    assert clock.now_ns() == 20


def test_real_time_waits_until_the_deadline_and_not_before():
    clock = RealTimeClock()
    for ms in (0.1, 2.0, 5.0):
        deadline = clock.now_ns() + int(ms * 1e6)
        assert clock.wait_until(deadline) == 0
        assert clock.now_ns() >= deadline


def test_real_time_reports_how_late_it_is_and_returns_at_once():
    clock = RealTimeClock()
    start = time.monotonic_ns()
    late = clock.wait_until(start - 7_000_000)
    assert late >= 7_000_000
