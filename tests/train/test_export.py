"""Exported graphs against the trained model, and the manifest that travels with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from sonic_runtime.contract.errors import ConfigError, ContractError
from sonic_runtime.contract.manifest import read_manifest
from sonic_runtime.contract.observation_yaml import read_observation_yaml, yaml_differences
from sonic_runtime.contract.onnx_file import open_session
from sonic_runtime.infer.expectations import manifest_problems, pair_problems
from sonic_train import export as export_module
from sonic_train.checkpoint import load_model, save_checkpoint
from sonic_train.export import export
from sonic_train.iterate import build_accelerator, build_run, train_iteration
from sonic_train.networks.config import NetworkConfig
from sonic_train.networks.deploy_graphs import encoder_input
from sonic_train.networks.quantizer import bound_latents
from sonic_train.observation_batch import Observations
from sonic_train.ppo.config import PPOConfig
from tests.train.dummy_env import DummyEnv

TINY = NetworkConfig(encoder_hidden=(32,), g1_dyn_hidden=(32,), g1_kin_hidden=(16,), critic_hidden=(16,))
BITS = {0: (1.0, 0.0, 0.0), 1: (0.0, 1.0, 0.0), 2: (1.0, 0.0, 1.0)}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    run = build_run(DummyEnv(16), TINY, PPOConfig(steps_per_env=4, epochs=1), build_accelerator(cpu=True), "abc123")
    train_iteration(run)
    # statistics that are not trivial, so that the normaliser in the graph is put to the test
    generator = torch.Generator().manual_seed(0)
    for name, dim in (("policy", 930), ("tokenizer", 1761)):
        spread, centre = torch.rand(dim, generator=generator) * 3, torch.randn(dim, generator=generator)
        run.model.normalizers[name].update(torch.randn(4096, dim, generator=generator) * spread + centre)
    path = tmp_path_factory.mktemp("run") / "last.pt"
    save_checkpoint(run, path)
    return path


@pytest.fixture(scope="module")
def policy(checkpoint):
    return export(checkpoint, checkpoint.parent / "policy", notes="Walks.")


def _run_graph(folder: Path, part: str, inputs: torch.Tensor) -> np.ndarray:
    session = open_session(folder / f"{part}.onnx")
    return np.concatenate([session.run(None, {"obs_dict": row[None]})[0] for row in inputs.numpy()])


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_both_graphs_together_equal_the_trained_policy(checkpoint, policy, mode):
    model, _ = load_model(checkpoint)
    generator = torch.Generator().manual_seed(mode)
    observations = Observations(
        policy=torch.randn(8, 930, generator=generator) * 2,
        tokenizer=torch.randn(8, 1761, generator=generator) * 2,
        critic=torch.zeros(8, 1645),
    )
    observations.tokenizer[:, :3] = torch.tensor(BITS[mode])
    tokens = _run_graph(policy.folder, "encoder", encoder_input(observations.tokenizer, mode))
    name = ("g1", "teleop", "smpl")[mode]
    with torch.no_grad():
        latents = model.actor.actor_module.encode(model.normalizers["tokenizer"](observations.tokenizer))[name]
        expected = model.act_inference(observations).numpy()
    bounded = bound_latents(latents)
    assert (bounded - bounded.floor() - 0.5).abs().min() > 1e-5  # no tie among these rows
    actions = _run_graph(policy.folder, "decoder", torch.cat([torch.from_numpy(tokens), observations.policy], dim=-1))
    np.testing.assert_allclose(actions, expected, atol=1e-4)
    assert np.ptp(expected) > 1e-3


def test_files_have_the_published_inputs_and_outputs(policy):
    for part, size, output, out_size in (("encoder", 1762, "encoded_tokens", 64), ("decoder", 994, "action", 29)):
        session = open_session(policy.folder / f"{part}.onnx")
        inputs, outputs = session.get_inputs(), session.get_outputs()
        assert [(i.name, i.shape, i.type) for i in inputs] == [("obs_dict", [1, size], "tensor(float)")]
        assert [(o.name, o.shape, o.type) for o in outputs] == [(output, [1, out_size], "tensor(float)")]
        proto = onnx.load(policy.folder / f"{part}.onnx")
        assert proto.opset_import[0].version >= 13


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_unread_terms_may_be_zero(checkpoint, policy, mode):
    """The runtime leaves the terms of other encoders zero, as on the robot."""
    _, content = load_model(checkpoint)
    full = encoder_input(content["samples"]["tokenizer"][:4], mode)
    manifest = read_manifest(policy.folder / "encoder.onnx")
    required = next(e.required_terms for e in manifest.encoders if e.mode_id == mode)
    bare, start = torch.zeros_like(full), 0
    for term in manifest.inputs:
        if term.name in required:
            bare[:, start : start + term.dim] = full[:, start : start + term.dim]
        start += term.dim
    assert start == full.shape[1]
    np.testing.assert_array_equal(
        _run_graph(policy.folder, "encoder", bare), _run_graph(policy.folder, "encoder", full)
    )


def test_manifests_are_what_the_runtime_expects(policy):
    encoder, decoder = (read_manifest(policy.folder / f"{part}.onnx") for part in ("encoder", "decoder"))
    assert manifest_problems(encoder) == []
    assert manifest_problems(decoder) == []
    assert pair_problems(encoder, decoder) == []
    assert yaml_differences(read_observation_yaml(policy.folder / "observation_config.yaml"), encoder, decoder) == []
    assert encoder.pair_id == policy.pair_id
    assert encoder.training_revision == "abc123 iteration 1"
    assert encoder.action_clip == decoder.action_clip == DummyEnv(1).rates["action_clip"]
    assert "Walks." in (policy.folder / "README.md").read_text()


def test_golden_vectors_are_reproduced(policy):
    for part in ("encoder", "decoder"):
        manifest = read_manifest(policy.folder / f"{part}.onnx")
        found = _run_graph(policy.folder, part, torch.tensor([manifest.golden_input]))
        np.testing.assert_allclose(found[0], manifest.golden_output, atol=1e-6)
    assert policy.recorded
    assert policy.checked_rows == 16


def test_a_wrong_graph_is_refused_and_nothing_is_written(checkpoint, tmp_path, monkeypatch):
    write_graph = export_module._write_graph

    def spoil(graph, input_dim, input_name, output_name, path):
        write_graph(graph, input_dim, input_name, output_name, path)
        proto = onnx.load(path)
        weights = next(w for w in proto.graph.initializer if w.data_type == onnx.TensorProto.FLOAT and len(w.dims) == 2)
        values = onnx.numpy_helper.to_array(weights) * 1.5
        weights.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), weights.name))
        onnx.save(proto, path)

    monkeypatch.setattr(export_module, "_write_graph", spoil)
    with pytest.raises(ContractError, match="agree with the trained model"):
        export(checkpoint, tmp_path / "policy")
    assert list(tmp_path.iterdir()) == []


def test_export_without_recorded_observations_draws_them(tmp_path):
    run = build_run(DummyEnv(4), TINY, PPOConfig(), build_accelerator(cpu=True))
    save_checkpoint(run, tmp_path / "fresh.pt")
    policy = export(tmp_path / "fresh.pt", tmp_path / "policy")
    assert not policy.recorded
    assert policy.max_error < 1e-4


def test_a_folder_that_cannot_be_written_is_named(checkpoint, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("a file")
    for folder in (taken, taken / "policy"):
        with pytest.raises(ConfigError, match="expected a folder that can be written"):
            export(checkpoint, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
