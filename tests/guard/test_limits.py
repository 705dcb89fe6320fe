from dataclasses import replace

import numpy as np
import pytest

from sonic_runtime.contract.messages import Decision
from sonic_runtime.guard.limits import TargetLimits
from sonic_runtime.robots import g1
from tests.fakes.parts import guard_config, make_state, make_target

KNEE = g1.HW.names.index("left_knee_joint")
LOW, HIGH = g1.JOINT_RANGE_HW.T
EFFORT, KP, KD = g1.EFFORT_LIMIT_HW, g1.STIFFNESS_HW, g1.DAMPING_HW
REST = make_state()
RANGE_ONLY = ("target_rate", "target_torque")


def limits(**changes):
    return TargetLimits(guard_config(**changes))


def decide(joint_pos_hw=None, **fields):
    target = replace(make_target(joint_pos_hw), **fields)
    return Decision(target=target, action_pol=np.zeros(29, dtype=np.float32))


def pd_torque(target_hw, q, dq):
    return KP * (target_hw - q) - KD * dq


def clipped(torque):
    return np.clip(torque, -EFFORT, EFFORT)


def test_a_target_within_all_limits_passes_untouched():
    wanted = decide(g1.DEFAULT_POS_HW + 0.1)
    limited = limits().apply(wanted, REST)
    assert limited.target is wanted.target
    assert limited.fault is None


def test_the_bound_is_the_range_and_full_effort():
    # the knee: 2.8798 rad, 139 N m over 99.098 N m/rad
    wanted = g1.DEFAULT_POS_HW.copy()
    wanted[KNEE] = 9.0
    tested = limits(off=RANGE_ONLY)
    limited = tested.apply(decide(wanted), REST)
    assert limited.target.joint_pos_hw[KNEE] == pytest.approx(2.8798 + 139 / 99.098428, abs=1e-4)
    assert limited.clamped_joints == 1
    assert tested.clamped_ticks == 1
    assert tested.clamped_by_joint() == {"left_knee_joint": 1}
    assert tested.clamped_ticks_of == {"target_range": 1}
    assert wanted[KNEE] == 9.0


def test_the_bound_takes_no_torque_from_a_resting_joint_inside_its_range():
    rng = np.random.default_rng(0)
    tested = limits(off=RANGE_ONLY)
    for _ in range(300):
        q = rng.uniform(LOW, HIGH)
        wanted = q + rng.normal(0.0, 5.0, 29)
        limited = tested.apply(decide(wanted), make_state(joint_pos_hw=q)).target.joint_pos_hw
        assert clipped(pd_torque(limited, q, 0.0)) == pytest.approx(clipped(pd_torque(wanted, q, 0.0)), abs=1e-9)
    assert tested.clamped_ticks > 250


def test_the_bound_can_only_slow_a_joint_that_moves_towards_its_stop():
    q, dq = HIGH - 0.01, np.full(29, 3.0)
    wanted = HIGH + 20.0
    state = make_state(joint_pos_hw=q, joint_vel_hw=dq)
    limited = limits(off=RANGE_ONLY).apply(decide(wanted), state).target.joint_pos_hw
    assert np.all(clipped(pd_torque(limited, q, dq)) < clipped(pd_torque(wanted, q, dq)))
    # moving away from the stop, nothing is taken
    assert clipped(pd_torque(limited, q, -dq)) == pytest.approx(clipped(pd_torque(wanted, q, -dq)))


def test_a_smaller_fraction_limits_the_torque_at_the_stop():
    limited = limits(off=RANGE_ONLY, target_range_fraction=0.25).apply(decide(HIGH + 20.0), REST).target.joint_pos_hw
    assert clipped(pd_torque(limited, HIGH, 0.0)) == pytest.approx(0.25 * EFFORT)


def test_the_torque_that_is_predicted_is_limited_with_the_speed_that_is_measured():
    # at a quarter of the effort the knee may be pulled by 34.75 N m; at 2 rad/s its damping brakes by 12.6 more
    dq = np.zeros(29)
    dq[KNEE] = 2.0
    wanted = g1.DEFAULT_POS_HW.copy()
    wanted[KNEE] += 1.2
    tested = limits(target_torque_fraction=0.25)
    limited = tested.apply(decide(wanted), make_state(joint_vel_hw=dq)).target.joint_pos_hw
    assert limited[KNEE] == pytest.approx(0.669 + (0.25 * 139 + 6.308802 * 2.0) / 99.098428, abs=1e-5)
    assert np.delete(limited, KNEE) == pytest.approx(np.delete(wanted, KNEE), abs=0.0)
    assert tested.clamped_ticks_of == {"target_torque": 1}


