"""Files without a manifest, in the published layouts and under the published names."""

import json
import logging
import shutil

import numpy as np
import pytest

from controllers.track_motion import TrackMotion
from sonic_runtime.app import load_policy
from sonic_runtime.config import load_config
from sonic_runtime.contract.errors import ConfigError, ContractError
from sonic_runtime.contract.observation_yaml import read_observation_yaml
from sonic_runtime.infer.released import split_contract
from sonic_runtime.infer.sized_policy import PolicySize, write_sized_policy
from sonic_runtime.robots import g1
from sonic_runtime.run import run
from sonic_runtime.run_config import RunConfig
from tests.fakes.parts import IDENTITY, make_goal, make_reference, make_state
from tests.fakes.random_policy import write_random_policy
from tests.infer.published import ENCODER_DIMS, LAYOUTS, LOOK_AHEAD, OFFSETS

SMALL = PolicySize((16,), (16,))
YAML = "observation_config.yaml"


def write_released(folder, layout):
    """Put the published YAML beside files of its shapes."""
    folder.mkdir()
    write_sized_policy(folder, read_observation_yaml(LAYOUTS[layout]), SMALL)
    shutil.copy(LAYOUTS[layout], folder / YAML)
    return folder


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    root = tmp_path_factory.mktemp("released")
    return {layout: write_released(root / layout, layout) for layout in LAYOUTS}


@pytest.fixture
def folder(published, tmp_path):
    return shutil.copytree(published["low_latency"], tmp_path / "policy")


def refusal(policy):
    with pytest.raises(ContractError) as error:
        load_policy(policy)
    return str(error.value)


def change_yaml(folder, old, new):
    text = (folder / YAML).read_text()
    assert old in text
    (folder / YAML).write_text(text.replace(old, new, 1))


def full_goal(encoder):
    rng = np.random.default_rng(0)
    reference = make_reference(
        60,
        vr_pos_b=rng.normal(size=(60, 3, 3)),
        vr_quat_b_wxyz=np.tile(IDENTITY, (60, 3, 1)),
        smpl_joints_b=rng.normal(size=(60, 24, 3)),
        smpl_root_quat_wxyz=np.tile(IDENTITY, (60, 1)),
    )
    return make_goal(reference, encoder=encoder)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_published_layouts_load_with_their_sizes_and_offsets(published, layout):
    policy = load_policy(f"sonic_release:{published[layout]}")
    assert policy.encoder.input_dim == ENCODER_DIMS[layout]
    assert policy.decoder.input_dim == 994
    starts = np.cumsum([0, *(t.dim for t in policy.encoder.inputs)])[:-1]
    assert starts.tolist() == OFFSETS[layout]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_look_ahead_of_the_published_encoders(published, layout):
    controller = TrackMotion(load_policy(f"sonic_release:{published[layout]}"))
    assert {e: controller.look_ahead_frames(e) for e in ("g1", "teleop", "smpl")} == LOOK_AHEAD[layout]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("encoder", ["g1", "teleop", "smpl"])
def test_every_encoder_of_a_published_layout_drives_the_robot(published, layout, encoder):
    controller = TrackMotion(load_policy(f"sonic_release:{published[layout]}"))
    decision = controller.act(make_state(), full_goal(encoder))
    assert decision.token is not None
    assert np.array_equal(decision.token * 16, np.round(decision.token * 16))
    assert np.ptp(decision.token) > 0
    moved = (decision.target.joint_pos_hw - g1.DEFAULT_POS_HW) / g1.ACTION_SCALE_HW
    assert g1.to_policy_order(moved) == pytest.approx(decision.action_pol, abs=1e-6)
    assert decision.target.stiffness_hw is g1.STIFFNESS_HW


def test_the_encoders_of_one_file_differ(published):
    policy = load_policy(f"sonic_release:{published['release']}")
    vector = np.random.default_rng(0).normal(size=(1, 1762)).astype(np.float32)
    tokens = []
    for mode in range(3):
        vector[0, 0] = mode
        tokens.append(policy.encode(vector))
    assert all(np.any(a != b) for a, b in ((tokens[0], tokens[1]), (tokens[1], tokens[2]), (tokens[0], tokens[2])))


