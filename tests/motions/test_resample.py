"""Resampling and finite differences against motions known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonic_runtime.contract.rotations import quat_angle, quat_from_axis_angle, quat_from_yaw, quat_multiply, quat_rotate
from sonic_runtime.motions import resample as rs


@given(frames=st.integers(2, 400), fps=st.floats(5.0, 240.0))
def test_end_is_kept_within_half_a_step(frames, fps):
    index, fraction = rs.sample_positions(frames, fps)
    position = index + fraction
    assert position[0] == 0.0
    assert np.all(np.diff(position) >= 0.0)
    assert index.max() <= frames - 2
    assert fraction.min() >= 0.0
    assert fraction.max() <= 1.0
    missed_s = (frames - 1 - position[-1]) / fps
    assert -1e-9 <= missed_s <= 0.5 / rs.CONTROL_HZ + 1e-9


def test_same_rate_changes_nothing():
    values = np.random.default_rng(0).normal(size=(57, 3))
    index, fraction = rs.sample_positions(57, rs.CONTROL_HZ)
    np.testing.assert_allclose(rs.resample(values, index, fraction), values, atol=1e-12)


def test_lines_and_turns_are_exact():
    fps = 29.876
    t = np.arange(90) / fps
    index, fraction = rs.sample_positions(90, fps)
    t50 = np.arange(len(index) - 1) / 50.0  # the last sample may be drawn onto the end
    np.testing.assert_allclose(rs.resample(2.0 - 3.0 * t, index, fraction)[:-1], 2.0 - 3.0 * t50, atol=1e-9)
    turned = rs.resample_quat(quat_from_yaw(1.5 * t), index, fraction)[:-1]
    assert np.max(quat_angle(turned, quat_from_yaw(1.5 * t50))) < 1e-7


def test_slerp_takes_the_short_way_through_a_sign_flip():
    quat = quat_from_yaw(np.array([3.0, 3.2, 3.4]))
    quat[1] *= -1.0
    index, fraction = rs.sample_positions(3, 10.0)
    yaw = 3.0 + 0.2 * (index + fraction)
    found = rs.resample_quat(rs.continuous_quat(quat), index, fraction)
    assert np.max(quat_angle(found, quat_from_yaw(yaw))) < 1e-7
    assert np.min(np.sum(found[1:] * found[:-1], axis=1)) > 0.99


@pytest.mark.parametrize("spin", [[0.0, 0.0, 4.0], [1.0, -2.0, 0.5]])
def test_angular_velocity_is_in_the_world_frame(spin):
    """A body that spins about a fixed world axis, whatever way it was turned before."""
    t = np.arange(40)[:, None] / 50.0
    tilt = quat_from_axis_angle(np.array([0.4, 1.0, -0.3]))
    quat = quat_multiply(quat_from_axis_angle(np.array(spin) * t), np.broadcast_to(tilt, (40, 4)))
    np.testing.assert_allclose(rs.angular_velocity(quat, 50.0), np.broadcast_to(spin, (40, 3)), atol=1e-6)
    # and it moves points as a velocity must
    arm = quat_rotate(quat, np.broadcast_to([0.0, 0.3, 0.1], (40, 3)))
    expected = np.cross(np.broadcast_to(spin, (40, 3)), arm)
    np.testing.assert_allclose(rs.velocity(arm, 50.0)[1:-1], expected[1:-1], atol=5e-3)


def test_velocity_of_a_parabola_is_exact_inside():
    t = np.arange(30) / 50.0
    np.testing.assert_allclose(rs.velocity(t**2, 50.0)[1:-1], 2.0 * t[1:-1], atol=1e-9)
