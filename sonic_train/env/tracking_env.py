"""The tracking task: many robots, each following a clip from a frame the sampler chose.

`step()` is the whole order of events. All terms see the robot and the reference at the same instant, after the
physics; nothing in a step waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from sonic_runtime.robots import g1
from sonic_train.env import observations as obs
from sonic_train.env import rewards, terminations
from sonic_train.env.config import TaskConfig
from sonic_train.env.draws import signed, uniform
from sonic_train.env.rotations import quat_from_rpy, quat_multiply
from sonic_train.env.sampler import AdaptiveSampler
from sonic_train.env.simulation import TrackingSimulation
from sonic_train.env.state import ReferenceTensors, RobotTensors
from sonic_train.motions.library import MotionLibrary
from sonic_train.observation_batch import Observations, StepResult
from sonic_train.ranks import sum_over_ranks

F = TypeVar("F", bound=Callable[..., object])

_HEIGHT_SMOOTHING = 0.1
"""Part of the new value in the running height of the reference anchor."""


@dataclass(frozen=True, slots=True)
class TermFunctions:
    """The pure functions of the task, as they are or compiled: hundreds of small kernels become a few."""

    relative: Callable[..., tuple[Tensor, Tensor]]
    rewards: Callable[..., dict[str, Tensor]]
    failures: Callable[..., dict[str, Tensor]]
    proprioception: Callable[..., dict[str, Tensor]]
    tokenizer: Callable[..., Tensor]
    critic: Callable[..., Tensor]

    @staticmethod
    def build(compiled: bool) -> TermFunctions:
        """Return the functions; compiling happens at their first use."""

        def ready(function: F) -> F:
            return cast(F, torch.compile(function, dynamic=False)) if compiled else function

        return TermFunctions(
            relative=ready(rewards.relative_reference),
            rewards=ready(rewards.reward_terms),
            failures=ready(terminations.failures),
            proprioception=ready(obs.proprioception),
            tokenizer=ready(obs.tokenizer_vector),
            critic=ready(obs.critic_vector),
        )


class TrackingEnv:
    """Vectorised tracking environment.

    Args:
        library: reference clips on the same device as the simulation.
        simulation: the robots.
        config: the task.
    """

    def __init__(self, library: MotionLibrary, simulation: TrackingSimulation, config: TaskConfig) -> None:
        self.num_envs, self.device, self._config = simulation.num_envs, simulation.device, config
        self._library, self._simulation = library, simulation
        self._terms = TermFunctions.build(config.compile_terms)
        self.sampler = AdaptiveSampler(library, config.sampler, self.device)
        n, device = self.num_envs, self.device
        self.step_s = config.simulation.physics_dt_s * config.simulation.decimation
        self._pol = torch.tensor(g1.HW_INDEX_OF_POL, device=device)
        self._hw = torch.tensor(g1.POL_INDEX_OF_HW, device=device)
        self._scale_hw = torch.tensor(g1.ACTION_SCALE_HW, dtype=torch.float32, device=device)
        self._limits = rewards.soft_limits(device)
        simulation.randomize(config.events)
        default = torch.tensor(g1.DEFAULT_POS_HW, dtype=torch.float32, device=device)
        self._joint_offset_hw = default + config.events.joint_offset_rad * signed(n, 29, device=device)
        self._histories = obs.ObservationHistories(n, device)
        self._frame = torch.zeros(n, dtype=torch.long, device=device)
        self._steps = torch.zeros(n, dtype=torch.long, device=device)
        self._push_in_s = torch.zeros(n, device=device)
        self._bits = torch.zeros(n, 3, device=device)
        self._action = torch.zeros(n, 29, device=device)
        self._joint_vel_hw = torch.zeros(n, 29, device=device)
        self._reference_height_m = torch.ones(n, device=device)

    @property
    def rates(self) -> dict[str, float]:
        """What a robot must do as in training: action_clip (raw action), control_hz, physics_hz."""
        return {
            "action_clip": self._config.action_clip,
            "control_hz": round(1.0 / self.step_s, 6),
            "physics_hz": round(1.0 / self._config.simulation.physics_dt_s, 6),
        }

    def reset(self) -> Observations:
        """Place every robot on a drawn frame and return the first observations."""
        everyone = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        reference = self._reset(everyone)
        return self._observe(self._simulation.state(), reference, everyone)

    def step(self, action_pol: Tensor) -> StepResult:
        """Advance one control step (20 ms).

        Args:
            action_pol: (N, 29) raw actions, policy order; clipped here.
        """
        action = action_pol.clamp(-self._config.action_clip, self._config.action_clip)
        self._simulation.step(self._joint_offset_hw + self._scale_hw * action[:, self._hw])

        self._frame, self._steps = self._frame + 1, self._steps + 1
        state, reference = self._simulation.state(), self._library.at(self._frame)
        relative = self._terms.relative(state, reference)
        broken, failed, timed_out = self._done(state, reference, relative)
        reward, terms = self._reward(state, reference, relative, action)
        final_critic = self._final_critic(state, reference, action)
        self.sampler.record(self._frame, failed)

        done = failed | timed_out
        self._action = torch.where(done[:, None], 0.0, action)
        self._joint_vel_hw = state.joint_vel_hw
        next_reference = self._reset(done)
        self._push(~done)
        observations = self._observe(self._simulation.state(), next_reference, done)
        log = self._log(state, reference, terms, broken)
        return StepResult(
            observations=observations,
            reward=torch.nan_to_num(reward),
            terminated=failed,
            timed_out=timed_out & ~failed,
            final_critic_obs=torch.nan_to_num(final_critic),
            log=log,
        )

    def end_iteration(self) -> None:
        """Give the sampler what all processes saw since the last call."""
        self.sampler.merge(sum_over_ranks(self.sampler.take_new()))

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the environment: the sampler's counts."""
        return self.sampler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.sampler.load_state_dict(state)

    def _done(
        self, state: RobotTensors, reference: ReferenceTensors, relative: tuple[Tensor, Tensor]
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        height = reference.body_pos_w[:, 0, 2]
        self._reference_height_m = torch.lerp(self._reference_height_m, height, _HEIGHT_SMOOTHING)
        broken = self._terms.failures(state, reference, relative, self._reference_height_m, self._config.terminations)
        failed = torch.stack(list(broken.values())).any(0)
        timed_out = self._frame >= self._library.last_frame_of[self._frame]
        if self._config.max_episode_s > 0.0:
            timed_out = timed_out | (self._steps * self.step_s >= self._config.max_episode_s)
        return broken, failed, timed_out

    def _reward(
        self, state: RobotTensors, reference: ReferenceTensors, relative: tuple[Tensor, Tensor], action: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        joint_acc = (state.joint_vel_hw - self._joint_vel_hw) / self.step_s
        terms = self._terms.rewards(state, reference, relative, action, self._action, joint_acc, self._limits)
        return rewards.total_reward(terms, self._config.rewards, self.step_s), terms

    def _final_critic(self, state: RobotTensors, reference: ReferenceTensors, action: Tensor) -> Tensor:
        sample = self._terms.proprioception(state, self._joint_offset_hw, action, self._pol)
        histories = {name: history.peek(sample[name]) for name, history in self._histories.critic.items()}
        return self._terms.critic(state, reference, histories)

    def _reset(self, mask: Tensor) -> ReferenceTensors:
        """Send the masked environments to new frames and return the reference of all.

        Every draw is made for all and kept for the masked ones.
        """
        n, device, config = self.num_envs, self.device, self._config
        self._frame = torch.where(mask, self.sampler.draw(n), self._frame)
        self._steps = torch.where(mask, 0, self._steps)
        self._bits = torch.where(mask[:, None], _draw_encoders(n, config, device), self._bits)
        self._push_in_s = torch.where(mask, self._draw_push_interval(), self._push_in_s)
        reference, noise = self._library.at(self._frame), config.reset
        self._reference_height_m = torch.where(mask, reference.body_pos_w[:, 0, 2], self._reference_height_m)
        position = reference.body_pos_w[:, 0] + signed(n, 3, scale=noise.pos_m, device=device)
        turn = quat_from_rpy(signed(n, 3, scale=noise.rpy_rad, device=device))
        velocity = torch.cat([reference.body_lin_vel_w[:, 0], reference.body_ang_vel_w[:, 0]], dim=-1)
        velocity = velocity + signed(n, 6, scale=(*noise.lin_vel, *noise.ang_vel), device=device)
        joints = reference.joint_pos_hw + noise.joint_pos_rad * signed(n, 29, device=device)
        joints = torch.maximum(torch.minimum(joints, self._limits[1]), self._limits[0])
        self._simulation.write_state(
            mask,
            position,
            quat_multiply(turn, reference.body_quat_wxyz[:, 0]),
            velocity,
            joints,
            reference.joint_vel_hw,
        )
        self._joint_vel_hw = torch.where(mask[:, None], reference.joint_vel_hw, self._joint_vel_hw)
        return reference

    def _push(self, allowed: Tensor) -> None:
        events = self._config.events
        if not events.push:
            return
        self._push_in_s = self._push_in_s - self.step_s
        due = allowed & (self._push_in_s <= 0.0)
        self._push_in_s = torch.where(due, self._draw_push_interval(), self._push_in_s)
        scale = (*events.push_lin_vel, *events.push_ang_vel)
        self._simulation.add_root_velocity(due, signed(self.num_envs, 6, scale=scale, device=self.device))

    def _draw_push_interval(self) -> Tensor:
        return uniform((self.num_envs,), *self._config.events.push_interval_s, self.device)

    def _observe(self, state: RobotTensors, reference: ReferenceTensors, restart: Tensor) -> Observations:
        sample = self._terms.proprioception(state, self._joint_offset_hw, self._action, self._pol)
        noisy = obs.with_noise(sample, self._config.noise)
        policy = torch.cat([h.push(noisy[name], restart) for name, h in self._histories.policy.items()], dim=-1)
        critic = {name: h.push(sample[name], restart) for name, h in self._histories.critic.items()}
        tokenizer = self._terms.tokenizer(state, reference, self._bits, self._config.noise)
        critic_obs = self._terms.critic(state, reference, critic)
        # A robot whose physics blew up was reset, but what the simulator tells of it may still hold NaN.
        return Observations(
            policy=torch.nan_to_num(policy), tokenizer=torch.nan_to_num(tokenizer), critic=torch.nan_to_num(critic_obs)
        )

    def _log(
        self,
        state: RobotTensors,
        reference: ReferenceTensors,
        terms: dict[str, Tensor],
        broken: dict[str, Tensor],
    ) -> dict[str, Tensor]:
        local = state.body_pos_w - state.body_pos_w[:, :1] - reference.body_pos_w + reference.body_pos_w[:, :1]
        log = {f"reward/{name}": term.mean() for name, term in terms.items()}
        log |= {f"failed/{name}": rule.float().mean() for name, rule in broken.items()}
        log["track/mpjpe_l_mm"] = 1000.0 * local.norm(dim=-1).mean()
        log["track/root_xy_error_m"] = (state.body_pos_w[:, 0] - reference.body_pos_w[:, 0])[:, :2].norm(dim=-1).mean()
        log["physics/overflow"] = self._simulation.overflow()
        return log


def _draw_encoders(count: int, config: TaskConfig, device: str) -> Tensor:
    """Return multi-hot encoder bits (count, 3): g1, teleop, smpl.

    One encoder is drawn by weight. Where it is smpl, g1 reads the row as well, and teleop with a probability, so that
    their latents can be aligned; the last bit set is the one that drives the robot.
    """
    e = config.encoders
    total = e.g1 + e.teleop + e.smpl
    pick = torch.rand(count, device=device) * total
    smpl = pick >= e.g1 + e.teleop
    teleop = (pick >= e.g1) & ~smpl
    also_teleop = smpl & (torch.rand(count, device=device) < e.teleop_when_smpl)
    return torch.stack([(pick < e.g1) | smpl, teleop | also_teleop, smpl], dim=-1).float()
