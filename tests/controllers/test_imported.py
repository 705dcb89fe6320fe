"""Imported policies: what they see, ask for, and how their motion plays, against formulas written out here."""

import json
from dataclasses import replace

import numpy as np
import pytest

from controllers.imported import IMPORTED, load_imported
from sonic_runtime.contract.messages import RobotState
from sonic_runtime.contract.rotations import (
    quat_from_axis_angle,
    quat_from_yaw,
    quat_multiply,
    rotation_matrix,
    yaw_of_quat,
)
from sonic_runtime.robots import g1
from sonic_runtime.robots.kinematics import forward_kinematics
from tests.fakes.imported_files import (
    BODIES,
    HOLOSOMA_NAMES,
    HW_INDEX_OF_FILE,
    JOINTS,
    MIMIC_NAMES,
    beyondmimic_file,
    holosoma_config,
    holosoma_file,
    listed,
    make_motion,
    mjlab_file,
)
from tests.fakes.parts import make_goal, make_state

MAKERS = {
    "beyondmimic": beyondmimic_file,
    "mjlab": mjlab_file,
    "holosoma": lambda: holosoma_file(holosoma_config()),
}
TORSO = g1.BODY_NAMES.index("torso_link")


def state_of(tick: int) -> RobotState:
    rng = np.random.default_rng(tick)
    return make_state(
        stamp_ns=tick * 20_000_000,
        joint_pos_hw=g1.DEFAULT_POS_HW + rng.uniform(-0.5, 0.5, 29),
        joint_vel_hw=rng.normal(size=29),
        base_quat_wxyz=quat_from_axis_angle(rng.uniform([-0.4, -0.4, 0.5], [0.4, 0.4, 1.3])),
        base_ang_vel_b=rng.normal(size=3),
    )


def torso_matrix(state: RobotState) -> np.ndarray:
    _, quats = forward_kinematics(np.zeros((1, 3)), state.base_quat_wxyz[None], state.joint_pos_hw[None])
    return rotation_matrix(quats[0, TORSO])


def yaw_of_matrix(matrix: np.ndarray) -> float:
    return float(np.arctan2(matrix[1, 0], matrix[0, 0]))


def expected_terms(tick: int, frame: int, motion, last_action: np.ndarray) -> dict[str, np.ndarray]:
    """Every term, from matrices rather than quaternions."""
    state = state_of(tick)
    torso, first = torso_matrix(state), torso_matrix(state_of(0))
    reference = rotation_matrix(motion.body_quat_wxyz[:, 0])
    turn = rotation_matrix(quat_from_yaw(np.array(yaw_of_matrix(first) - yaw_of_matrix(reference[0]))))
    relative = torso.T @ turn @ reference[frame]
    tracks = (motion.joint_pos_hw, motion.joint_vel_hw)
    terms = {
        "command": np.concatenate([track[frame, HW_INDEX_OF_FILE] for track in tracks]),
        "motion_anchor_ori_b": relative[:, :2].reshape(-1),
        "base_ang_vel": state.base_ang_vel_b,
        "projected_gravity": -rotation_matrix(state.base_quat_wxyz)[2],
        "joint_pos": (state.joint_pos_hw - g1.DEFAULT_POS_HW)[HW_INDEX_OF_FILE],
        "joint_vel": state.joint_vel_hw[HW_INDEX_OF_FILE],
        "actions": last_action,
    }
    names = {"command": "motion_command", "motion_anchor_ori_b": "motion_ref_ori_b"}
    names |= {"joint_pos": "dof_pos", "joint_vel": "dof_vel"}
    return terms | {new: terms[old] for old, new in names.items()}


def play(controller, ticks: int) -> list[tuple[np.ndarray, object]]:
    controller.reset()
    return [(controller._input.vector[0].copy(), d) for d in (controller.act(state_of(t), None) for t in range(ticks))]


@pytest.mark.parametrize("kind", MAKERS)
def test_observation_action_and_target_are_those_of_the_formulas(kind, tmp_path):
    if kind == "holosoma":
        maker = holosoma_file(holosoma_config((*HOLOSOMA_NAMES, "projected_gravity")))
        order = sorted(maker.names)
    else:
        maker = (beyondmimic_file if kind == "beyondmimic" else mjlab_file)((*MIMIC_NAMES, "projected_gravity"))
        order = maker.names
    motion = make_motion()
    controller = load_imported(maker.write(tmp_path / "policy.onnx"))
    assert type(controller) is IMPORTED[kind]
    last_action = np.zeros(29)
    for tick, (vector, decision) in enumerate(play(controller, 8)):
        terms = expected_terms(tick, tick, motion, last_action)
        expected = np.concatenate([terms[name] for name in order])
        np.testing.assert_allclose(vector, expected, atol=2e-6)
        last_action = expected @ maker.weight
        by_name = dict(zip(JOINTS, last_action, strict=True))
        np.testing.assert_allclose(decision.action_pol, [by_name[name] for name in g1.JOINT_NAMES_POL], atol=1e-5)
        offset = g1.ACTION_SCALE_HW * [by_name[name] for name in g1.JOINT_NAMES_HW]
        np.testing.assert_allclose(decision.target.joint_pos_hw, g1.DEFAULT_POS_HW + offset, atol=1e-5)
        np.testing.assert_array_equal(decision.target.stiffness_hw, g1.STIFFNESS_HW)
        np.testing.assert_array_equal(decision.target.damping_hw, g1.DAMPING_HW)
        assert not decision.target.joint_vel_hw.any()
        assert not decision.target.torque_ff_hw.any()


