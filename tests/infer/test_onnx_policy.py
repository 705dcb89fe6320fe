"""A policy that does not fit is refused before the first tick, with every difference named."""

import shutil

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from sonic_runtime.contract import layout
from sonic_runtime.contract.errors import ConfigError, ContractError
from sonic_runtime.contract.manifest import EncoderSpec, read_manifest
from sonic_runtime.infer.onnx_policy import OnnxPolicy
from sonic_runtime.infer.policy_folder import find_policy
from tests.fakes.random_policy import write_model, write_random_policy


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return write_random_policy(tmp_path_factory.mktemp("policy") / "good", encoder_hidden=(16,), decoder_hidden=(16,))


@pytest.fixture
def folder(good, tmp_path):
    return shutil.copytree(good, tmp_path / "policy")


def change_manifest(folder, part, **changes):
    path = folder / f"{part}.onnx"
    write_model(path, onnx.load(path), msgspec.structs.replace(read_manifest(path), **changes))


def refusal(folder) -> str:
    with pytest.raises(ContractError) as error:
        OnnxPolicy(folder)
    return str(error.value)


def test_a_consistent_policy_runs(good):
    policy = OnnxPolicy(good)
    token = policy.encode(np.zeros((1, 1762), dtype=np.float32))
    action = policy.decode(np.zeros((1, 994), dtype=np.float32))
    assert token.shape == (64,)
    assert action.shape == (29,)
    assert np.array_equal(token * 16, np.round(token * 16))


@pytest.mark.parametrize(
    ("field", "index", "wrong"),
    [
        ("default_joint_pos_pol", 3, 0.5),
        ("action_scale_pol", 0, 0.3),
        ("stiffness_pol", 28, 20.0),
        ("damping_pol", 1, 1.0),
        ("effort_limit_pol", 2, 60.0),
        ("joint_names_pol", 4, None),
    ],
)
def test_per_joint_values_must_be_those_of_the_robot(folder, field, index, wrong):
    values = list(getattr(read_manifest(folder / "decoder.onnx"), field))
    if wrong is None:
        values[index], values[index + 1] = values[index + 1], values[index]
    else:
        values[index] = wrong
    change_manifest(folder, "decoder", **{field: tuple(values)})
    assert f"decoder: {field}[{index}]: expected" in refusal(folder)


@pytest.mark.parametrize(
    ("field", "wrong"), [("robot", "g1_23dof"), ("control_hz", 30.0), ("physics_hz", 500.0), ("heading", "yaw")]
)
def test_scalars_must_be_those_of_the_runtime(folder, field, wrong):
    change_manifest(folder, "encoder", **{field: wrong})
    assert f"encoder: {field}: expected" in refusal(folder)


def test_all_differences_are_listed_at_once(folder):
    change_manifest(folder, "encoder", control_hz=30.0, robot="h1")
    change_manifest(folder, "decoder", physics_hz=500.0)
    text = refusal(folder)
    assert "Differences (3)" in text
    assert all(name in text for name in ("encoder: control_hz", "encoder: robot", "decoder: physics_hz"))


def test_files_of_two_policies_are_told_apart(folder):
    change_manifest(folder, "decoder", pair_id="another", training_revision="later")
    text = refusal(folder)
    assert "pair_id: encoder '0123456789abcdef' and decoder 'another' were not exported together" in text
    assert "training_revision" in text


def test_swapped_files_are_told_apart(folder):
    (folder / "encoder.onnx").rename(folder / "x")
    (folder / "decoder.onnx").rename(folder / "encoder.onnx")
    (folder / "x").rename(folder / "decoder.onnx")
    assert "encoder.onnx: expected the encoder, found a file that says it is the decoder" in refusal(folder)


def test_terms_of_another_size_are_refused(folder):
    inputs = list(layout.RELEASE_DECODER_INPUTS)
    inputs[1] = layout.term("his_base_angular_velocity_4frame_step1", 30)
    change_manifest(folder, "decoder", inputs=tuple(inputs))
    text = refusal(folder)
    assert "decoder: inputs[1].dim: expected 12, found 30" in text
    assert "observation_config.yaml: observations" in text


def test_unknown_terms_are_refused(folder):
    inputs = (*layout.RELEASE_DECODER_INPUTS[:-1], layout.term("his_foot_forces_10frame_step1", 30))
    change_manifest(folder, "decoder", inputs=inputs)
    assert "decoder input 'his_foot_forces_10frame_step1': this runtime has no such term" in refusal(folder)


def test_a_graph_of_another_shape_is_refused(folder):
    path = folder / "decoder.onnx"
    nodes = [helper.make_node("Slice", ["obs", "s", "e", "a"], ["action"])]
    constants = [helper.make_tensor(n, TensorProto.INT64, [1], [v]) for n, v in (("s", 0), ("e", 29), ("a", 1))]
    graph = helper.make_graph(
        nodes,
        "other",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, [1, 990])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, [1, 29])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    write_model(path, model, read_manifest(path))
    text = refusal(folder)
    assert "decoder: graph inputs: expected obs_dict [1, 994] tensor(float), found obs [1, 990] tensor(float)" in text


def test_other_weights_fail_the_golden_vectors(folder):
    golden = np.array(read_manifest(folder / "decoder.onnx").golden_output)
    golden[5] += 2e-4
    change_manifest(folder, "decoder", golden_output=tuple(golden.tolist()))
    assert "decoder.onnx: golden output: expected" in refusal(folder)
    assert "at element 5" in refusal(folder)


def test_other_mode_ids_in_the_yaml_are_refused(folder):
    path = folder / "observation_config.yaml"
    path.write_text(path.read_text().replace("mode_id: 2", "mode_id: 3"))
    assert "observation_config.yaml: encoder.encoder_modes" in refusal(folder)


@pytest.mark.parametrize("text", ["", "observations: 3\n", "a: [", "observations: []\nextra: 1\n"])
def test_a_yaml_of_another_schema_is_refused(folder, text):
    (folder / "observation_config.yaml").write_text(text)
    assert "expected SONIC's observation schema" in refusal(folder)


def test_a_disabled_term_takes_no_place(folder):
    path = folder / "observation_config.yaml"
    path.write_text(path.read_text().replace("observations:\n", "observations:\n- name: extra\n  enabled: false\n", 1))
    OnnxPolicy(folder)


def test_encoders_must_read_terms_that_exist(folder):
    with pytest.raises(ContractError, match="required terms"):
        change_manifest(folder, "encoder", encoders=(EncoderSpec(name="g1", mode_id=0, required_terms=("x",)),))
        OnnxPolicy(folder)


def test_find_policy_names_what_is_missing(folder, tmp_path):
    assert find_policy(str(folder)) == folder
    with pytest.raises(ConfigError, match="policy=nowhere: expected the name of a packaged policy"):
        find_policy("nowhere")
    (folder / "decoder.onnx").unlink()
    with pytest.raises(ConfigError, match=r"expected decoder\.onnx in"):
        find_policy(str(folder))
