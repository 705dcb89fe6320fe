"""Every term against numbers worked out by hand."""

import numpy as np
import pytest

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.rotations import (
    quat_conjugate,
    quat_from_axis_angle,
    quat_from_yaw,
    quat_multiply,
    rot6d_from_quat,
)
from sonic_runtime.observe import terms
from sonic_runtime.observe.reference_terms import future_frames
from sonic_runtime.robots import g1
from tests.fakes.parts import IDENTITY, make_goal, make_reference, make_state

HALF_PI = np.pi / 2
FRAMES = np.array([0, 5, 10])


def compute(name, state=None, goal=None, frames=FRAMES):
    return terms.REFERENCE_TERMS[name].compute(state or make_state(), goal or make_goal(), frames)


def measured(name, state, action=None):
    return terms.HISTORY_TERMS[name].compute(state, np.zeros(29) if action is None else action)


def test_future_frames_step_and_stop_at_the_last():
    reference = make_reference(30, cursor=20)
    assert future_frames(reference, np.arange(4) * 5).tolist() == [20, 25, 29, 29]


def test_future_frames_repeat_the_cursor_while_not_playing():
    reference = make_reference(30, cursor=20, playing=False)
    assert future_frames(reference, np.arange(3) * 5).tolist() == [20, 20, 20]


def test_joint_terms_are_absolute_frame_by_frame_in_policy_order():
    positions = compute("motion_joint_positions")
    assert positions.shape == (3, 29)
    assert positions[1, 7] == pytest.approx(5.07)
    assert compute("motion_joint_velocities")[2, 28] == pytest.approx(-10.28)


def test_velocities_are_zero_while_not_playing():
    goal = make_goal(make_reference(cursor=5, playing=False))
    assert not compute("motion_joint_velocities", goal=goal).any()
    assert not compute("motion_joint_velocities_lowerbody", goal=goal).any()


def test_lower_body_is_in_hardware_order():
    # left hip pitch, roll, yaw, knee, ankle pitch, roll, then right: 0 3 6 9 13 17 and 1 4 7 10 14 18 in policy order
    expected = np.array([0, 3, 6, 9, 13, 17, 1, 4, 7, 10, 14, 18]) / 100
    assert compute("motion_joint_positions_lowerbody")[0] == pytest.approx(expected)
    assert compute("motion_joint_velocities_lowerbody")[1] == pytest.approx(-5 - expected)


def test_wrists_are_left_and_right_roll_pitch_yaw():
    assert g1.POL.names[23:25] == ("left_wrist_roll_joint", "right_wrist_roll_joint")
    assert compute("motion_joint_positions_wrists")[0] == pytest.approx(np.arange(23, 29) / 100)
    assert compute("motion_joint_velocities_wrists")[2] == pytest.approx(-10 - np.arange(23, 29) / 100)


def test_root_height_is_that_of_the_frames():
    roots = np.arange(180, dtype=float).reshape(60, 3)
    goal = make_goal(make_reference(root_pos_w=roots))
    for name in ("motion_root_z_position", "smpl_root_z"):
        assert compute(name, goal=goal).tolist() == [[2.0], [17.0], [32.0]]


def test_a_reference_without_root_position_has_no_height():
    with pytest.raises(ContractError, match="expected a reference with root_pos_w"):
        compute("motion_root_z_position")


def test_anchor_of_a_robot_that_agrees_is_the_identity():
    yaw = quat_from_yaw(0.7)
    goal = make_goal(make_reference(root_quat_wxyz=np.tile(yaw, (60, 1))))
    out = compute("motion_anchor_orientation", make_state(base_quat_wxyz=yaw), goal)
    assert out == pytest.approx(np.tile([1.0, 0.0, 0.0, 1.0, 0.0, 0.0], (3, 1)))


def test_anchor_is_row_by_row():
    # robot turned left by 90 degrees, reference not: seen from the robot, the reference is turned right.
    # Rz(-90) = [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]; its first two columns, row by row:
    out = compute("motion_anchor_orientation", make_state(base_quat_wxyz=quat_from_yaw(HALF_PI)), frames=FRAMES[:1])
    assert out[0] == pytest.approx([0.0, 1.0, -1.0, 0.0, 0.0, 0.0])


def test_anchor_equals_the_formula_at_random_orientations():
    rng = np.random.default_rng(0)
    for _ in range(50):
        base, heading, *roots = (quat_from_axis_angle(v) for v in rng.normal(0.0, 1.5, (62, 3)))
        goal = make_goal(make_reference(root_quat_wxyz=np.array(roots)), heading_quat_wxyz=heading)
        out = compute("motion_anchor_orientation", make_state(base_quat_wxyz=base), goal)
        turned = quat_multiply(quat_multiply(quat_conjugate(base), heading), np.array(roots)[FRAMES])
        assert out == pytest.approx(rot6d_from_quat(turned), abs=1e-12)


def test_heading_turns_the_reference():
    goal = make_goal(heading_quat_wxyz=quat_from_yaw(HALF_PI))
    out = compute("motion_anchor_orientation", make_state(base_quat_wxyz=quat_from_yaw(HALF_PI)), goal)
    assert out[0] == pytest.approx([1.0, 0.0, 0.0, 1.0, 0.0, 0.0])