def test_mjlab_scales_clips_and_remembers_term_by_term(tmp_path):
    maker, motion = mjlab_file(), make_motion()
    scale = np.linspace(0.5, -2.0, 3)
    maker.metadata["observation_terms_scale"] = listed([1.0, 1.0, scale.tolist(), 0.5, 2.0, 1.0])
    unbounded = [float("-inf"), float("inf")]
    maker.metadata["observation_terms_clip"] = listed(
        [unbounded, unbounded, [-0.4, 0.8], unbounded, [-1.0, 1.0], unbounded]
    )
    maker.metadata["observation_terms_history_length"] = listed([0, 1, 3, 0, 2, 4])
    maker.frames = {"base_ang_vel": 3, "joint_vel": 2, "actions": 4}
    controller = load_imported(maker.write(tmp_path / "policy.onnx"))
    samples = {"base_ang_vel": [], "joint_vel": [], "actions": []}
    last_action = np.zeros(29)
    for tick, (vector, _) in enumerate(play(controller, 6)):
        terms = expected_terms(tick, tick, motion, last_action)
        terms["base_ang_vel"] = np.clip(terms["base_ang_vel"], -0.4, 0.8) * np.round(scale, 3)
        terms["joint_pos"] = 0.5 * terms["joint_pos"]
        terms["joint_vel"] = 2.0 * np.clip(terms["joint_vel"], -1.0, 1.0)
        for name, frames in maker.frames.items():
            samples[name].append(terms[name])
            # before there are enough samples, the first one stands in
            window = [samples[name][max(0, tick - back)] for back in reversed(range(frames))]
            terms[name] = np.concatenate(window)
        expected = np.concatenate([terms[name] for name in maker.names])
        np.testing.assert_allclose(vector, expected, atol=2e-6)
        last_action = expected @ maker.weight


def test_holosoma_scales_clips_and_fills_its_history_with_zeros(tmp_path):
    config = holosoma_config()
    actor = config["observation"]["groups"]["actor_obs"]
    actor["history_length"] = 3
    actor["terms"]["dof_vel"] |= {"scale": 0.5, "clip": [-0.6, 0.7]}
    config["observation"]["clip_observations"] = 1.2
    maker, motion = holosoma_file(config), make_motion()
    maker.frames = dict.fromkeys(maker.names, 3)
    controller = load_imported(maker.write(tmp_path / "policy.onnx"))
    samples, last_action = [], np.zeros(29)
    for tick, (vector, _) in enumerate(play(controller, 5)):
        terms = {n: np.clip(v, -1.2, 1.2) for n, v in expected_terms(tick, tick, motion, last_action).items()}
        terms["dof_vel"] = np.clip(0.5 * state_of(tick).joint_vel_hw[HW_INDEX_OF_FILE], -0.6, 0.7)
        samples.append(terms)
        window = [samples[tick - back] if tick >= back else None for back in (2, 1, 0)]
        expected = np.concatenate(
            [np.zeros(len(terms[n])) if s is None else s[n] for n in sorted(maker.names) for s in window]
        )
        np.testing.assert_allclose(vector, expected, atol=2e-6)
        last_action = expected @ maker.weight


@pytest.mark.parametrize("kind", MAKERS)
def test_the_motion_begins_at_the_reset_and_rests_at_its_end(kind, tmp_path):
    motion = make_motion(frames=10)
    maker = holosoma_file(holosoma_config(), motion) if kind == "holosoma" else MAKERS[kind](motion=motion)
    controller = load_imported(maker.write(tmp_path / "policy.onnx"))
    first = 29 + 3 + 29 + 29 if kind == "holosoma" else 0

    def commands(vectors):
        return [(v[first : first + 29], v[first + 29 : first + 58]) for v, _ in vectors]

    played = commands(play(controller, 14))
    for frame, (pos, vel) in enumerate(played):
        shown = min(frame, 9)
        np.testing.assert_allclose(pos, motion.joint_pos_hw[shown, HW_INDEX_OF_FILE], atol=1e-6)
        at_rest = np.zeros(29)
        expected = motion.joint_vel_hw[shown, HW_INDEX_OF_FILE] if frame <= 9 else at_rest
        np.testing.assert_allclose(vel, expected, atol=1e-6)
    assert controller.frame_index == 9
    again = play(controller, 14)
    np.testing.assert_array_equal([p for p, _ in commands(again)], [p for p, _ in played])