def test_the_two_contracts_differ_in_the_start_of_the_histories(published):
    folder = published["release"]
    first, zero = (TrackMotion(load_policy(f"{name}:{folder}")) for name in ("sonic_training", "sonic_release"))
    for controller in (first, zero):
        controller.act(make_state(), full_goal("g1"))
    gravity = [c._decoder_input.vector[0, 964:].reshape(10, 3)[:, 2].tolist() for c in (first, zero)]
    assert gravity == [[-1.0] * 10, [1.0] * 9 + [-1.0]]


def test_without_being_asked_files_without_a_manifest_are_refused(published):
    text = refusal(str(published["release"]))
    assert "expected the policy manifest" in text
    assert "policy=sonic_release:FOLDER" in text


def test_files_with_a_manifest_are_not_run_without_it(tmp_path):
    folder = write_random_policy(tmp_path / "ours", encoder_hidden=(16,), decoder_hidden=(16,))
    assert "this one carries one; say policy=FOLDER" in refusal(f"sonic_release:{folder}")


def test_what_is_taken_on_trust_is_logged_and_in_the_summary(published, caplog):
    with caplog.at_level(logging.WARNING):
        policy = load_policy(f"sonic_release:{published['release']}")
    assert "no manifest in the ONNX files" in caplog.text
    assert policy.origin["contract"] == "sonic_release"
    assert policy.origin["note"] in caplog.text
    assert policy.origin["history_fill"] == "zero"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_run_in_mujoco_says_in_its_summary_what_was_taken_on_trust(published, layout, tmp_path):
    name = f"sonic_release:{published[layout]}"
    arguments = [f"policy={name}", "clock=lockstep", "goals.source=motion", "goals.motion=stand_sway", "duration_s=0.4"]
    config = load_config("run", [*arguments, "output.endpoint=null", f"run_dir={tmp_path / 'run'}"], RunConfig)
    result = run(config, lambda: False)
    assert result.summary.fault is None
    assert result.summary.active_ticks == 20
    summary = json.loads((result.folder / "summary.json").read_text())
    assert summary["policy"]["contract"] == "sonic_release"
    assert "no manifest" in summary["policy"]["note"]


def test_files_of_another_layout_are_refused(folder):
    shutil.copy(LAYOUTS["release"], folder / YAML)
    assert "encoder: graph inputs: expected obs_dict [1, 1762] tensor(float), found obs_dict [1, 1247]" in refusal(
        f"sonic_release:{folder}"
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("token_state", "state_token", "decoder input 'state_token': this runtime has no such term"),
        ("dimension: 64", "dimension: 32", "encoder.dimension: expected 64, found 32"),
        ("mode_id: 1", "mode_id: 0", "expected every mode_id once, found [0, 0, 2]"),
        ("mode_id: 2", "mode_id: 7", "encoder 'smpl': the graph fails on zeros"),
        ("  - smpl_joints_4frame_step1", "  - smpl_joints_9frame_step1", "['smpl_joints_9frame_step1'] are not among"),
        ('_orn_target"\n      enabled: true', '_orn_target"\n      enabled: false', "expected obs_dict [1, 1235]"),
    ],
)
def test_a_wrong_yaml_is_refused_with_the_reason(folder, old, new, expected):
    change_yaml(folder, old, new)
    assert expected in refusal(f"sonic_release:{folder}")


def test_outputs_that_are_not_finite_are_refused(folder):
    path = folder / "model_decoder.onnx"
    model = bytearray(path.read_bytes())
    # the last layer's bias is 29 zeros in a row, the last constant of the file
    start = bytes(model).rfind(bytes(29 * 4))
    model[start : start + 4] = np.array([np.nan], dtype="<f4").tobytes()
    path.write_bytes(model)
    assert "expected finite tokens and actions" in refusal(f"sonic_release:{folder}")


def test_a_folder_without_the_files_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"expected encoder\.onnx, decoder\.onnx, observation_config\.yaml in"):
        load_policy(f"sonic_release:{tmp_path}")


def test_a_policy_is_split_at_a_known_contract_only():
    assert split_contract("default") == (None, "default")
    assert split_contract("other:folder") == (None, "other:folder")
    contract, folder = split_contract("sonic_training:a/b")
    assert contract is not None
    assert (contract.history_fill, folder) == ("first", "a/b")
