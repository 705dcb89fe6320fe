"""A batch of trivial environments with the true dims: the reward falls with the distance of the action to a target."""

from __future__ import annotations

import torch

from sonic_train.env.layout import ACTION_DIM, CRITIC_DIM, POLICY_DIM, TOKENIZER_DIM, TOKENIZER_TERMS, term_slice
from sonic_train.observation_batch import Observations, StepResult


class DummyEnv:
    """Reward -mean((a - target)^2); the target, all +0.5 or all -0.5, is written in the inputs of all encoders.

    Episodes end by time-out after `horizon` steps, and by failure when the action is off by more than `fail_at`.
    """

    def __init__(self, num_envs=32, device="cpu", horizon=16, fail_at=1e9, seed=0):
        self.num_envs, self.device = num_envs, device
        self.horizon, self.fail_at = horizon, fail_at
        self.generator = torch.Generator(device="cpu").manual_seed(seed)
        self.target = torch.zeros(num_envs, ACTION_DIM, device=device)
        self.age = torch.zeros(num_envs, dtype=torch.long, device=device)
        self.bits = torch.zeros(num_envs, 3, device=device)
        self.iterations = 0

    @property
    def rates(self):
        return {"action_clip": 12.0, "control_hz": 50.0, "physics_hz": 200.0}

    def reset(self):
        self._renew(torch.ones(self.num_envs, dtype=torch.bool, device=self.device))
        return self._observe()

    def _renew(self, mask):
        signs = torch.randint(0, 2, (self.num_envs, 1), generator=self.generator).to(self.device) - 0.5
        choice = torch.randint(0, 3, (self.num_envs,), generator=self.generator).to(self.device)
        bits = (choice[:, None] == torch.arange(3, device=self.device)).float()
        bits[:, 0] = torch.maximum(bits[:, 0], bits[:, 2])
        self.target = torch.where(mask[:, None], signs.expand(-1, ACTION_DIM), self.target)
        self.bits = torch.where(mask[:, None], bits, self.bits)
        self.age = torch.where(mask, torch.zeros_like(self.age), self.age)

    def _observe(self):
        policy = torch.zeros(self.num_envs, POLICY_DIM, device=self.device)
        tokenizer = torch.zeros(self.num_envs, TOKENIZER_DIM, device=self.device)
        critic = torch.zeros(self.num_envs, CRITIC_DIM, device=self.device)
        tokenizer[:, :3] = self.bits
        for name in ("command_multi_future", "command_multi_future_lower_body", "smpl_joints_multi_future_local"):
            start = term_slice(TOKENIZER_TERMS, name).start
            tokenizer[:, start : start + ACTION_DIM] = self.target
        critic[:, :ACTION_DIM] = self.target
        critic[:, ACTION_DIM] = self.age / self.horizon
        return Observations(policy, tokenizer, critic)

    def step(self, action_pol):
        error = (action_pol - self.target).square().mean(dim=-1)
        self.age = self.age + 1
        terminated = error > self.fail_at
        timed_out = self.age >= self.horizon
        final = self._observe().critic
        self._renew(terminated | timed_out)
        log = {"dummy/error": error.mean()}
        return StepResult(self._observe(), -error, terminated, timed_out, final, log)

    def end_iteration(self):
        self.iterations += 1

    def state_dict(self):
        return {"generator": self.generator.get_state(), "iterations": self.iterations}

    def load_state_dict(self, state):
        self.generator.set_state(state["generator"])
        self.iterations = state["iterations"]
