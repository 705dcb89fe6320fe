"""What is refused before the first tick, and that the message says what differs."""

import json

import numpy as np
import onnx
import pytest
from onnx import helper

from controllers.imported import load_imported
from sonic_runtime.contract.errors import ContractError
from sonic_runtime.robots import g1
from tests.fakes.imported_files import (
    HOLOSOMA_NAMES,
    JOINTS,
    MIMIC_NAMES,
    beyondmimic_file,
    holosoma_config,
    holosoma_file,
    listed,
    make_motion,
    mjlab_file,
)
from tests.fakes.random_policy import write_random_policy

MIMICS = {"beyondmimic": beyondmimic_file, "mjlab": mjlab_file}


def refused(maker, tmp_path, message):
    path = maker.write(tmp_path / "policy.onnx")
    with pytest.raises(ContractError, match=message) as error:
        load_imported(path)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize("kind", MIMICS)
@pytest.mark.parametrize(
    "key",
    ["joint_stiffness", "joint_damping", "default_joint_pos", "action_scale", "anchor_body_name", "body_names",
     "command_names"],
)  # fmt: skip
def test_a_missing_key_is_named(kind, key, tmp_path):
    maker = MIMICS[kind]()
    del maker.metadata[key]
    refused(maker, tmp_path, f"expected the metadata key '{key}', found .*observation_names")


@pytest.mark.parametrize("key", ["scale", "clip", "history_length", "flatten_history_dim"])
def test_a_missing_key_of_mjlab_is_named(key, tmp_path):
    maker = mjlab_file()
    del maker.metadata[f"observation_terms_{key}"]
    refused(maker, tmp_path, f"expected the metadata key 'observation_terms_{key}'")


@pytest.mark.parametrize("kind", MIMICS)
@pytest.mark.parametrize(("term", "what"), [("base_lin_vel", "velocity"), ("motion_anchor_pos_b", "position")])
def test_what_a_robot_does_not_measure_is_refused_with_the_task_to_train_instead(kind, term, what, tmp_path):
    task = {"beyondmimic": "Wo-State-Estimation", "mjlab": "No-State-Estimation"}[kind]
    maker = MIMICS[kind]((*MIMIC_NAMES[:2], term, *MIMIC_NAMES[2:]))
    refused(maker, tmp_path, f"the policy reads {term}, the {what} of the .* no sensor.*{task}")


@pytest.mark.parametrize(
    "maker",
    [
        beyondmimic_file((*MIMIC_NAMES, "height_scan")),
        mjlab_file((*MIMIC_NAMES, "height_scan")),
        holosoma_file(holosoma_config((*HOLOSOMA_NAMES, "height_scan"))),
    ],
)
def test_an_unknown_observation_term_is_named(maker, tmp_path):
    refused(
        maker, tmp_path, "observation term 'height_scan': this runtime has no such term; of this kind .* base_ang_vel"
    )


@pytest.mark.parametrize("kind", [*MIMICS, "holosoma"])
def test_joints_are_matched_by_name_or_refused(kind, tmp_path):
    def maker(names):
        made = MIMICS[kind]() if kind in MIMICS else holosoma_file(holosoma_config())
        if kind in MIMICS:
            made.metadata["joint_names"] = listed(names)
        else:
            made.metadata["dof_names"] = json.dumps(names)
        return made

    refused(maker([*JOINTS[:-1], "tail_joint"]), tmp_path, f"found 29 \\(unknown: tail_joint; missing: {JOINTS[-1]}\\)")
    refused(maker(list(JOINTS[:23])), tmp_path, "the 29 joints of g1_29dof, found 23 \\(missing: ")
    refused(maker([*JOINTS, JOINTS[0]]), tmp_path, f"found 30 \\(twice: {JOINTS[0]}\\)")


