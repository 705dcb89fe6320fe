"""Terms beyond the release layout, against numbers worked out by hand."""

import numpy as np
import pytest

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.rotations import quat_from_axis_angle, quat_from_yaw, quat_multiply
from sonic_runtime.motions.vr_points import vr_five_points
from sonic_runtime.observe import terms
from sonic_runtime.observe.human_terms import VR_COMPLIANCE_DEFAULT
from sonic_runtime.robots import g1
from tests.fakes.parts import make_goal, make_reference, make_state

HALF_PI = np.pi / 2
PITCH = quat_from_axis_angle(np.array([0.0, 0.5, 0.0]))
RY_HALF = [np.cos(0.5), 0, 0, 1, -np.sin(0.5), 0]
"""First two columns of Ry(0.5) = [[c, 0, s], [0, 1, 0], [-s, 0, c]], row by row."""
FRAMES = np.array([3, 8])


def compute(name, state=None, frames=FRAMES, *, reference, **goal):
    return terms.REFERENCE_TERMS[name].compute(state or make_state(), make_goal(reference, **goal), frames)


def turning_reference(track="root_quat_wxyz", **changes):
    """Frame k is turned by k times 10 degrees about the vertical, and pitched by 0.5 rad."""
    yaws = quat_from_yaw(np.radians(10.0) * np.arange(60))
    return make_reference(**{track: quat_multiply(yaws, np.tile(PITCH, (60, 1))), "cursor": 3, **changes})


@pytest.mark.parametrize(
    ("name", "track"),
    [("motion_anchor_orientation", "root_quat_wxyz"), ("smpl_anchor_orientation", "smpl_root_quat_wxyz")],
)
def test_refheading_looks_from_the_heading_of_the_reference_now(name, track):
    reference = turning_reference(track)
    # neither the robot's orientation nor the turn of the reference matters: both are taken away
    state, heading = make_state(base_quat_wxyz=quat_from_yaw(2.0)), quat_from_yaw(-1.0)
    out = compute(f"{name}_refheading", state, reference=reference, heading_quat_wxyz=heading)
    assert out[0] == pytest.approx(RY_HALF)
    # five frames on, the reference has turned left by 50 degrees: Rz(50) Ry(0.5), first two columns
    c, s = np.cos(np.radians(50)), np.sin(np.radians(50))
    cp, sp = np.cos(0.5), np.sin(0.5)
    assert out[1] == pytest.approx([c * cp, -s, s * cp, c, -sp, 0])


@pytest.mark.parametrize(
    ("name", "track"),
    [("motion_anchor_orientation", "root_quat_wxyz"), ("smpl_anchor_orientation", "smpl_root_quat_wxyz")],
)
def test_heading_looks_from_the_heading_of_the_robot(name, track):
    # the robot faces where the reference faces at frame 3, and rolls; its roll is not taken away from the reference
    base = quat_multiply(quat_from_yaw(np.radians(30)), quat_from_axis_angle(np.array([0.7, 0.0, 0.0])))
    out = compute(f"{name}_heading", make_state(base_quat_wxyz=base), reference=turning_reference(track))
    assert out[0] == pytest.approx(RY_HALF)


def test_heading_difference_is_the_yaw_alone():
    # reference now at 30 degrees, turned by the goal by 45: 75; robot at 15 and pitched: 60 degrees to the left of it
    base = quat_multiply(quat_from_yaw(np.radians(15)), PITCH)
    out = compute(
        "heading_diff_robot_ref",
        make_state(base_quat_wxyz=base),
        reference=turning_reference(),
        heading_quat_wxyz=quat_from_yaw(np.radians(45)),
    )
    root3 = np.sqrt(3) / 2
    assert out == pytest.approx(np.tile([0.5, -root3, root3, 0.5, 0, 0], (2, 1)))


def test_smpl_joints_of_the_legs():
    joints = np.arange(60 * 72, dtype=float).reshape(60, 24, 3)
    out = compute("smpl_joints_lower", reference=make_reference(smpl_joints_b=joints))
    expected = [8 * 72 + 3 * j + axis for j in (0, 1, 2, 4, 5, 7, 8, 10, 11) for axis in range(3)]
    assert out[1].tolist() == expected


