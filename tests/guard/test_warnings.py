import numpy as np
import pytest

from sonic_runtime.guard.warning import WARNINGS, Warnings
from tests.fakes.parts import guard_config, make_goal, make_state

MS = 1_000_000


class Seen:
    """Warnings over ticks of 20 ms."""

    def __init__(self):
        self.warnings = Warnings(guard_config())
        self.now_ns = 0

    def tick(self, ticks=1, state_age_ms=2, stream_age_ms=0, **state):
        for _ in range(ticks):
            self.now_ns += 20 * MS
            self.warnings.update(
                make_state(stamp_ns=self.now_ns - state_age_ms * MS, **state),
                make_goal(stamp_ns=self.now_ns - stream_age_ms * MS),
                self.now_ns,
            )
        return [warning.code for warning in self.warnings.active]


def hot(celsius):
    temperatures = np.full(29, 30.0)
    temperatures[4] = celsius
    return {"motor_temperature_c_hw": temperatures}


def broken():
    errors = np.zeros(29, dtype=np.int64)
    errors[4] = 3
    return {"motor_error_hw": errors}


def test_nothing_is_warned_of_where_all_is_well():
    seen = Seen()
    assert seen.tick(100, **hot(84.0)) == []
    assert seen.warnings.counts == {}


def test_a_warning_of_temperature_goes_below_another_limit_than_it_comes():
    seen = Seen()
    assert seen.tick(1, **hot(89.9)) == []
    assert seen.tick(1, **hot(90.0)) == ["temperature"]
    assert "left_ankle_pitch_joint is at 90" in seen.warnings.active[0].detail
    assert seen.tick(500, **hot(85.0)) == ["temperature"]
    assert seen.tick(1, **hot(84.9)) == []
    assert seen.tick(1, **hot(89.0)) == []
    assert seen.tick(1, **hot(95.0)) == ["temperature"]
    assert seen.warnings.counts == {"temperature": 2}


CASES = {
    "late_state": {"state_age_ms": 26},
    "late_stream": {"stream_age_ms": 151},
    "motor_error": broken(),
}


@pytest.mark.parametrize("code", CASES)
def test_a_warning_stays_for_a_second_after_its_cause(code):
    seen = Seen()
    assert seen.tick(1, **CASES[code]) == [code]
    assert seen.tick(50) == [code]
    assert seen.tick(1) == []
    # one that comes and goes within the second is one warning, not many
    for _ in range(10):
        seen.tick(1, **CASES[code])
        assert seen.tick(10) == [code]
    assert seen.warnings.counts == {code: 2}


def test_every_warning_is_tested_here():
    assert set(CASES) | {"temperature"} == set(WARNINGS)


def test_several_at_once_oldest_first():
    seen = Seen()
    seen.tick(1, stream_age_ms=400)
    assert seen.tick(1, state_age_ms=50, stream_age_ms=400) == ["late_stream", "late_state"]


def test_a_temperature_that_is_no_number_warns_of_nothing_and_is_the_watchdogs_to_find():
    assert Seen().tick(1, **hot(np.nan)) == []
