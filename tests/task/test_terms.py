"""Rewards, terminations and observations against numbers worked out by hand."""

import math

import pytest

torch = pytest.importorskip("torch")

from sonic_runtime.robots import g1  # noqa: E402
from sonic_train.env import layout, observations, rewards, terminations  # noqa: E402
from sonic_train.env.config import NoiseConfig, RewardConfig, TerminationConfig  # noqa: E402
from sonic_train.env.rotations import quat_from_rpy, quat_multiply, quat_rotate  # noqa: E402
from sonic_train.env.state import ReferenceTensors, RobotTensors  # noqa: E402

N = 3


def robot(**changes):
    torch.manual_seed(0)
    quat = quat_from_rpy(0.3 * torch.randn(N, 14, 3))
    values = {
        "joint_pos_hw": torch.tensor(g1.DEFAULT_POS_HW, dtype=torch.float32).repeat(N, 1),
        "joint_vel_hw": torch.randn(N, 29),
        "body_pos_w": torch.randn(N, 14, 3),
        "body_quat_wxyz": quat,
        "body_lin_vel_w": torch.randn(N, 14, 3),
        "body_ang_vel_w": torch.randn(N, 14, 3),
        "contact_force_w": torch.zeros(N, 30, 3),
    }
    return RobotTensors(**(values | changes))


def reference_of(state: RobotTensors, **changes):
    values = {
        "joint_pos_hw": state.joint_pos_hw,
        "joint_vel_hw": state.joint_vel_hw,
        "body_pos_w": state.body_pos_w,
        "body_quat_wxyz": state.body_quat_wxyz,
        "body_lin_vel_w": state.body_lin_vel_w,
        "body_ang_vel_w": state.body_ang_vel_w,
        "vr_pos_b": torch.randn(N, 9),
        "vr_quat_b_wxyz": torch.randn(N, 12),
        "future_joint_pos_pol": torch.randn(N, 10, 29),
        "future_joint_vel_pol": torch.randn(N, 10, 29),
        "future_root_quat_wxyz": state.body_quat_wxyz[:, :1].repeat(1, 10, 1),
        "smpl_joints_b": torch.randn(N, 10, 24, 3),
        "smpl_root_quat_wxyz": state.body_quat_wxyz[:, :1].repeat(1, 10, 1),
        "smpl_wrist_pos": torch.randn(N, 10, 6),
    }
    return ReferenceTensors(**(values | changes))


def terms_of(state, reference, **changes):
    given = {
        "action_pol": torch.zeros(N, 29),
        "last_action_pol": torch.zeros(N, 29),
        "joint_acc_hw": torch.zeros(N, 29),
    }
    relative = rewards.relative_reference(state, reference)
    return rewards.reward_terms(state, reference, relative, limits=rewards.soft_limits("cpu"), **(given | changes))


def test_a_robot_on_its_reference_earns_everything():
    state = robot()
    terms = terms_of(state, reference_of(state))
    for name in ("anchor_pos", "anchor_ori", "relative_body_pos", "relative_body_ori", "body_lin_vel", "vr_points"):
        torch.testing.assert_close(terms[name], torch.ones(N), atol=1e-4, rtol=0)
    assert set(terms) == set(RewardConfig.__struct_fields__)
    torch.testing.assert_close(terms["anchor_lin_vel"], torch.ones(N))
    only_tracking = {k: v for k, v in terms.items() if getattr(RewardConfig(), k) > 0}
    torch.testing.assert_close(
        rewards.total_reward(only_tracking, RewardConfig(), 0.02), torch.full((N,), 0.14), atol=1e-4, rtol=0
    )


def test_drift_and_turn_cost_the_anchor_but_not_the_relative_terms():
    state = robot()
    turn = quat_from_rpy(torch.tensor([0.0, 0.0, 0.4])).expand(N, 14, 4)
    moved = quat_rotate(turn, state.body_pos_w) + torch.tensor([0.3, 0.0, 0.0])
    reference = reference_of(state, body_pos_w=moved, body_quat_wxyz=quat_multiply(turn, state.body_quat_wxyz))
    terms = terms_of(state, reference)
    torch.testing.assert_close(terms["relative_body_pos"], torch.ones(N), atol=1e-4, rtol=0)
    torch.testing.assert_close(terms["relative_body_ori"], torch.ones(N), atol=1e-4, rtol=0)
    torch.testing.assert_close(terms["anchor_ori"], torch.full((N,), math.exp(-1.0)), atol=1e-3, rtol=0)


