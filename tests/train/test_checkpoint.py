"""Checkpoints: going on from one equals never having stopped; wrong files are named."""

from __future__ import annotations

import msgspec
import pytest
import torch

from sonic_train.checkpoint import (
    CheckpointError,
    find_checkpoint,
    load_checkpoint,
    load_model,
    read_checkpoint,
    save_checkpoint,
    save_weights_only,
)
from sonic_train.iterate import build_accelerator, build_run, train_iteration
from sonic_train.networks.config import NetworkConfig
from sonic_train.ppo.config import PPOConfig
from tests.train.dummy_env import DummyEnv

TINY = NetworkConfig(encoder_hidden=(16,), g1_dyn_hidden=(16,), g1_kin_hidden=(16,), critic_hidden=(16,))
PPO = PPOConfig(steps_per_env=4, epochs=2, minibatches=2)


def _run(networks=TINY, seed=0):
    ppo = msgspec.structs.replace(PPO, seed=seed)
    return build_run(DummyEnv(16, seed=seed), networks, ppo, build_accelerator(cpu=True), revision="abc")


def _same(one, other):
    left, right = one.model.state_dict(), other.model.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_resumed_run_equals_one_that_never_stopped(tmp_path):
    run = _run()
    train_iteration(run)
    save_checkpoint(run, tmp_path / "last.pt")
    run.observations = None  # a resumed run starts with a reset
    expected = [train_iteration(run).values["loss/total"] for _ in range(2)]

    resumed = _run(seed=7)
    load_checkpoint(resumed, tmp_path / "last.pt")
    found = [train_iteration(resumed).values["loss/total"] for _ in range(2)]
    assert found == expected
    assert _same(run, resumed)
    assert resumed.iteration == 3
    assert resumed.env_steps == run.env_steps
    assert resumed.env.iterations == 3
    assert resumed.learner.learning_rate.item() == run.learner.learning_rate.item()


def test_weights_alone_are_enough_to_go_on(tmp_path):
    run = _run()
    report = train_iteration(run)
    save_weights_only(run, tmp_path / "weights.pt")
    other = _run(seed=7)
    load_checkpoint(other, tmp_path / "weights.pt")
    assert other.iteration == 1
    assert other.learner.learning_rate.item() == pytest.approx(run.learner.learning_rate.item())
    for name, value in run.model.state_dict().items():
        if name.startswith("critic."):
            assert torch.allclose(other.model.state_dict()[name], value, rtol=1e-2, atol=1e-3)
        else:
            assert torch.equal(other.model.state_dict()[name], value)
    assert train_iteration(other).iteration == report.iteration + 1


def test_only_whole_rollouts_count_as_recorded(tmp_path):
    run = _run()
    train_iteration(run)
    save_checkpoint(run, tmp_path / "last.pt")
    resumed = _run()
    load_checkpoint(resumed, tmp_path / "last.pt")
    save_checkpoint(resumed, tmp_path / "unchanged.pt")
    assert read_checkpoint(tmp_path / "last.pt")["samples"]["policy"].shape == (16, 930)
    assert read_checkpoint(tmp_path / "unchanged.pt")["samples"] == {}


@pytest.mark.parametrize(("desired_kl", "expected"), [(0.01, 2e-3), (0.0, 5e-4)])
def test_learning_rate_of_a_checkpoint_counts_where_it_adapts(tmp_path, desired_kl, expected):
    run = _run()
    run.learner.set_learning_rate(torch.tensor(0.009))
    save_weights_only(run, tmp_path / "weights.pt")
    ppo = msgspec.structs.replace(PPO, desired_kl=desired_kl, learning_rate=5e-4, max_learning_rate=2e-3)
    other = build_run(DummyEnv(16), TINY, ppo, build_accelerator(cpu=True))
    load_checkpoint(other, tmp_path / "weights.pt")
    assert other.learner.learning_rate.item() == pytest.approx(expected)


def test_the_shipped_weights_have_a_name():
    assert read_checkpoint(find_checkpoint("default"))["kind"] == "weights"
    with pytest.raises(CheckpointError, match="or one of the names default"):
        find_checkpoint("defualt")


def test_model_of_a_checkpoint_needs_no_run(tmp_path):
    run = _run()
    train_iteration(run)
    save_checkpoint(run, tmp_path / "last.pt")
    model, content = load_model(tmp_path / "last.pt")
    assert content["revision"] == "abc"
    assert content["samples"]["tokenizer"].shape == (16, 1761)
    observations = run.env.reset()
    assert torch.equal(model.act_inference(observations), run.model.act_inference(observations))


def test_other_networks_are_refused_and_named(tmp_path):
    save_checkpoint(_run(), tmp_path / "last.pt")
    other = _run(msgspec.structs.replace(TINY, g1_dyn_hidden=(24,), normalize_policy=False))
    before = {name: value.clone() for name, value in other.model.state_dict().items()}
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(other, tmp_path / "last.pt")
    text = str(error.value)
    assert "decoders.g1_dyn.module.0.weight: expected (24, 994), found (16, 994)" in text
    assert "normalizers.policy.mean: (930,) is unknown here" in text
    assert "encoders" not in text
    assert all(torch.equal(before[name], value) for name, value in other.model.state_dict().items())


@pytest.mark.parametrize("damage", ["missing", "truncated", "text", "foreign", "future"])
def test_wrong_files_give_one_plain_error(tmp_path, damage):
    path = tmp_path / "last.pt"
    save_checkpoint(_run(), path)
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "text":
        path.write_text("version https://git-lfs.github.com/spec/v1\n")
    elif damage == "foreign":
        torch.save({"state_dict": {}}, path)
    else:
        torch.save({"format_version": 99}, path)
    with pytest.raises(CheckpointError, match=r"last\.pt"):
        load_checkpoint(_run(), path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    run = _run()
    save_checkpoint(run, tmp_path / "last.pt")
    content = (tmp_path / "last.pt").read_bytes()

    def fail(content, file):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(run, tmp_path / "last.pt")
    assert (tmp_path / "last.pt").read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]