def test_a_brake_is_never_taken_away_and_never_made_stronger():
    # 30 rad/s: the damping alone brakes by 189 N m, more than the effort
    dq = np.zeros(29)
    dq[KNEE] = 30.0
    state = make_state(joint_vel_hw=dq)
    for offset, expected in ((-1.0, 0.0), (0.5, 0.5), (0.0, 0.0)):
        wanted = g1.DEFAULT_POS_HW.copy()
        wanted[KNEE] += offset
        limited = limits(target_torque_fraction=1.0).apply(decide(wanted), state).target.joint_pos_hw
        assert limited[KNEE] - g1.DEFAULT_POS_HW[KNEE] == pytest.approx(expected, abs=1e-9)


def test_a_target_moves_no_faster_than_the_rate_from_tick_to_tick():
    tested = limits(target_rate_fraction=0.1)
    steps = 0.1 * EFFORT / KP
    wanted = decide(g1.DEFAULT_POS_HW + 0.9 * steps)
    assert tested.apply(wanted, REST).target is wanted.target
    down = decide(g1.DEFAULT_POS_HW - 3.0 * steps)
    second = tested.apply(down, REST).target.joint_pos_hw
    assert second == pytest.approx(g1.DEFAULT_POS_HW - 0.1 * steps)
    third = tested.apply(down, REST).target.joint_pos_hw
    assert third == pytest.approx(g1.DEFAULT_POS_HW - 1.1 * steps)
    assert tested.clamped_ticks_of == {"target_rate": 2}
    tested.forget()
    # after damping the rate begins at the measured angle
    again = tested.apply(decide(g1.DEFAULT_POS_HW + 3.0 * steps), REST).target.joint_pos_hw
    assert again == pytest.approx(g1.DEFAULT_POS_HW + steps)


def test_the_rate_counts_from_what_is_allowed_now():
    # a target that meant nothing, without stiffness, is no reason to pull when the stiffness is back
    tested = limits(target_torque_fraction=1.0)
    free = decide(g1.DEFAULT_POS_HW + 5.0, stiffness_hw=np.zeros(29))
    assert tested.apply(free, REST).target.joint_pos_hw[KNEE] == pytest.approx(0.669 + 5.0)
    back = tested.apply(decide(), REST).target.joint_pos_hw
    assert back == pytest.approx(g1.DEFAULT_POS_HW, abs=1e-9)


def test_velocity_targets_are_limited_to_what_the_motor_does_and_the_torque_allows():
    limited = limits().apply(decide(joint_vel_hw=np.full(29, 1e6)), REST).target
    assert np.all(limited.joint_vel_hw <= g1.VELOCITY_LIMIT_HW)
    assert np.all(KD * limited.joint_vel_hw <= 1.5 * EFFORT * (1 + 1e-12))
    assert limited.joint_vel_hw[KNEE] == 20.0
    wrist = g1.HW.names.index("left_wrist_yaw_joint")
    assert limited.joint_vel_hw[wrist] == pytest.approx(1.5 * 5.0 / KD[wrist])


def test_feed_forward_torque_is_limited_and_so_is_what_it_adds_to():
    limited = limits().apply(decide(torque_ff_hw=np.full(29, -1e9)), REST).target
    assert limited.torque_ff_hw == pytest.approx(-EFFORT)
    both = limits(target_torque_fraction=1.0).apply(
        decide(torque_ff_hw=EFFORT.copy(), joint_vel_hw=np.full(29, 2.0)), REST
    )
    assert KD * both.target.joint_vel_hw + both.target.torque_ff_hw == pytest.approx(EFFORT)
    small = decide(torque_ff_hw=0.3 * EFFORT, joint_vel_hw=np.full(29, 0.1))
    assert limits().apply(small, REST).target is small.target


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"stiffness_hw": np.where(np.arange(29) == KNEE, 1000.0, KP)}, "found 1000"),
        ({"stiffness_hw": np.where(np.arange(29) == KNEE, -1.0, KP)}, "found -1"),
        ({"damping_hw": np.where(np.arange(29) == KNEE, 0.1, KD)}, "found 0.1;"),
        ({"damping_hw": np.where(np.arange(29) == KNEE, -0.1, KD), "stiffness_hw": np.zeros(29)}, "found -0.1"),
        ({"damping_hw": np.where(np.arange(29) == KNEE, 21.0, KD)}, "found 21"),
    ],
)
def test_gains_of_another_robot_are_refused(fields, what):
    fault = limits().apply(decide(**fields), REST).fault
    assert fault is not None
    assert fault.code == "target_gains"
    assert "left_knee_joint" in fault.detail
    assert what in fault.detail
    assert limits(off=("target_gains",)).apply(decide(**fields), REST).fault is None


