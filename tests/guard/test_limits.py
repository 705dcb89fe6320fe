import numpy as np
import pytest

from sonic_runtime.contract.messages import Decision
from sonic_runtime.guard.limits import TargetLimits
from sonic_runtime.robots import g1
from tests.fakes.parts import make_target

KNEE = g1.HW.names.index("left_knee_joint")
LOW, HIGH = g1.JOINT_RANGE_HW.T


def decide(joint_pos_hw, **fields):
    return Decision(target=make_target(joint_pos_hw), action_pol=np.zeros(29, dtype=np.float32), **fields)


def pd_torque(target_hw, q, dq):
    torque = g1.STIFFNESS_HW * (target_hw - q) - g1.DAMPING_HW * dq
    return np.clip(torque, -g1.EFFORT_LIMIT_HW, g1.EFFORT_LIMIT_HW)


def test_a_target_within_the_bound_passes_untouched():
    wanted = decide(g1.DEFAULT_POS_HW.copy())
    limited = TargetLimits(1.0).apply(wanted)
    assert limited.target is wanted.target
    assert limited.fault is None


def test_the_bound_is_the_range_and_full_effort():
    # the knee: 2.8798 rad, 139 N m over 99.098 N m/rad
    wanted = g1.DEFAULT_POS_HW.copy()
    wanted[KNEE] = 9.0
    limits = TargetLimits(1.0)
    limited = limits.apply(decide(wanted))
    assert limited.target.joint_pos_hw[KNEE] == pytest.approx(2.8798 + 139 / 99.098428, abs=1e-4)
    assert limited.clamped_joints == 1
    assert limits.clamped_ticks == 1
    assert limits.clamped_by_joint() == {"left_knee_joint": 1}
    assert wanted[KNEE] == 9.0


def test_the_clamp_takes_no_torque_from_a_resting_joint_inside_its_range():
    rng = np.random.default_rng(0)
    limits = TargetLimits(1.0)
    for _ in range(300):
        q = rng.uniform(LOW, HIGH)
        wanted = q + rng.normal(0.0, 5.0, 29)
        limited = limits.apply(decide(wanted)).target.joint_pos_hw
        assert pd_torque(limited, q, 0.0) == pytest.approx(pd_torque(wanted, q, 0.0), abs=1e-9)
    assert limits.clamped_ticks > 250


def test_the_clamp_can_only_slow_a_joint_that_moves_towards_its_stop():
    q, dq = HIGH - 0.01, np.full(29, 3.0)
    wanted = HIGH + 20.0
    limited = TargetLimits(1.0).apply(decide(wanted)).target.joint_pos_hw
    assert np.all(pd_torque(limited, q, dq) < pd_torque(wanted, q, dq))
    # moving away from the stop, nothing is taken
    assert pd_torque(limited, q, -dq) == pytest.approx(pd_torque(wanted, q, -dq))


def test_a_smaller_fraction_limits_the_torque_at_the_stop():
    limited = TargetLimits(0.25).apply(decide(HIGH + 20.0)).target.joint_pos_hw
    assert pd_torque(limited, HIGH, 0.0) == pytest.approx(0.25 * g1.EFFORT_LIMIT_HW)


def test_without_stiffness_positions_need_no_bound():
    target = make_target(np.full(29, 100.0))
    free = Decision(
        target=type(target)(**{f: getattr(target, f) for f in target.__slots__} | {"stiffness_hw": np.zeros(29)})
    )
    limits = TargetLimits(1.0)
    assert limits.apply(free).target is free.target
    # the next target with stiffness is bounded again
    assert limits.apply(decide(np.full(29, 100.0))).clamped_joints == 29


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["joint_pos_hw", "joint_vel_hw", "stiffness_hw", "damping_hw", "torque_ff_hw"])
def test_what_is_not_finite_is_refused(field, bad):
    decision = decide(g1.DEFAULT_POS_HW.copy())
    values = np.array(getattr(decision.target, field))
    values[7] = bad
    object.__setattr__(decision.target, field, values)
    fault = TargetLimits(1.0).apply(decision).fault
    assert fault is not None
    assert fault.code == "non_finite"
    assert f"wanted {field}" in fault.detail
    assert "element 7" in fault.detail


def test_a_nan_action_is_refused():
    action = np.zeros(29, dtype=np.float32)
    action[2] = np.nan
    fault = TargetLimits(1.0).apply(Decision(target=make_target(), action_pol=action)).fault
    assert fault is not None
    assert "action_pol" in fault.detail
