"""Orders, gains and subsets against the published SONIC numbers."""

from __future__ import annotations

import numpy as np
import pytest

from sonic_runtime.robots import g1


def test_policy_order_is_breadth_first():
    # published: hardware index of each policy joint
    published = [
        0,
        6,
        12,
        1,
        7,
        13,
        2,
        8,
        14,
        3,
        9,
        15,
        22,
        4,
        10,
        16,
        23,
        5,
        11,
        17,
        24,
        18,
        25,
        19,
        26,
        20,
        27,
        21,
        28,
    ]
    assert g1.HW_INDEX_OF_POL.tolist() == published
    assert g1.JOINT_NAMES_POL[:4] == (
        "left_hip_pitch_joint",
        "right_hip_pitch_joint",
        "waist_yaw_joint",
        "left_hip_roll_joint",
    )


def test_orders_are_inverse():
    values = np.arange(58.0).reshape(2, 29)
    np.testing.assert_array_equal(g1.to_hw_order(g1.to_policy_order(values)), values)
    np.testing.assert_array_equal(g1.to_policy_order(g1.to_hw_order(values)), values)


@pytest.mark.parametrize(
    ("joint", "armature", "stiffness", "damping", "effort", "scale"),
    [
        ("left_hip_pitch_joint", 0.025101925, 99.098428, 6.308802, 139.0, 0.35066147),
        ("right_knee_joint", 0.025101925, 99.098428, 6.308802, 139.0, 0.35066147),
        ("waist_yaw_joint", 0.010177520, 40.179238, 2.557890, 88.0, 0.54754647),
        ("left_ankle_roll_joint", 0.00721945, 28.501246, 1.814446, 50.0, 0.43857731),
        ("waist_pitch_joint", 0.00721945, 28.501246, 1.814446, 50.0, 0.43857731),
        ("right_elbow_joint", 0.003609725, 14.250623, 0.907223, 25.0, 0.43857731),
        ("left_wrist_roll_joint", 0.003609725, 14.250623, 0.907223, 25.0, 0.43857731),
        ("right_wrist_yaw_joint", 0.00425, 16.778327, 1.068142, 5.0, 0.07450087),
    ],
)
def test_motor_numbers_as_published(joint, armature, stiffness, damping, effort, scale):
    i = g1.JOINT_NAMES_HW.index(joint)
    found = [g1.ARMATURE_HW[i], g1.STIFFNESS_HW[i], g1.DAMPING_HW[i], g1.EFFORT_LIMIT_HW[i], g1.ACTION_SCALE_HW[i]]
    np.testing.assert_allclose(found, [armature, stiffness, damping, effort, scale], rtol=1e-6)


def test_default_pose_lies_in_the_ranges():
    assert np.all(g1.JOINT_RANGE_HW[:, 0] <= g1.DEFAULT_POS_HW)
    assert np.all(g1.JOINT_RANGE_HW[:, 1] >= g1.DEFAULT_POS_HW)
    assert g1.DEFAULT_POS_HW[g1.JOINT_NAMES_HW.index("left_knee_joint")] == 0.669


def test_subsets():
    assert len(g1.TRACKED_BODY_NAMES) == 14
    assert set(g1.TRACKED_BODY_NAMES) <= set(g1.BODY_NAMES)
    assert g1.HW.index_of(g1.WRIST_NAMES).tolist() == [19, 26, 20, 27, 21, 28]
    assert g1.LOWER_BODY_NAMES[-1] == "right_ankle_roll_joint"
    assert [body for body, _ in g1.VR_POINTS] == ["left_wrist_yaw_link", "right_wrist_yaw_link", "torso_link"]


def test_arrays_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        g1.DEFAULT_POS_HW[0] = 1.0