def test_slow_drift_costs_the_narrow_velocity_term():
    state = robot()
    ahead, up = state.body_lin_vel_w.clone(), state.body_lin_vel_w.clone()
    ahead[..., 1] += 0.1
    up[..., 2] += 0.1
    terms = terms_of(state, reference_of(state, body_lin_vel_w=ahead))
    torch.testing.assert_close(terms["anchor_lin_vel"], torch.full((N,), math.exp(-((0.1 / 0.25) ** 2))))
    assert (terms["body_lin_vel"] > 0.98).all()
    upward = terms_of(state, reference_of(state, body_lin_vel_w=up))
    torch.testing.assert_close(upward["anchor_lin_vel"], torch.ones(N))


def test_penalties_by_hand():
    state = robot()
    force = torch.zeros(N, 30, 3)
    force[0, g1.BODY_NAMES.index("torso_link"), 0] = 2.0
    force[1, g1.BODY_NAMES.index("left_ankle_roll_link"), 2] = 300.0
    knee = g1.JOINT_NAMES_HW.index("left_knee_joint")
    bent = state.joint_pos_hw.clone()
    upper = rewards.soft_limits("cpu")[1][knee]
    bent[2, knee] = upper + 0.1
    state = robot(contact_force_w=force, joint_pos_hw=bent)
    terms = terms_of(state, reference_of(state), action_pol=torch.full((N, 29), 0.5))
    assert terms["undesired_contacts"].tolist() == [1.0, 0.0, 0.0]
    torch.testing.assert_close(terms["joint_limit"], torch.tensor([0.0, 0.0, 0.1]), atol=1e-5, rtol=0)
    torch.testing.assert_close(terms["action_rate"], torch.full((N,), 29 * 0.25))


def test_failures_name_the_rule():
    state = robot()
    low = state.body_pos_w.clone()
    low[:, :, 2] -= torch.tensor([0.0, 0.2, 0.2])[:, None]
    reference = reference_of(state, body_pos_w=low)
    relative = rewards.relative_reference(state, reference)
    height = torch.tensor([0.8, 0.8, 0.3])
    broken = terminations.failures(state, reference, relative, height, TerminationConfig(anchor_pos_xy_m=0.5))
    assert broken["anchor_height"].tolist() == [False, True, False]
    assert not broken["anchor_ori"].any() and not broken["anchor_xy"].any() and not broken["not_finite"].any()


def test_a_simulation_that_blew_up_fails():
    state = robot()
    bad = state.joint_vel_hw.clone()
    bad[1, 3] = float("nan")
    state = robot(joint_vel_hw=bad)
    reference = reference_of(robot())
    relative = rewards.relative_reference(state, reference)
    broken = terminations.failures(state, reference, relative, torch.ones(N), TerminationConfig())
    assert broken["not_finite"].tolist() == [False, True, False]


def test_vectors_have_the_layout_and_noise_only_where_it_belongs():
    state, bits = robot(), torch.tensor([[1.0, 0, 0]] * N)
    reference = reference_of(state)
    exact = observations.tokenizer_vector(state, reference, bits, NoiseConfig(enabled=False))
    noisy = observations.tokenizer_vector(state, reference, bits, NoiseConfig())
    assert exact.shape == (N, layout.TOKENIZER_DIM) == (N, 1761)
    upright = torch.tensor([1.0, 0, 0, 1, 0, 0]).repeat(N, 1)
    torch.testing.assert_close(
        exact[:, layout.term_slice(layout.TOKENIZER_TERMS, "motion_anchor_ori_b")], upright, atol=1e-5, rtol=0
    )
    for name, touched in {
        "command_multi_future": False,
        "motion_anchor_ori_b_mf": True,
        "vr_3point_local_target": False,
        "smpl_joints_multi_future_local": True,
        "joint_pos_multi_future_wrist_for_smpl": False,
    }.items():
        part = layout.term_slice(layout.TOKENIZER_TERMS, name)
        assert (exact[:, part] != noisy[:, part]).any() == touched, name
    assert (noisy - exact).abs().max() <= 0.05 + 1e-6


def test_lower_body_columns_are_the_legs_in_hardware_order():
    state = robot()
    reference = reference_of(state)
    exact = observations.tokenizer_vector(state, reference, torch.zeros(N, 3), NoiseConfig(enabled=False))
    part = exact[:, layout.term_slice(layout.TOKENIZER_TERMS, "command_multi_future_lower_body")]
    pos, vel = part[:, :120].view(N, 10, 12), part[:, 120:].view(N, 10, 12)
    for column, name in enumerate(g1.JOINT_NAMES_HW[:12]):
        source = g1.JOINT_NAMES_POL.index(name)
        torch.testing.assert_close(pos[..., column], reference.future_joint_pos_pol[..., source])
        torch.testing.assert_close(vel[..., column], reference.future_joint_vel_pol[..., source])
