import numpy as np
import pytest

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.rotations import quat_from_axis_angle, quat_from_yaw, quat_multiply
from sonic_runtime.guard.config import CHECKS, STATE_CHECKS
from sonic_runtime.guard.watchdog import Watchdog, tilt_rad
from sonic_runtime.robots import g1
from tests.fakes.parts import guard_config, make_goal, make_state

MS = 1_000_000


def check(state=None, goal=None, now_ns=0, **limits):
    return Watchdog(guard_config(**limits)).check(state or make_state(), goal, now_ns)


def code(*args, **limits):
    fault = check(*args, **limits)
    return None if fault is None else fault.code


def test_a_robot_at_rest_is_fit():
    assert code(None, make_goal()) is None


@pytest.mark.parametrize("axis", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.6, -0.8, 0.0]])
@pytest.mark.parametrize("angle", [0.0, 0.5, 1.3, 3.0])
def test_tilt_is_the_angle_of_the_lean_whatever_the_heading(axis, angle):
    lean = quat_from_axis_angle(np.array(axis) * angle)
    state = make_state(base_quat_wxyz=quat_multiply(quat_from_yaw(1.1), lean))
    assert tilt_rad(state) == pytest.approx(angle, abs=1e-7)


def test_tilt_beyond_the_limit():
    lean = make_state(base_quat_wxyz=quat_from_axis_angle(np.array([0.0, 1.21, 0.0])))
    assert code(lean, tilt_rad=1.2) == "tilt"
    assert code(lean, tilt_rad=1.22) is None


def test_stale_state():
    assert code(make_state(stamp_ns=0), None, 100 * MS, stale_state_ms=100.0) is None
    assert code(make_state(stamp_ns=0), None, 101 * MS, stale_state_ms=100.0) == "stale_state"


def test_stale_stream():
    fresh = make_state(stamp_ns=501 * MS)
    assert code(fresh, make_goal(stamp_ns=1 * MS), 501 * MS, stale_stream_ms=500.0) is None
    assert code(fresh, make_goal(stamp_ns=0), 501 * MS, stale_stream_ms=500.0) == "stale_stream"
    assert code(fresh, None, 501 * MS) is None


@pytest.mark.parametrize("side", [0, 1])
def test_a_joint_measured_outside_its_range(side):
    q = g1.DEFAULT_POS_HW.copy()
    q[4] = g1.JOINT_RANGE_HW[4, side] + (0.21 if side else -0.21)
    fault = check(make_state(joint_pos_hw=q), joint_range_margin_rad=0.2)
    assert fault is not None
    assert fault.code == "joint_range"
    assert "left_ankle_pitch_joint" in fault.detail
    assert code(make_state(joint_pos_hw=q), joint_range_margin_rad=0.22) is None


@pytest.mark.parametrize("field", ["joint_pos_hw", "joint_vel_hw", "base_quat_wxyz", "base_ang_vel_b"])
def test_a_measurement_that_is_not_finite(field):
    state = make_state()
    getattr(state, field)[1] = np.nan
    fault = check(state)
    assert fault is not None
    assert fault.code == "non_finite"
    assert f"measured {field}" in fault.detail


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.5])
def test_an_orientation_that_is_none(scale):
    state = make_state(base_quat_wxyz=scale * np.array([1.0, 0.0, 0.0, 0.0]))
    fault = check(state)
    assert fault is not None
    assert fault.code == "orientation"
    assert f"norm {scale:.3f}" in fault.detail


def test_stamps_of_another_clock_are_no_fresh_data():
    wall_clock_ns = 1_700_000_000_000_000_000
    assert code(make_state(stamp_ns=wall_clock_ns), None, 5 * MS) == "clock"
    assert code(make_state(stamp_ns=5 * MS), make_goal(stamp_ns=wall_clock_ns), 5 * MS) == "clock"


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_joint_that_is_too_fast_either_way(sign):
    dq = np.zeros(29)
    dq[3] = sign * 23.9
    assert code(make_state(joint_vel_hw=dq), joint_velocity_fraction=1.2) is None
    dq[3] = sign * 24.1
    fault = check(make_state(joint_vel_hw=dq), joint_velocity_fraction=1.2)
    assert fault is not None
    assert fault.code == "joint_velocity"
    assert "left_knee_joint" in fault.detail