def test_anchor_takes_the_full_tilt_away_and_the_heading_variant_only_the_yaw():
    pitch = quat_from_axis_angle(np.array([0.0, 0.5, 0.0]))
    base = quat_multiply(quat_from_yaw(0.3), pitch)
    goal = make_goal(make_reference(root_quat_wxyz=np.tile(base, (60, 1))))
    state = make_state(base_quat_wxyz=base)
    assert compute("motion_anchor_orientation", state, goal)[0] == pytest.approx([1, 0, 0, 1, 0, 0])
    # what is left is Ry(0.5) = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    expected = [np.cos(0.5), 0, 0, 1, -np.sin(0.5), 0]
    assert compute("motion_anchor_orientation_heading", state, goal)[0] == pytest.approx(expected)


def test_smpl_terms_follow_the_stream():
    joints = np.arange(60 * 72, dtype=float).reshape(60, 24, 3)
    roots = np.tile(quat_from_yaw(-HALF_PI), (60, 1))
    goal = make_goal(make_reference(smpl_joints_b=joints, smpl_root_quat_wxyz=roots), encoder="smpl")
    assert compute("smpl_joints", goal=goal)[1].tolist() == list(range(5 * 72, 6 * 72))
    assert compute("smpl_anchor_orientation", goal=goal)[0] == pytest.approx([0.0, 1.0, -1.0, 0.0, 0.0, 0.0])


def test_a_reference_without_smpl_is_refused():
    with pytest.raises(ContractError, match="expected a reference with smpl_joints_b"):
        compute("smpl_joints", goal=make_goal(encoder="smpl"))


def test_vr_points_are_those_of_the_frame():
    points = np.arange(60 * 9, dtype=float).reshape(60, 3, 3)
    quats = np.arange(60 * 12, dtype=float).reshape(60, 3, 4)
    goal = make_goal(make_reference(cursor=7, vr_pos_b=points, vr_quat_b_wxyz=quats))
    frames = future_frames(goal.reference, np.array([0]))
    for name in ("vr_3point_local_target", "vr_3point_local_target_compliant"):
        assert compute(name, goal=goal, frames=frames).tolist() == [list(range(63, 72))]
    assert compute("vr_3point_local_orn_target", goal=goal, frames=frames).tolist() == [list(range(84, 96))]


def test_vr_points_of_nobody_are_the_published_constants():
    assert compute("vr_3point_local_target")[0, :3].tolist() == [0.0903, 0.1615, -0.2411]
    assert compute("vr_3point_local_orn_target")[0, 8:].tolist() == [0.9991, 0.0110, 0.0402, -0.0002]


def test_gravity_upright_on_the_side_and_on_the_back():
    assert measured("his_gravity_dir", make_state()) == pytest.approx([0, 0, -1])
    # rolled to the right by 90 degrees, the robot's right (-y) points down
    rolled = quat_from_axis_angle(np.array([HALF_PI, 0.0, 0.0]))
    assert measured("his_gravity_dir", make_state(base_quat_wxyz=rolled)) == pytest.approx([0, -1, 0])
    # pitched forward by 90 degrees, the robot's front (+x) points down
    pitched = quat_from_axis_angle(np.array([0.0, HALF_PI, 0.0]))
    assert measured("his_gravity_dir", make_state(base_quat_wxyz=pitched)) == pytest.approx([1, 0, 0])


def test_measured_joints_are_relative_to_the_default_pose_in_policy_order():
    q = g1.DEFAULT_POS_HW.copy()
    q[g1.HW.names.index("left_knee_joint")] += 0.25
    out = measured("his_body_joint_positions", make_state(joint_pos_hw=q))
    assert np.flatnonzero(out).tolist() == [g1.POL.names.index("left_knee_joint")]
    assert out.max() == pytest.approx(0.25)
    dq = np.arange(29.0)
    out = measured("his_body_joint_velocities", make_state(joint_vel_hw=dq))
    assert out[g1.POL.names.index("waist_yaw_joint")] == g1.HW.names.index("waist_yaw_joint")


def test_gyro_and_last_action_are_passed_on():
    state = make_state(base_ang_vel_b=np.array([1.0, 2.0, 3.0]))
    assert measured("his_base_angular_velocity", state).tolist() == [1, 2, 3]
    assert measured("his_last_actions", state, np.arange(29.0)).tolist() == list(range(29))


def test_every_term_says_its_shape():
    reference = make_reference(
        root_pos_w=np.zeros((60, 3)),
        vr5_pos_b=np.zeros((60, 5, 3)),
        vr5_quat_b_wxyz=np.zeros((60, 5, 4)),
        smpl_joints_b=np.zeros((60, 24, 3)),
        smpl_root_quat_wxyz=np.tile(IDENTITY, (60, 1)),
        smpl_pose_rad=np.zeros((60, 21, 3)),
    )
    for name, term in terms.REFERENCE_TERMS.items():
        assert term.compute(make_state(), make_goal(reference), FRAMES).shape == (len(FRAMES), term.dim), name
    for name, term in terms.HISTORY_TERMS.items():
        assert term.compute(make_state(), np.zeros(29)).shape == (term.dim,), name
