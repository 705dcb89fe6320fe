"""Weights that ship: rounded to what float16 holds, read back as float32, the same numbers in every file."""

from __future__ import annotations

import msgspec
import numpy as np
import onnx
import pytest
import torch

from sonic_train.checkpoint import (
    CheckpointError,
    load_checkpoint,
    load_model,
    read_checkpoint,
    save_checkpoint,
    save_weights_only,
    write_content,
)
from sonic_train.export import export
from sonic_train.iterate import build_accelerator, build_run, train_iteration
from sonic_train.networks.config import NetworkConfig
from sonic_train.ppo.config import PPOConfig
from sonic_train.shipping import average_weights, round_weights
from tests.train.dummy_env import DummyEnv

TINY = NetworkConfig(encoder_hidden=(16,), g1_dyn_hidden=(16,), g1_kin_hidden=(16,), critic_hidden=(16,))
PPO = PPOConfig(steps_per_env=4, epochs=1, minibatches=2)
DECODER_WEIGHT = "actor.actor_module.decoders.g1_dyn.module.0.weight"


def _run(networks=TINY):
    return build_run(DummyEnv(16), networks, PPO, build_accelerator(cpu=True), revision="abc")


@pytest.fixture(scope="module")
def trained():
    run = _run()
    train_iteration(run)
    return run


@pytest.fixture
def full(trained, tmp_path):
    save_checkpoint(trained, tmp_path / "last.pt")
    return tmp_path / "last.pt"


@pytest.fixture
def rounded(full, tmp_path):
    write_content(round_weights(read_checkpoint(full)), tmp_path / "rounded.pt")
    return tmp_path / "rounded.pt"


def test_layers_come_back_as_the_nearest_float16_and_all_else_bit_for_bit(full, rounded):
    before, _ = load_model(full)
    after, content = load_model(rounded)
    assert content["kind"] == "weights" and "optimizer" not in content
    changed = 0
    for name, value in before.state_dict().items():
        found = after.state_dict()[name]
        assert found.dtype == value.dtype, name
        if name.endswith((".weight", ".bias")):
            assert torch.equal(found, torch.from_numpy(value.numpy().astype(np.float16).astype(np.float32))), name
            changed += int((found != value).sum())
        else:
            assert torch.equal(found, value), name
    assert changed > 1000
    assert read_checkpoint(rounded)["model"][DECODER_WEIGHT].dtype == torch.float16


def test_rounding_again_changes_nothing(rounded):
    content = read_checkpoint(rounded)
    again = round_weights(content)
    assert again.keys() == content.keys()
    assert all(torch.equal(again["model"][name], value) for name, value in content["model"].items())


def test_training_goes_on_in_full_precision(rounded):
    run = _run()
    load_checkpoint(run, rounded)
    assert all(value.dtype == torch.float32 for value in run.model.parameters())
    assert train_iteration(run).iteration == 2


def test_an_export_has_the_numbers_of_the_checkpoint(rounded, tmp_path):
    export(rounded, tmp_path / "policy")
    decoder = onnx.load(str(tmp_path / "policy" / "decoder.onnx"))
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in decoder.graph.initializer}
    weight = next(value for name, value in tensors.items() if name.endswith("g1_dyn.module.0.weight"))
    stored = read_checkpoint(rounded)["model"][DECODER_WEIGHT]
    assert stored.dtype == torch.float16 and weight.dtype == np.float32
    assert np.array_equal(weight, stored.float().numpy())


def test_other_networks_are_refused_and_named(rounded):
    other = _run(msgspec.structs.replace(TINY, g1_dyn_hidden=(24,)))
    before = other.model.state_dict()[DECODER_WEIGHT].clone()
    with pytest.raises(CheckpointError, match=r"g1_dyn\.module\.0\.weight: expected \(24, 994\), found \(16, 994\)"):
        load_checkpoint(other, rounded)
    assert torch.equal(other.model.state_dict()[DECODER_WEIGHT], before)


@pytest.mark.parametrize("value", [1e5, float("nan")])
def test_weights_that_float16_cannot_hold_are_refused_and_named(full, value):
    content = read_checkpoint(full)
    content["model"][DECODER_WEIGHT][3, 5] = value
    with pytest.raises(CheckpointError, match=r"65504.*g1_dyn\.module\.0\.weight"):
        round_weights(content)


def test_the_mean_of_checkpoints_takes_actor_and_statistics_and_leaves_the_rest(tmp_path):
    run = _run()
    files = [tmp_path / f"model_step_{i}.pt" for i in range(3)]
    for file in files:
        train_iteration(run)
        save_checkpoint(run, file)
    train_iteration(run)
    save_weights_only(run, tmp_path / "weights.pt")
    last = read_checkpoint(tmp_path / "weights.pt")
    found = average_weights(files, tmp_path / "weights.pt")
    models = [read_checkpoint(file)["model"] for file in files]
    for name in (DECODER_WEIGHT, "actor.std", "normalizers.policy.count"):
        expected = np.mean([model[name].double().numpy() for model in models], axis=0)
        np.testing.assert_allclose(found["model"][name].numpy(), expected, rtol=1e-6, atol=1e-9)
        assert not torch.equal(found["model"][name], last["model"][name])
    critic = [name for name in last["model"] if name.startswith("critic.")]
    assert critic and all(torch.equal(found["model"][name], last["model"][name]) for name in critic)
    assert found["iteration"] == last["iteration"] == 4


def test_checkpoints_of_other_networks_have_no_mean(full, tmp_path):
    save_checkpoint(_run(msgspec.structs.replace(TINY, g1_kin_hidden=(24,))), tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"other\.pt: tensors differ from those of .*last\.pt"):
        average_weights([full, tmp_path / "other.pt"], full)
