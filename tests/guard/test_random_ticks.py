"""Random ticks through the guard, and whether the judge of them would notice a guard that lets something through."""

from dataclasses import replace

import numpy as np
import pytest

from sonic_runtime.bench.guard import GuardBenchConfig, main, measure_guard
from sonic_runtime.config import load_config
from sonic_runtime.guard.config import STATE_CHECKS
from sonic_runtime.guard.limits import LimitedTarget, TargetLimits
from sonic_runtime.guard.modes import Guard
from sonic_runtime.guard.watchdog import Watchdog


def measure(ticks, seed=0):
    config = load_config("bench_guard", [f"ticks={ticks}", f"seed={seed}"], GuardBenchConfig)
    return measure_guard(config)


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_outside_the_limits_or_not_finite_comes_out(seed):
    result = measure(16_000, seed)
    assert result.violations == {}
    # and it is not that nothing comes out at all
    assert result.written > 0.4 * result.ticks
    assert 0.1 * result.written < result.clamped < 0.95 * result.written
    reached = {*STATE_CHECKS, "non_finite", "target_gains"} - {"motor_error", "tilt"}
    assert reached <= set(result.faults)


def test_the_command_ends_in_json(capsys):
    assert main(["ticks=2000", "seed=3"]) == 0
    assert '"violations":0' in capsys.readouterr().out.splitlines()[-1]


def changed(**fields):
    """A guard's limits that change what comes out of them."""
    apply = TargetLimits.apply

    def patched(self, decision, state):
        limited = apply(self, decision, state)
        target = limited.target
        return replace(limited, target=replace(target, **{n: f(getattr(target, n)) for n, f in fields.items()}))

    return patched


BROKEN_LIMITS = {
    "finite": changed(joint_pos_hw=lambda x: np.where(x > 3.0, np.nan, x)),
    "stiffness": changed(stiffness_hw=lambda x: 20.0 * x),
    "damping": changed(damping_hw=lambda x: -x),
    "velocity": changed(joint_vel_hw=lambda x: x + 60.0),
    "torque_ff": changed(torque_ff_hw=lambda x: x + 200.0),
    "moving_torque": changed(torque_ff_hw=lambda x: x + 200.0),
    "range": changed(joint_pos_hw=lambda x: x + 0.5),
    "torque": changed(joint_pos_hw=lambda x: x + 0.5),
    "rate": changed(joint_pos_hw=lambda x: x + 0.05 * np.random.default_rng(0).normal(size=29)),
    "changed without need": changed(joint_pos_hw=lambda x: 0.999 * x),
}


@pytest.mark.parametrize("rule", BROKEN_LIMITS)
def test_a_target_that_breaks_a_rule_is_found(rule, monkeypatch):
    monkeypatch.setattr(TargetLimits, "apply", BROKEN_LIMITS[rule])
    assert measure(4000).violations.get(rule, 0) > 0


def test_a_guard_without_limits_is_found(monkeypatch):
    monkeypatch.setattr(TargetLimits, "apply", lambda self, decision, state: LimitedTarget(decision.target))
    found = measure(4000).violations
    assert {"finite", "stiffness", "damping", "velocity", "torque_ff", "range", "torque", "rate"} <= set(found)
    assert "finite action" in found


def test_a_watchdog_that_sleeps_is_found(monkeypatch):
    monkeypatch.setattr(Watchdog, "check", lambda self, state, goal, now_ns: None)
    assert measure(4000).violations["acted upon an unfit state"] > 100


@pytest.mark.parametrize(
    "check", [name for name in STATE_CHECKS if name not in ("motor_error", "stale_stream", "tilt")]
)
def test_a_check_that_is_forgotten_is_found(check, monkeypatch):
    monkeypatch.setattr(Watchdog, f"_{check}", lambda self, state, goal, now_ns: None)
    assert measure(6000).violations["acted upon an unfit state"] > 0


def test_a_guard_that_recovers_is_found(monkeypatch):
    def for_this_tick(self):
        self.mode = "damping"

    def next_tick(self, state, goal, events, now_ns):
        self.mode = "stand"
        return decide(self, state, goal, events, now_ns)

    decide = Guard.decide
    monkeypatch.setattr(Guard, "release", for_this_tick)
    monkeypatch.setattr(Guard, "decide", next_tick)
    assert measure(4000).violations["target after damping"] > 100


def test_a_guard_that_does_not_hear_stop_is_found(monkeypatch):
    decide = Guard.decide
    monkeypatch.setattr(
        Guard, "decide", lambda self, state, goal, events, now_ns: decide(self, state, goal, (), now_ns)
    )
    assert measure(4000).violations["stop not heard"] > 0


def test_a_guard_that_ignores_its_mode_is_found(monkeypatch):
    monkeypatch.setattr(Guard, "admit", lambda self, decision, state: self.limits.apply(decision, state).target)
    found = measure(4000).violations
    assert found["target in waiting or damping"] > 0
    assert found["target after damping"] > 0
