import numpy as np
import pytest

from sonic_runtime.contract.rotations import quat_from_axis_angle, quat_from_yaw, quat_multiply
from sonic_runtime.guard.watchdog import check, tilt_rad
from sonic_runtime.robots import g1
from tests.fakes.parts import guard_config, make_goal, make_state

MS = 1_000_000


def code(state=None, goal=None, now_ns=0, **limits):
    fault = check(state or make_state(), goal, now_ns, guard_config(**limits))
    return None if fault is None else fault.code


def test_a_robot_at_rest_is_fit():
    assert code(goal=make_goal()) is None


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
    assert code(make_state(stamp_ns=0), now_ns=100 * MS, stale_state_ms=100.0) is None
    assert code(make_state(stamp_ns=0), now_ns=101 * MS, stale_state_ms=100.0) == "stale_state"


def test_stale_stream():
    fresh = make_state(stamp_ns=501 * MS)
    assert code(fresh, make_goal(stamp_ns=1 * MS), 501 * MS, stale_stream_ms=500.0) is None
    assert code(fresh, make_goal(stamp_ns=0), 501 * MS, stale_stream_ms=500.0) == "stale_stream"
    assert code(fresh, None, 501 * MS) is None


@pytest.mark.parametrize("side", [0, 1])
def test_a_joint_measured_outside_its_range(side):
    q = g1.DEFAULT_POS_HW.copy()
    q[4] = g1.JOINT_RANGE_HW[4, side] + (0.21 if side else -0.21)
    fault = check(make_state(joint_pos_hw=q), None, 0, guard_config(joint_range_margin_rad=0.2))
    assert fault is not None
    assert fault.code == "joint_range"
    assert "left_ankle_pitch_joint" in fault.detail
    assert code(make_state(joint_pos_hw=q), joint_range_margin_rad=0.22) is None


@pytest.mark.parametrize("field", ["joint_pos_hw", "joint_vel_hw", "base_quat_wxyz", "base_ang_vel_b"])
def test_a_measurement_that_is_not_finite(field):
    state = make_state()
    getattr(state, field)[1] = np.nan
    fault = check(state, None, 0, guard_config())
    assert fault is not None
    assert fault.code == "non_finite"
    assert f"measured {field}" in fault.detail


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.5])
def test_an_orientation_that_is_none(scale):
    state = make_state(base_quat_wxyz=scale * np.array([1.0, 0.0, 0.0, 0.0]))
    fault = check(state, None, 0, guard_config())
    assert fault is not None
    assert fault.code == "orientation"
    assert f"norm {scale:.3f}" in fault.detail


def test_stamps_of_another_clock_are_no_fresh_data():
    wall_clock_ns = 1_700_000_000_000_000_000
    assert code(make_state(stamp_ns=wall_clock_ns), now_ns=5 * MS) == "clock"
    assert code(make_state(stamp_ns=5 * MS), make_goal(stamp_ns=wall_clock_ns), 5 * MS) == "clock"


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_huge_numbers_are_judged_as_numbers():
    # finite, though their sum is not
    state = make_state(joint_vel_hw=np.full(29, 1e308))
    assert code(state) is None
    state = make_state(joint_pos_hw=np.full(29, 1e308))
    assert code(state) == "joint_range"