@pytest.mark.parametrize("kind", MIMICS)
def test_a_motion_whose_joints_do_not_fit_its_bodies_is_refused(kind, tmp_path):
    maker = MIMICS[kind]()
    maker.metadata["joint_names"] = listed(g1.JOINT_NAMES_HW)
    refused(maker, tmp_path, "contradicts itself.*joint order, body order or quaternion order")
    maker = MIMICS[kind]()
    maker.outputs["body_quat_w"] = maker.outputs["body_quat_w"][..., [1, 2, 3, 0]]
    refused(maker, tmp_path, "contradicts itself")
    maker = MIMICS[kind]()
    maker.outputs["body_quat_w"] = 2.0 * maker.outputs["body_quat_w"]
    refused(maker, tmp_path, "expected unit quaternions")


@pytest.mark.parametrize("kind", [*MIMICS, "holosoma"])
@pytest.mark.parametrize("hz", [25.0, 30.0])
def test_a_motion_of_another_rate_is_refused(kind, hz, tmp_path):
    motion = make_motion(hz=hz)
    maker = MIMICS[kind](motion=motion) if kind in MIMICS else holosoma_file(holosoma_config(), motion)
    refused(maker, tmp_path, f"at 50 frames a second inside, but .* those of {hz:g}")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("joint_stiffness", listed([1.0] * 28), "joint_stiffness: expected one value for each of 29 joints, found 28"),
        ("joint_damping", listed([1.0] * 28 + [0.0]), f"expected positive numbers, found 0 for {JOINTS[-1]}"),
        ("action_scale", "0.5,abc", "action_scale: expected numbers between commas, found 'abc'"),
        ("action_scale", "nan", "action_scale: expected numbers between commas, found 'nan'"),
        ("default_joint_pos", listed([float("inf")] * 29), "default_joint_pos: expected numbers"),
        ("anchor_body_name", "head_link", "anchor_body_name: expected links of g1_29dof, found 'head_link'"),
        ("anchor_body_name", "left_elbow_link", "anchor_body_name: expected one of body_names"),
        (
            "body_names",
            "torso_link,pelvis",
            "graph outputs: expected .*body_quat_w \\[1, 2, 4\\].*found .*\\[1, 5, 4\\]",
        ),
        ("command_names", "twist", "tracks a motion, found the commands 'twist'"),
        ("observation_names", "command,,actions", "observation_names: expected names between commas"),
    ],
)
@pytest.mark.parametrize("kind", MIMICS)
def test_a_wrong_value_is_named(kind, key, value, message, tmp_path):
    maker = MIMICS[kind]()
    maker.metadata[key] = value
    refused(maker, tmp_path, message)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("scale", listed([1.0] * 5), "expected one entry for each of 6 observation terms, got 5"),
        ("scale", listed([[1.0, 2.0], 1, 1, 1, 1, 1]), "command: expected 1 or 58 finite numbers"),
        ("clip", listed([[1.0, -1.0]] * 6), "command: expected low;high"),
        ("history_length", "0.5,0,0,0,0,0", "expected whole numbers of at least 0"),
        ("history_length", listed([0] * 5), "expected one value for each of 6 observation terms, got 5"),
    ],
)
def test_a_wrong_value_of_mjlab_is_named(key, value, message, tmp_path):
    maker = mjlab_file()
    maker.metadata[f"observation_terms_{key}"] = value
    refused(maker, tmp_path, message)