def test_a_pelvis_that_is_low_where_its_height_is_known():
    low = make_state(base_pos_w=np.array([0.0, 0.0, 0.24]))
    assert code(low, base_height_m=0.25) == "base_height"
    assert code(low, base_height_m=0.23) is None
    assert code(make_state(base_pos_w=np.array([0.0, 0.0, np.nan]))) == "base_height"
    assert code(make_state(base_pos_w=None)) is None


def test_a_motor_that_reports_an_error_for_long():
    well, broken = np.zeros(29, dtype=np.int64), np.zeros(29, dtype=np.int64)
    broken[4] = 0x10
    watchdog = Watchdog(guard_config(motor_error_ticks=3))
    faults = [
        watchdog.check(make_state(motor_error_hw=word), None, 0)
        for word in (broken, broken, well, broken, broken, broken)
    ]
    assert faults[:5] == [None] * 5
    assert faults[5].code == "motor_error"
    assert "left_ankle_pitch_joint 0x10" in faults[5].detail


def test_a_motor_that_is_too_hot():
    temperatures = np.full(29, 40.0)
    temperatures[5] = 120.0
    assert code(make_state(motor_temperature_c_hw=temperatures), temperature_limit_c=120.0) is None
    temperatures[5] = 121.0
    fault = check(make_state(motor_temperature_c_hw=temperatures), temperature_limit_c=120.0)
    assert fault is not None
    assert fault.code == "temperature"
    assert "left_ankle_roll_joint" in fault.detail
    temperatures[5] = np.nan
    assert code(make_state(motor_temperature_c_hw=temperatures)) == "temperature"


UNFIT = {
    "orientation": ({"base_quat_wxyz": np.zeros(4)}, None, 0),
    "clock": ({"stamp_ns": 1}, None, 0),
    "stale_state": ({}, None, 100 * MS),
    "joint_velocity": ({"joint_vel_hw": np.full(29, -90.0)}, None, 0),
    "joint_range": ({"joint_pos_hw": np.full(29, 9.0)}, None, 0),
    "tilt": ({"base_quat_wxyz": np.array([0.0, 1.0, 0.0, 0.0])}, None, 0),
    "base_height": ({"base_pos_w": np.zeros(3)}, None, 0),
    "motor_error": ({"motor_error_hw": np.ones(29, dtype=np.int64)}, None, 0),
    "temperature": ({"motor_temperature_c_hw": np.full(29, 200.0)}, None, 0),
    "stale_stream": ({"stamp_ns": 900 * MS}, {"stamp_ns": 0}, 900 * MS),
}


@pytest.mark.parametrize("name", STATE_CHECKS)
def test_a_check_is_on_unless_it_is_turned_off(name):
    state, goal, now_ns = UNFIT[name]
    case = make_state(**state), None if goal is None else make_goal(**goal), now_ns
    assert code(*case, motor_error_ticks=1) == name
    assert code(*case, motor_error_ticks=1, off=(name,)) is None


def test_what_is_not_finite_is_found_with_every_check_turned_off():
    assert code(make_state(joint_pos_hw=np.full(29, np.nan)), off=CHECKS) == "non_finite"


@pytest.mark.parametrize("name", ["tlit", "non_finite", "stop", "damping"])
def test_only_checks_can_be_turned_off(name):
    with pytest.raises(ConfigError, match=f"orientation, clock.*target_torque|{name} cannot be turned off"):
        guard_config(off=(name,))


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_huge_numbers_are_judged_as_numbers():
    # finite, though their sum is not
    state = make_state(joint_vel_hw=np.full(29, 1e308))
    assert code(state) == "joint_velocity"
    state = make_state(joint_pos_hw=np.full(29, 1e308))
    assert code(state) == "joint_range"
