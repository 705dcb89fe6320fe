"""Input vectors with a number that is none are refused by name, before any network could swallow it."""

import time
from dataclasses import replace

import numpy as np
import pytest

from controllers.track_motion import TrackMotion
from sonic_runtime.app import load_policy
from sonic_runtime.contract.errors import ContractError
from sonic_runtime.observe.finite import require_finite
from tests.fakes.parts import make_goal, make_reference, make_state

TERMS = [("first", 2), ("second", 3)]


def vector(*values: float) -> np.ndarray:
    return np.array([values], dtype=np.float32)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("index", "says"), [(0, "first at element 0"), (1, "first at element 1"), (4, "second at element 2")]
)
def test_the_first_bad_term_is_named(bad, index, says):
    values = vector(1.0, 2.0, 3.0, 4.0, 5.0)
    values[0, index] = bad
    with pytest.raises(
        ContractError, match=rf"encoder input: expected finite numbers, found {bad} in {says} and 1 such"
    ):
        require_finite("encoder", values, TERMS)


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_huge_numbers_are_numbers():
    values = vector(3e38, 3e38, 0.0, 0.0, 0.0)
    assert require_finite("encoder", values, TERMS) is values


@pytest.fixture(scope="module")
def tracker():
    return TrackMotion(load_policy("default"))


def test_a_reference_with_nan_never_reaches_the_encoder(tracker):
    reference = make_reference()
    reference.joint_vel_pol[7, 3] = np.nan
    tracker.act(make_state(), make_goal(replace(reference, cursor=8)))
    with pytest.raises(ContractError, match=r"encoder input: .* in motion_joint_velocities"):
        tracker.act(make_state(), make_goal(replace(reference, cursor=7)))


def test_a_token_with_nan_never_reaches_the_decoder(tracker):
    token = np.zeros(64, dtype=np.float32)
    token[5] = np.nan
    with pytest.raises(ContractError, match=r"decoder input: .* in token_state at element 5"):
        tracker.act_on_token(make_state(), token, make_goal())


@pytest.mark.benchmark
def test_cost(capsys):
    values = np.ones((1, 1762), dtype=np.float32)
    cost_us = []
    for _ in range(2000):
        begin = time.perf_counter_ns()
        require_finite("encoder", values, TERMS)
        cost_us.append((time.perf_counter_ns() - begin) / 1000)
    p50 = float(np.median(cost_us))
    with capsys.disabled():
        print(f"\n[finite check of 1762 numbers: p50 {p50:.2f} us]")  # noqa: T201
    assert p50 < 5.0