def test_a_history_that_is_not_flattened_is_refused(tmp_path):
    maker = mjlab_file()
    maker.metadata["observation_terms_history_length"] = listed([0, 0, 5, 0, 0, 0])
    maker.metadata["observation_terms_flatten_history_dim"] = listed([True, True, False, True, True, True])
    refused(maker, tmp_path, "observation term 'base_ang_vel': expected a history that is flattened")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"obs_dim": 160}, r"graph inputs: expected obs \[1, 154\].*found obs \[1, 160\].*command 58 \+ motion_anchor"),
        ({"inputs": ("observation", "time_step")}, "graph inputs: expected obs"),
        ({"inputs": ("obs", "step")}, "tracking policy with its motion inside, .* this graph takes obs, step"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", MIMICS)
def test_a_graph_that_does_not_fit_is_refused(kind, change, message, tmp_path):
    maker = MIMICS[kind]()
    for name, value in change.items():
        setattr(maker, name, value)
    refused(maker, tmp_path, message)


def test_histories_of_beyondmimic_must_fit_the_graph(tmp_path):
    maker = beyondmimic_file()
    maker.metadata["observation_history_lengths"] = listed([1, 1, 4, 1, 1, 1])
    refused(maker, tmp_path, r"expected obs \[1, 163\].*base_ang_vel 12")


def test_numbers_that_are_none_are_refused(tmp_path):
    maker = beyondmimic_file()
    maker.weight = np.full((154, 29), np.nan)
    refused(maker, tmp_path, "expected finite actions")
    maker = beyondmimic_file()
    maker.outputs["joint_vel"][21] = np.inf
    refused(maker, tmp_path, "motion of finite numbers")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("simulator.config.sim.control_decimation", 8, "trained at 50 Hz, this one was at 25 Hz"),
        ("robot.init_state.default_joint_angles", {"left_knee_joint": 0.3}, "no angle for "),
        ("command.setup_terms.motion_command.params.motion_config.body_name_ref", ["trunk"], "found 'trunk'"),
        ("observation.groups.actor_obs.concatenate", False, "terms that are concatenated"),
        (
            "observation.groups",
            {"critic_obs": {}},
            "actor_obs.concatenate: expected the key 'actor_obs', found critic_obs",
        ),
        ("robot.control.action_scale", "much", "expected a list of numbers"),
        ("robot.dof_effort_limit_list", [1.0, 2.0], "expected one value for each of 29 joints, found 2"),
    ],
)
def test_a_training_configuration_that_does_not_fit_is_refused(path, value, message, tmp_path):
    config = holosoma_config()
    maker = holosoma_file(config)
    *parents, last = path.split(".")
    inner = config
    for key in parents:
        inner = inner[key]
    inner[last] = value
    maker.metadata["experiment_config"] = json.dumps(config)
    refused(maker, tmp_path, message)


def test_holosoma_without_its_configuration_is_refused_with_the_name_to_ask_for(tmp_path):
    refused(holosoma_file(), tmp_path, "the metadata key 'experiment_config', .* ask for holosoma_release:")
    maker = holosoma_file(holosoma_config())
    maker.metadata["experiment_config"] = "{"
    refused(maker, tmp_path, "metadata experiment_config: expected JSON")
    maker = holosoma_file(holosoma_config())
    maker.metadata["kp"] = json.dumps({"left_knee_joint": 1.0})
    refused(maker, tmp_path, "metadata kp: expected a list of numbers")


def test_files_of_nobody_known_are_refused(tmp_path):
    maker = beyondmimic_file()
    maker.metadata = {"author": "me"}
    refused(maker, tmp_path, "expected the metadata of one of beyondmimic, mjlab, holosoma, found author")
    maker.metadata = {}
    refused(maker, tmp_path, "found no metadata at all")
    folder = write_random_policy(tmp_path / "ours", encoder_hidden=(8,), decoder_hidden=(8,))
    with pytest.raises(ContractError, match="half of a policy of this project; say policy=FOLDER"):
        load_imported(folder / "decoder.onnx")
    with pytest.raises(ContractError, match="found nothing"):
        load_imported(tmp_path / "none.onnx")


def test_an_output_of_another_type_is_refused(tmp_path):
    path = beyondmimic_file().write(tmp_path / "policy.onnx")
    model = onnx.load(path)
    (value,) = [v for v in model.graph.output if v.name == "joint_vel"]
    model.graph.node.append(helper.make_node("Cast", ["joint_vel"], ["wide"], to=onnx.TensorProto.DOUBLE))
    value.CopyFrom(helper.make_tensor_value_info("wide", onnx.TensorProto.DOUBLE, [1, 29]))
    onnx.save(model, path)
    with pytest.raises(ContractError, match=r"graph outputs: expected .*joint_vel .*found .*wide .*double"):
        load_imported(path)
