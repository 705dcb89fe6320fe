"""Shapes, layouts, routing and noise of the networks."""

from __future__ import annotations

import math
from itertools import chain

import pytest
import torch

from sonic_runtime.config import load_config
from sonic_train.config import TrainConfig
from sonic_train.env.layout import CRITIC_DIM, POLICY_DIM, TOKENIZER_DIM, TOKENIZER_TERMS, term_slice
from sonic_train.networks import token_inputs
from sonic_train.networks.actor_critic import ActorCritic, log_density
from sonic_train.networks.config import NetworkConfig
from sonic_train.networks.quantizer import quantize
from sonic_train.networks.universal_token import select_control_latent
from sonic_train.observation_batch import Observations

TINY = NetworkConfig(encoder_hidden=(16,), g1_dyn_hidden=(16,), g1_kin_hidden=(16,), critic_hidden=(16,))


def preset(name):
    return load_config("train", [f"preset={name}"], TrainConfig)


def _count(module):
    return sum(p.numel() for p in module.parameters())


def test_release_sizes_have_the_published_parameter_counts():
    with torch.device("meta"):
        actor = ActorCritic(preset("release").networks).actor
    module = actor.actor_module
    assert [_count(module.encoders[name]) for name in ("g1", "teleop", "smpl")] == [4_231_232, 3_467_328, 4_640_832]
    assert _count(module.decoders["g1_kin"]) == 3_347_072
    assert _count(module.decoders["g1_dyn"]) == 10_184_221
    assert _count(actor) == 25_870_714


def test_small_preset_fits_the_shipped_policy():
    model = ActorCritic(preset("small").networks).actor.actor_module
    exported = sum(_count(model.encoders[n]) for n in token_inputs.ENCODER_NAMES) + _count(model.decoders["g1_dyn"])
    assert 4 * exported < 20e6


def test_state_dict_follows_the_release_layout():
    names = set(ActorCritic(TINY).state_dict())
    assert "actor.std" in names
    assert {
        f"actor.actor_module.encoders.{e}.module.{i}.weight" for e in ("g1", "teleop", "smpl") for i in (0, 2)
    } <= names
    assert {f"actor.actor_module.decoders.{d}.module.{i}.bias" for d in ("g1_dyn", "g1_kin") for i in (0, 2)} <= names
    assert "critic.critic_module.module.0.weight" in names


def test_encoder_inputs_are_the_terms_in_the_release_order():
    tokenizer = torch.arange(TOKENIZER_DIM, dtype=torch.float32)[None]
    start = {name: term_slice(TOKENIZER_TERMS, name).start for name in TOKENIZER_TERMS}
    inputs = token_inputs.encoder_inputs(tokenizer)
    command, ori = start["command_multi_future"], start["motion_anchor_ori_b_mf"]
    rows = [[*range(command + 58 * k, command + 58 * k + 58), *range(ori + 6 * k, ori + 6 * k + 6)] for k in range(10)]
    assert inputs["g1"][0].tolist() == [*chain(*rows)]
    lower = start["command_multi_future_lower_body"]
    vr = start["vr_3point_local_target"]
    anchor = start["motion_anchor_ori_b"]
    assert inputs["teleop"][0].tolist() == [*range(lower, lower + 240), *range(vr, vr + 21), *range(anchor, anchor + 6)]
    joints, root = start["smpl_joints_multi_future_local"], start["smpl_root_ori_b_multi_future"]
    wrists = start["joint_pos_multi_future_wrist_for_smpl"]
    rows = [
        [
            *range(joints + 72 * k, joints + 72 * k + 72),
            *range(root + 6 * k, root + 6 * k + 6),
            *range(wrists + 6 * k, wrists + 6 * k + 6),
        ]
        for k in range(10)
    ]
    assert inputs["smpl"][0].tolist() == [*chain(*rows)]
    assert {name: rows.shape[1] for name, rows in inputs.items()} == token_inputs.ENCODER_DIMS


