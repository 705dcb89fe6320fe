"""One training iteration, and what a run is made of."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, set_seed

from sonic_train.networks.actor_critic import ActorCritic
from sonic_train.networks.config import NetworkConfig
from sonic_train.observation_batch import Observations, TrainingEnv
from sonic_train.ppo.collect import collect
from sonic_train.ppo.config import PPOConfig
from sonic_train.ppo.returns import compute_returns
from sonic_train.ppo.statistics import RunStatistics
from sonic_train.ppo.storage import RolloutStorage
from sonic_train.ppo.update import Learner, update
from sonic_train.ranks import rank_count


@dataclass(slots=True)
class TrainRun:
    """Everything that lives through a training run; built by `build_run`, moved on by `train_iteration`.

    Attributes:
        env: the environments of this process.
        model: the bare model (never the wrapper of a distributed run).
        learner: optimiser and accelerator.
        storage: memory of one rollout.
        statistics: sums on the device since the last report.
        config: options of the learner.
        iteration: number of finished iterations.
        env_steps: control steps taken so far, over all environments and processes.
        observations: to go on from; None until the first rollout is whole, and after a checkpoint was loaded.
        revision: what the code of the run was, for checkpoints and exports.
    """

    env: TrainingEnv
    model: ActorCritic
    learner: Learner
    storage: RolloutStorage
    statistics: RunStatistics
    config: PPOConfig
    iteration: int = 0
    env_steps: int = 0
    observations: Observations | None = None
    revision: str = ""


@dataclass(frozen=True, slots=True)
class IterationReport:
    """What one iteration did.

    Attributes:
        iteration: number of finished iterations.
        env_steps: control steps so far, over all environments and processes.
        values: means over the iteration by name, such as "episode/return" and "ppo/kl"; quantities without a sample
            are absent. "time/collect_s", "time/update_s" and "time/steps_per_s" are those of this process.
    """

    iteration: int
    env_steps: int
    values: dict[str, float] = field(default_factory=dict)


def build_run(
    env: TrainingEnv,
    networks: NetworkConfig,
    ppo: PPOConfig,
    accelerator: Accelerator | None = None,
    revision: str = "",
) -> TrainRun:
    """Build a run with fresh weights.

    Args:
        env: the environments of this process, on the accelerator's device.
        networks: sizes.
        ppo: options of the learner.
        accelerator: from `build_accelerator`, which is called where none is given.
        revision: what the code of the run is.
    """
    accelerator = accelerator or build_accelerator()
    torch.set_float32_matmul_precision("high" if ppo.matmul == "tf32" else "highest")
    # the same weights on all ranks, then different noise
    set_seed(ppo.seed)
    model = ActorCritic(networks)
    learner = Learner(model, ppo, accelerator)
    set_seed(ppo.seed + accelerator.process_index)
    return TrainRun(
        env=env,
        model=model,
        learner=learner,
        storage=RolloutStorage(ppo.steps_per_env, env.num_envs, networks, accelerator.device),
        statistics=RunStatistics(env.num_envs, accelerator.device),
        config=ppo,
        revision=revision,
    )


def build_accelerator(cpu: bool = False) -> Accelerator:
    """Return the accelerator of this process; call it before the simulator picks its device.

    Buffers are not broadcast: the normalisers keep equal statistics on all ranks by themselves.
    """
    handler = DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True)
    return Accelerator(cpu=cpu, mixed_precision="no", kwargs_handlers=[handler])


def train_iteration(run: TrainRun) -> IterationReport:
    """Do one iteration: collect a rollout, compute returns, update, refresh what the next rollout reads, report.

    Observation statistics change after the update, so that rollout and update see the same ones.
    """
    clock = StageClock(run.learner.accelerator.device)
    start = run.observations or _first_observations(run)
    run.observations = collect(run.env, run.model, start, run.storage, run.statistics)
    clock.mark("time/collect_s")
    compute_returns(run.storage, run.config.gamma, run.config.lam)
    update(run.learner, run.storage, run.statistics)
    run.model.update_normalizers(run.storage.policy, run.storage.tokenizer, run.storage.critic)
    run.env.end_iteration()
    clock.mark("time/update_s")
    steps = run.storage.steps * run.storage.num_envs * rank_count()
    run.iteration += 1
    run.env_steps += steps
    values = run.statistics.read() | clock.read()
    values["time/steps_per_s"] = steps / (values["time/collect_s"] + values["time/update_s"])
    return IterationReport(run.iteration, run.env_steps, values)


def _first_observations(run: TrainRun) -> Observations:
    run.statistics.restart_episodes()
    return run.env.reset()


class StageClock:
    """Times of the stages of an iteration, on the device where it has its own time line."""

    def __init__(self, device: torch.device) -> None:
        self._events = device.type == "cuda"
        self._marks: list[tuple[str, torch.cuda.Event | float]] = []
        self.mark("")

    def mark(self, name: str) -> None:
        """End a stage."""
        if not self._events:
            self._marks.append((name, time.perf_counter()))
            return
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self._marks.append((name, event))

    def read(self) -> dict[str, float]:
        """Return seconds by stage; waits for the last mark."""
        if self._events:
            torch.cuda.synchronize()
        found: dict[str, float] = {}
        for (_, start), (name, end) in zip(self._marks, self._marks[1:], strict=False):
            if isinstance(start, float) and isinstance(end, float):
                found[name] = end - start
            elif isinstance(start, torch.cuda.Event) and isinstance(end, torch.cuda.Event):
                found[name] = start.elapsed_time(end) / 1e3
        return found