def test_the_gains_of_published_runtimes_are_no_faults():
    legs = [150.0, 150.0, 150.0, 200.0, 40.0, 40.0]
    arm = [100.0, 100.0, 40.0, 40.0, 20.0, 20.0, 20.0]
    stiffness = np.array([*legs, *legs, 250.0, 250.0, 250.0, *arm, *arm])
    damping = np.array([*[2.0, 2.0, 2.0, 4.0, 2.0, 2.0] * 2, 5.0, 5.0, 5.0, *[5.0, 5.0, 2.0, 2.0, 2.0, 2.0, 2.0] * 2])
    assert limits().apply(decide(stiffness_hw=stiffness, damping_hw=damping), REST).fault is None


def test_without_stiffness_a_target_is_within_a_turn_of_the_range():
    tested = limits(off=RANGE_ONLY)
    free = decide(np.full(29, 5.0), stiffness_hw=np.zeros(29))
    assert tested.apply(free, REST).target is free.target
    far = tested.apply(decide(np.full(29, 100.0), stiffness_hw=np.zeros(29)), REST)
    assert far.target.joint_pos_hw == pytest.approx(HIGH + 2 * np.pi)


def test_a_target_that_is_off_is_off():
    wild = decide(np.full(29, 50.0), joint_vel_hw=np.full(29, 90.0), torque_ff_hw=np.full(29, 900.0))
    off = ("target_rate", "target_range", "target_torque", "target_velocity", "target_torque_ff")
    assert limits(off=off).apply(wild, REST).target is wild.target


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["joint_pos_hw", "joint_vel_hw", "stiffness_hw", "damping_hw", "torque_ff_hw"])
def test_what_is_not_finite_is_refused(field, bad):
    values = np.array(getattr(make_target(), field))
    values[7] = bad
    fault = limits().apply(decide(**{field: values}), REST).fault
    assert fault is not None
    assert fault.code == "non_finite"
    assert f"wanted {field}" in fault.detail
    assert "element 7" in fault.detail


def test_a_nan_action_is_refused():
    action = np.zeros(29, dtype=np.float32)
    action[2] = np.nan
    fault = limits().apply(Decision(target=make_target(), action_pol=action), REST).fault
    assert fault is not None
    assert "action_pol" in fault.detail


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("field", ["joint_pos_hw", "joint_vel_hw"])
def test_a_target_that_cannot_be_limited_is_refused(field):
    # the measurement has not been checked, as if all checks of it were off
    bad = np.zeros(29)
    bad[3] = np.nan
    fault = limits().apply(decide(), make_state(**{field: bad})).fault
    assert fault is not None
    assert fault.code == "non_finite"
    assert f"measured {field}" in fault.detail


@pytest.mark.parametrize(
    "values", [np.zeros(28), np.zeros(1), np.zeros(()), np.zeros((29, 1)), np.zeros(29, dtype=int)]
)
def test_arrays_of_another_shape_or_kind_are_refused(values):
    fault = limits().apply(decide(torque_ff_hw=values), REST).fault
    assert fault is not None
    assert fault.code == "target_shape"
    assert "torque_ff_hw" in fault.detail


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_huge_but_finite_targets_are_clamped():
    limited = limits().apply(decide(np.full(29, 1e308), joint_vel_hw=np.full(29, -1e308)), REST)
    assert limited.fault is None
    assert np.isfinite(limited.target.joint_pos_hw).all()
    assert limited.clamped_joints == 29