def test_smpl_pose_and_its_arms():
    pose = np.arange(60 * 63, dtype=float).reshape(60, 21, 3)
    reference = make_reference(smpl_pose_rad=pose)
    assert compute("smpl_pose", reference=reference)[1].tolist() == list(range(8 * 63, 9 * 63))
    # poses begin at SMPL joint 1: elbows 18 19 and wrists 20 21 are the last four
    assert compute("smpl_elbow_wrist_poses", reference=reference)[0].tolist() == list(range(3 * 63 + 51, 4 * 63))


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("smpl_joints_lower", "smpl_joints_b"),
        ("smpl_pose", "smpl_pose_rad"),
        ("smpl_elbow_wrist_poses", "smpl_pose_rad"),
        ("smpl_anchor_orientation_refheading", "smpl_root_quat_wxyz"),
        ("vr_5point_local_target", "vr5_pos_b"),
        ("vr_5point_local_orn_target", "vr5_quat_b_wxyz"),
    ],
)
def test_a_reference_without_the_track_is_refused(name, field):
    with pytest.raises(ContractError, match=f"expected a reference with {field}"):
        compute(name, reference=make_reference())


def test_compliance_is_the_operators_or_the_published_default():
    assert VR_COMPLIANCE_DEFAULT.tolist() == [0.5, 0.5, 0.0]
    assert compute("vr_3point_compliance", reference=make_reference()).tolist() == [[0.5, 0.5, 0.0]] * 2
    out = compute("vr_3point_compliance", reference=make_reference(), vr_compliance=np.array([0.1, 0.2, 0.3]))
    assert out.tolist() == [[0.1, 0.2, 0.3]] * 2


def test_five_points_of_the_frame():
    reference = make_reference(
        vr5_pos_b=np.arange(60 * 15.0).reshape(60, 5, 3), vr5_quat_b_wxyz=np.arange(60 * 20.0).reshape(60, 5, 4)
    )
    assert compute("vr_5point_local_target", reference=reference)[1].tolist() == list(range(120, 135))
    assert compute("vr_5point_local_orn_target", reference=reference)[0].tolist() == list(range(60, 80))


def test_five_points_of_a_motion_are_hands_pelvis_and_feet_seen_from_the_pelvis():
    # pelvis at (1, 2, 3), turned left by 90 degrees; every other body b at (1, 2, 3) + (0, b, 0) in the world, which is
    # ahead of the pelvis; left hand turned as the pelvis, the others as the world
    quat = np.tile([1.0, 0.0, 0.0, 0.0], (1, 30, 1))
    left_hand, right_foot = (g1.BODY_NAMES.index(n) for n in ("left_wrist_yaw_link", "right_ankle_roll_link"))
    quat[0, [0, left_hand]] = quat_from_yaw(HALF_PI)
    pos = np.array([1.0, 2.0, 3.0]) + np.arange(30.0)[:, None] * np.array([0.0, 1.0, 0.0])
    points, turns = vr_five_points(pos[None], quat)
    assert points[0, [0, 2, 4]] == pytest.approx(np.array([[left_hand, 0, 0], [0, 0, 0], [right_foot, 0, 0]]))
    assert turns[0, [0, 2]] == pytest.approx(np.tile([1.0, 0.0, 0.0, 0.0], (2, 1)))
    assert turns[0, 4] == pytest.approx(quat_from_yaw(-HALF_PI))


def test_an_encoder_is_selected_by_its_number():
    assert terms.encoder_mode(2, 3).tolist() == [2, 0, 0]
    assert terms.encoder_mode(2, 4).tolist() == [2, 0, 0, 0]


def test_single_samples_have_the_name_without_his():
    for name in (
        "base_angular_velocity",
        "body_joint_positions",
        "body_joint_velocities",
        "last_actions",
        "gravity_dir",
    ):
        assert terms.HISTORY_TERMS[name] is terms.HISTORY_TERMS[f"his_{name}"]