@pytest.mark.parametrize("kind", MAKERS)
def test_the_motion_begins_in_the_direction_the_robot_faces(kind, tmp_path):
    controller = load_imported(MAKERS[kind]().write(tmp_path / "policy.onnx"))
    start = state_of(0)
    controller.act(start, None)
    expected = controller._input.vector.copy()
    for yaw in (1.0, -2.5, 3.1):
        turned = quat_from_yaw(np.array(yaw))
        controller.reset()
        controller.act(make_turned(start, turned), None)
        np.testing.assert_allclose(controller._input.vector, expected, atol=2e-6)
    # without a reset the robot's turn is seen
    controller.act(make_turned(start, quat_from_yaw(np.array(0.5))), None)
    assert np.abs(controller._input.vector - expected).max() > 0.1


def make_turned(state: RobotState, turn: np.ndarray) -> RobotState:
    return replace(state, base_quat_wxyz=quat_multiply(turn, state.base_quat_wxyz))


def test_goals_do_not_reach_it(tmp_path):
    path = beyondmimic_file().write(tmp_path / "policy.onnx")
    with_goal, without = load_imported(path), load_imported(path)
    for tick in range(3):
        a, b = with_goal.act(state_of(tick), make_goal()), without.act(state_of(tick), None)
        np.testing.assert_array_equal(a.action_pol, b.action_pol)
    assert with_goal.memory is with_goal


def test_rounded_numbers_are_the_published_ones_and_others_stay(tmp_path):
    maker = mjlab_file()
    gains = g1.STIFFNESS_HW.copy()
    gains[3] = 123.4567
    # the other motor class for this joint
    gains[0] = g1.STIFFNESS_HW[2]
    maker.metadata["joint_stiffness"] = listed(gains[HW_INDEX_OF_FILE].tolist())
    maker.metadata["action_scale"] = "0.5"
    decision = load_imported(maker.write(tmp_path / "policy.onnx")).act(state_of(0), None)
    gains[3] = 123.457
    np.testing.assert_array_equal(decision.target.stiffness_hw, gains)
    by_name = dict(zip(g1.JOINT_NAMES_POL, decision.action_pol, strict=True))
    wanted = g1.DEFAULT_POS_HW + 0.5 * np.array([by_name[n] for n in g1.JOINT_NAMES_HW])
    np.testing.assert_allclose(decision.target.joint_pos_hw, wanted, atol=1e-6)


def test_beyondmimic_files_from_before_histories(tmp_path):
    maker = beyondmimic_file()
    del maker.metadata["observation_history_lengths"]
    assert type(load_imported(maker.write(tmp_path / "old.onnx"))) is IMPORTED["beyondmimic"]
    maker = beyondmimic_file()
    maker.frames = {"base_ang_vel": 5}
    maker.metadata["observation_history_lengths"] = listed([1, 1, 5, 1, 1, 1])
    vector = load_imported(maker.write(tmp_path / "new.onnx"))
    vector.act(state_of(0), None)
    np.testing.assert_allclose(vector._input.vector[0, 64:79], np.tile(state_of(0).base_ang_vel_b, 5), rtol=1e-6)


def test_the_file_that_holosoma_ships_runs_when_asked_for_by_name(tmp_path):
    path = holosoma_file().write(tmp_path / "policy.onnx")
    controller = load_imported(f"holosoma_release:{path}")
    assert type(controller) is IMPORTED["holosoma"]
    assert "published ones" in controller.origin["note"]
    decision = controller.act(state_of(0), None)
    by_name = dict(zip(g1.JOINT_NAMES_POL, decision.action_pol, strict=True))
    wanted = g1.DEFAULT_POS_HW + np.array([by_name[n] for n in g1.JOINT_NAMES_HW])
    np.testing.assert_allclose(decision.target.joint_pos_hw, wanted, atol=1e-6)


def test_holosoma_action_scale_is_read_where_it_is(tmp_path):
    config = holosoma_config()
    config["robot"]["control"] |= {"action_scale": 0.3, "action_scales_by_effort_limit_over_p_gain": False}
    maker = holosoma_file(config)
    plain = load_imported(maker.write(tmp_path / "a.onnx"))
    np.testing.assert_allclose(plain.policy.contract.action_scale_hw, 0.3)
    maker.metadata["action_scale"] = json.dumps(np.linspace(0.1, 0.9, 29).tolist())
    written = load_imported(maker.write(tmp_path / "b.onnx"))
    by_name = dict(zip(JOINTS, np.linspace(0.1, 0.9, 29), strict=True))
    np.testing.assert_allclose(written.policy.contract.action_scale_hw, [by_name[n] for n in g1.JOINT_NAMES_HW])


def test_the_fake_motion_is_that_of_the_robot():
    motion = make_motion()
    root = motion.body_quat_wxyz[:, BODIES.index("pelvis")]
    _, quats = forward_kinematics(np.zeros((60, 3)), root, motion.joint_pos_hw)
    np.testing.assert_allclose(np.abs((quats[:, TORSO] * motion.body_quat_wxyz[:, 0]).sum(-1)), 1.0, atol=1e-9)
    assert abs(float(yaw_of_quat(root[0]))) > 0.5
