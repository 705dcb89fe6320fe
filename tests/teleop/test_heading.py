"""Heading: the reference begins in the direction the robot faces."""

import numpy as np
import pytest

from sonic_runtime.contract.rotations import quat_from_axis_angle, quat_from_yaw, quat_multiply, yaw_of_quat
from teleop.heading import TURN_RAD_PER_TICK, Heading, Turning


def tilted(yaw: float, roll: float, pitch: float) -> np.ndarray:
    tilt = quat_multiply(quat_from_axis_angle(np.array([0, pitch, 0])), quat_from_axis_angle(np.array([roll, 0, 0])))
    return quat_multiply(quat_from_yaw(np.float64(yaw)), tilt)


def test_identity_before_the_start():
    assert Heading().quat_wxyz().tolist() == [1, 0, 0, 0]


def test_start_turns_the_reference_to_the_robot():
    heading = Heading()
    robot, reference = tilted(2.5, 0.1, -0.2), tilted(-1.2, -0.3, 0.25)
    heading.restart(robot, reference)
    assert heading.quat_wxyz()[[1, 2]].tolist() == [0, 0]
    turned = quat_multiply(heading.quat_wxyz(), reference)
    assert yaw_of_quat(turned) == pytest.approx(2.5)


def test_increments_add_up_and_a_restart_forgets_them():
    heading = Heading()
    heading.restart(tilted(0.5, 0, 0), tilted(0.2, 0, 0))
    heading.turn(0.3)
    heading.turn(0.1)
    assert yaw_of_quat(heading.quat_wxyz()) == pytest.approx(0.7)
    heading.restart(tilted(0.5, 0, 0), tilted(0.2, 0, 0))
    assert yaw_of_quat(heading.quat_wxyz()) == pytest.approx(0.3)


def test_first_frame_moves_the_reference_heading_only():
    heading = Heading()
    heading.restart(tilted(0.5, 0, 0), tilted(0.2, 0, 0))
    heading.first_frame(tilted(-0.4, 0, 0))
    assert yaw_of_quat(heading.quat_wxyz()) == pytest.approx(0.9)


def test_a_turn_is_given_out_steadily_bounded_and_may_be_dropped():
    turning = Turning()
    assert turning.step() == 0.0
    for _ in range(10):
        turning.ask(1.0)
    steps = [turning.step() for _ in range(400)]
    assert sum(steps) == pytest.approx(np.pi)
    assert max(steps) == TURN_RAD_PER_TICK
    turning.ask(-1.0)
    assert turning.step() == -TURN_RAD_PER_TICK
    turning.forget()
    assert turning.step() == 0.0
