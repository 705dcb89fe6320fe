"""The upper-body override: terms of all 29 joints see it, those of a subset do not."""

import numpy as np
import pytest

from sonic_runtime.observe import reference_terms as ref
from sonic_runtime.robots import g1
from tests.fakes.parts import make_goal, make_reference, make_state

FRAMES = np.array([0, 5, 10])
POS, VEL = np.linspace(-0.8, 0.8, 17), np.linspace(1.0, 2.0, 17)
# waist yaw, roll, pitch, then left and right shoulder, elbow and wrist in turn: the published index list
UPPER = [2, 5, 8, 11, 12, 15, 16, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28]
LEGS = sorted(set(range(29)) - set(UPPER))


def test_the_order_of_the_override_is_the_published_one():
    assert [g1.JOINT_NAMES_POL.index(name) for name in g1.UPPER_BODY_NAMES] == UPPER


def test_positions_and_velocities_above_the_legs_are_replaced_in_every_frame():
    reference = make_reference()
    goal = make_goal(reference, upper_body_pos_pol=POS, upper_body_vel_pol=VEL)
    pos, vel = ref.joint_positions(make_state(), goal, FRAMES), ref.joint_velocities(make_state(), goal, FRAMES)
    np.testing.assert_array_equal(pos[:, UPPER], np.tile(POS, (3, 1)))
    np.testing.assert_array_equal(vel[:, UPPER], np.tile(VEL, (3, 1)))
    np.testing.assert_array_equal(pos[:, LEGS], reference.joint_pos_pol[FRAMES][:, LEGS])
    np.testing.assert_array_equal(vel[:, LEGS], reference.joint_vel_pol[FRAMES][:, LEGS])
    assert reference.joint_pos_pol[5, 28] == pytest.approx(5.28), "the reference itself is not written to"


def test_without_velocities_they_are_zero():
    vel = ref.joint_velocities(make_state(), make_goal(upper_body_pos_pol=POS), FRAMES)
    assert not vel[:, UPPER].any()
    assert vel[1:, LEGS].all()


def test_at_rest_no_velocity_is_shown():
    goal = make_goal(make_reference(playing=False), upper_body_pos_pol=POS, upper_body_vel_pol=VEL)
    assert not ref.joint_velocities(make_state(), goal, FRAMES).any()
    np.testing.assert_array_equal(ref.joint_positions(make_state(), goal, FRAMES)[:, UPPER], np.tile(POS, (3, 1)))


@pytest.mark.parametrize("term", [ref.joint_positions_wrists, ref.joint_positions_lowerbody])
def test_terms_of_a_subset_are_not_touched(term):
    state = make_state()
    np.testing.assert_array_equal(
        term(state, make_goal(upper_body_pos_pol=POS), FRAMES), term(state, make_goal(), FRAMES)
    )