@pytest.mark.parametrize(
    ("bits", "source"),
    [((1, 0, 0), "g1"), ((0, 1, 0), "teleop"), ((1, 0, 1), "smpl"), ((1, 1, 1), "smpl"), ((1, 1, 0), "teleop")],
)
def test_last_set_bit_wins_control(bits, source):
    latents = {name: torch.full((2, 64), float(i)) for i, name in enumerate(token_inputs.ENCODER_NAMES)}
    chosen = select_control_latent(latents, torch.tensor([bits, bits], dtype=torch.bool))
    assert torch.equal(chosen, latents[source])


def test_rollout_and_update_see_the_same_distribution():
    torch.manual_seed(0)
    model = ActorCritic(TINY)
    tokenizer = torch.randn(6, TOKENIZER_DIM)
    tokenizer[:, :3] = torch.tensor([[1.0, 0, 0], [0, 1, 0], [1, 0, 1]]).repeat(2, 1)
    obs = Observations(torch.randn(6, POLICY_DIM), tokenizer, torch.randn(6, CRITIC_DIM))
    acted = model.act(obs)
    result = model(obs.policy, obs.tokenizer, obs.critic, acted.action)
    assert torch.allclose(result.log_prob, acted.log_prob, atol=1e-5)
    assert torch.allclose(result.mean, acted.mean, atol=1e-6)
    assert torch.allclose(result.value, acted.value, atol=1e-6)
    assert torch.equal(model.act_inference(obs), acted.mean)


def test_density_and_entropy_are_those_of_torch():
    model = ActorCritic(TINY)
    mean, std = torch.randn(5, 29), torch.rand(29) + 0.1
    action = torch.randn(5, 29)
    normal = torch.distributions.Normal(mean, std)
    assert torch.allclose(log_density(action, mean, std), normal.log_prob(action).sum(-1), atol=1e-4)
    model.actor.std.data.copy_(std)
    zeros = [torch.zeros(2, d) for d in (POLICY_DIM, TOKENIZER_DIM, CRITIC_DIM, 29)]
    expected = torch.distributions.Normal(torch.zeros(29), std).entropy().sum()
    assert torch.allclose(model(*zeros).entropy, expected)


@pytest.mark.parametrize("std_type", ["scalar", "log"])
def test_noise_stays_in_its_bounds(std_type):
    config = NetworkConfig(
        encoder_hidden=(8,), g1_dyn_hidden=(8,), g1_kin_hidden=(8,), critic_hidden=(8,), std_type=std_type,
        init_std=0.3, min_std=0.1, max_std=0.5,
    )  # fmt: skip
    actor = ActorCritic(config).actor
    assert torch.allclose(actor.action_std(), torch.full((29,), 0.3))
    for value, bound in ((-5.0, 0.1), (5.0, 0.5)):
        (actor.log_std if std_type == "log" else actor.std).data.fill_(value)
        actor.clamp_std()
        assert torch.allclose(actor.action_std(), torch.full((29,), bound))


def test_tokens_say_something_from_the_start():
    torch.manual_seed(0)
    module = ActorCritic(preset("small").networks).actor.actor_module
    latents = module.encode(torch.randn(256, TOKENIZER_DIM))
    for latent in latents.values():
        assert 0.3 < latent.std() < 0.8
        assert quantize(latent).std(dim=0).mean() > 4 / 16


def test_latents_of_the_wrong_rows_do_not_matter():
    """Changing the inputs of an encoder that does not control a row leaves its action alone."""
    torch.manual_seed(0)
    model = ActorCritic(TINY)
    tokenizer = torch.randn(1, TOKENIZER_DIM)
    tokenizer[0, :3] = torch.tensor([0.0, 1.0, 0.0])
    policy = torch.randn(1, POLICY_DIM)
    before = model.act_inference(Observations(policy, tokenizer, torch.zeros(1, CRITIC_DIM)))
    changed = tokenizer.clone()
    changed[:, term_slice(TOKENIZER_TERMS, "smpl_joints_multi_future_local")] += 1.0
    changed[:, term_slice(TOKENIZER_TERMS, "command_multi_future")] -= 1.0
    after = model.act_inference(Observations(policy, changed, torch.zeros(1, CRITIC_DIM)))
    assert torch.equal(before, after)
    assert math.isfinite(before.sum().item())
