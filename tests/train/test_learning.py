"""One iteration as a whole: it learns, it skips broken gradients, it adapts its learning rate, it counts episodes."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sonic_train.iterate import build_accelerator, build_run, train_iteration
from sonic_train.networks.config import AuxLossConfig, NetworkConfig
from sonic_train.ppo.config import PPOConfig
from sonic_train.ppo.losses import gaussian_kl
from sonic_train.ppo.update import adapt_learning_rate, minibatch_step, take_rows
from tests.train.dummy_env import DummyEnv

TINY = NetworkConfig(
    encoder_hidden=(32,),
    g1_dyn_hidden=(32,),
    g1_kin_hidden=(16,),
    critic_hidden=(32,),
    init_std=0.3,
    aux=AuxLossConfig(align_rows="all"),
)


def _run(env=None, **options):
    torch.set_num_threads(1)
    ppo = PPOConfig(**({"steps_per_env": 16, "epochs": 4, "minibatches": 2} | options))
    return build_run(env or DummyEnv(32), TINY, ppo, build_accelerator(cpu=True))


def _rollout(run):
    train_iteration(run)
    return take_rows(run.storage, torch.arange(run.storage.steps * run.storage.num_envs))


def _error(run):
    observations = run.env.reset()
    with torch.no_grad():
        return (run.model.act_inference(observations) - run.env.target).square().mean().item()


def test_it_learns_the_target_through_all_encoders():
    run = _run(DummyEnv(64, horizon=8), entropy_coef=0.0, gamma=0.5, steps_per_env=8, learning_rate=3e-3)
    before = _error(run)
    first = train_iteration(run)
    for _ in range(39):
        last = train_iteration(run)
    assert before == pytest.approx(0.25, abs=0.05)
    assert _error(run) < 0.05 * before
    assert last.values["episode/return"] > first.values["episode/return"]
    assert last.iteration == 40
    assert last.env_steps == 40 * 64 * 8


def test_episodes_are_counted_from_their_own_start():
    run = _run(DummyEnv(16, horizon=5), steps_per_env=12)
    report = train_iteration(run)
    assert report.values["episode/length"] == 5.0
    assert report.values["episode/failed"] == 0.0
    assert report.values["episode/return"] == pytest.approx(5 * report.values["rollout/reward"], rel=0.1)
    assert run.env.iterations == 1


def test_quantities_without_a_sample_are_absent():
    report = train_iteration(_run(DummyEnv(16, horizon=100), steps_per_env=4))
    assert "episode/return" not in report.values
    assert "rollout/reward" in report.values


def test_failures_are_counted():
    report = train_iteration(_run(DummyEnv(16, fail_at=0.0), steps_per_env=4))
    assert report.values["episode/failed"] == 1.0
    assert report.values["episode/length"] == 1.0


def test_a_gradient_that_is_not_finite_changes_nothing():
    run = _run()
    batch = _rollout(run)
    weights = [p.detach().clone() for p in run.model.parameters()]
    moments = [s["exp_avg"].clone() for s in run.learner.optimizer.optimizer.state.values()]
    broken = batch._replace(advantage=torch.full_like(batch.advantage, float("nan")))
    report = minibatch_step(run.learner, broken)
    assert report["ppo/skipped_steps"] == 1.0
    assert all(torch.equal(old, new) for old, new in zip(weights, run.model.parameters(), strict=True))
    after = [s["exp_avg"] for s in run.learner.optimizer.optimizer.state.values()]
    assert all(torch.equal(old, new) for old, new in zip(moments, after, strict=True))
    good = minibatch_step(run.learner, batch)
    assert good["ppo/skipped_steps"] == 0.0
    assert any(not torch.equal(old, new) for old, new in zip(weights, run.model.parameters(), strict=True))


def test_a_broken_environment_does_not_stop_training():
    class Broken(DummyEnv):
        def step(self, action_pol):
            result = super().step(action_pol)
            result.reward[0] = float("nan")
            result.observations.policy[1] = float("inf")
            return result

    run = _run(Broken(16), steps_per_env=4)
    train_iteration(run)
    report = train_iteration(run)
    assert report.values["rollout/broken_rows"] == pytest.approx(1 / 16)
    assert report.values["ppo/skipped_steps"] == 0.0
    assert all(torch.isfinite(p).all() for p in run.model.parameters())


@pytest.mark.parametrize(
    ("kl", "factor"), [(0.03, 1 / 1.5), (0.01, 1.0), (0.001, 1.5), (0.0, 1.0), (float("nan"), 1.0)]
)
def test_learning_rate_follows_the_divergence(kl, factor):
    run = _run(learning_rate=1e-3, critic_learning_rate_factor=2.0)
    adapt_learning_rate(run.learner, torch.tensor(kl))
    actor, critic = (group["lr"].item() for group in run.learner.optimizer.param_groups)
    assert actor == pytest.approx(1e-3 * factor)
    assert critic == pytest.approx(2e-3 * factor)


def test_learning_rate_stays_in_its_bounds():
    run = _run(learning_rate=1e-3, min_learning_rate=9e-4, max_learning_rate=1.1e-3)
    for kl, bound in ((1.0, 9e-4), (1e-4, 1.1e-3)):
        for _ in range(3):
            adapt_learning_rate(run.learner, torch.tensor(kl))
        assert run.learner.learning_rate.item() == pytest.approx(bound)


def test_divergence_is_that_of_torch():
    mean_old, mean_new = torch.randn(5, 29), torch.randn(5, 29)
    std_old, std_new = torch.rand(29) + 0.2, torch.rand(29) + 0.2
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean_old, std_old), normal(mean_new, std_new)).sum(-1)
    assert torch.allclose(gaussian_kl(mean_old, std_old, mean_new, std_new), expected, rtol=1e-4)


def test_statistics_of_observations_change_after_the_update_only():
    run = _run()
    seen = []
    update_normalizers = run.model.update_normalizers

    def watch(*observations):
        seen.append(run.model.normalizers["tokenizer"].count.item())
        update_normalizers(*observations)

    run.model.update_normalizers = watch
    train_iteration(run)
    assert seen == [0.0]
    assert run.model.normalizers["tokenizer"].count.item() == 32 * 16


class _Operators(TorchDispatchMode):
    """Collects the names of all operators that run, in the backward pass too."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.name())
        return func(*args, **(kwargs or {}))


def test_no_operator_of_an_iteration_waits_for_the_device():
    run = _run()
    train_iteration(run)
    with _Operators() as operators:
        train_iteration(run)
    # reading a scalar, or shapes that depend on values, would make the host wait
    waiting = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "aten::equal")
    assert [name for name in operators.names if any(word in name for word in waiting)] == []
    assert "aten::_fused_adamw_" in {name.split(".")[0] for name in operators.names}
