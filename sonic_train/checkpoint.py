"""Checkpoints: everything a run goes on from, in one file that is safe to load (tensors and plain values only)."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import msgspec
import torch
import torch.distributed as dist
from torch import Tensor

from sonic_runtime.contract.errors import SonicError
from sonic_train.iterate import TrainRun
from sonic_train.networks.actor_critic import ActorCritic
from sonic_train.networks.config import NetworkConfig
from sonic_train.ranks import rank_count

FORMAT_VERSION = 1
"""Raised when a field changes its meaning."""

_RANK_SEED_STRIDE = 1000
"""Keeps seeds of ranks apart that had no state in the checkpoint."""

PACKAGED = {"default": Path(__file__).parent / "checkpoints" / "default.pt"}
"""Checkpoints that go by a name: the weights behind the shipped policy."""

_STORED_IN_16_BITS = (torch.bfloat16, torch.float16)
"""bfloat16: the critic of weights-only checkpoints; float16: the layers of shipped ones (`sonic_train.shipping`)."""

_SAMPLE_ROWS = 32
"""Recorded observations that travel with a checkpoint (0.3 MB)."""


class CheckpointError(SonicError):
    """A checkpoint is missing, damaged, or does not fit the run."""


def find_checkpoint(name: str) -> Path:
    """Return the file of a checkpoint.

    Args:
        name: one of `PACKAGED`, or a path.

    Raises:
        CheckpointError: there is no such file.
    """
    path = PACKAGED.get(name, Path(name).expanduser())
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        names = ", ".join(PACKAGED)
        raise CheckpointError(f"{path}: expected a checkpoint file here (or one of the names {names}), found {found}")
    return path


def save_checkpoint(run: TrainRun, path: Path | str) -> None:
    """Write everything the run goes on from; all processes must call it, the first one writes.

    The file appears whole or not at all.

    Args:
        run: between two iterations.
        path: file to write; its folder is made.
    """
    random_states = _gather_random_states()
    content = _head(run, "full") | {
        "model": run.model.state_dict(),
        "optimizer": run.learner.optimizer.optimizer.state_dict(),
        "random_states": random_states,
    }
    if run.learner.accelerator.is_main_process:
        write_content(content, Path(path))


def save_weights_only(run: TrainRun, path: Path | str) -> None:
    """Write the model and the counts of the sampler, for keeping and shipping: a third of a full checkpoint.

    Actor and normalisers keep full precision; the critic, which nobody exports, is stored as bfloat16. Training can go
    on from it with fresh optimiser moments, which the adaptive learning rate absorbs within an iteration or two. The
    small preset takes 18 MB.

    Args:
        run: between two iterations.
        path: file to write.
    """
    model = {name: _compact(name, value) for name, value in run.model.state_dict().items()}
    if run.learner.accelerator.is_main_process:
        write_content(_head(run, "weights") | {"model": model}, Path(path))


def load_checkpoint(run: TrainRun, path: Path | str) -> None:
    """Put a run where a checkpoint, full or weights only, was written.

    Weights, action noise, normalisers, counters and the environment's state come from either kind; optimiser and
    random states from a full one. Options of the learner are those of the run, not of the file; the learning rate is
    the file's where it adapts, within the bounds of the run. The next iteration starts with a reset of the environment.

    Raises:
        CheckpointError: the file is missing or damaged, or its tensors are not those of the run; all that differ are
            listed. The run is then unchanged.
    """
    content = read_checkpoint(path)
    state = _full_precision(content["model"])
    problems = tensor_differences(state, run.model.state_dict())
    if problems:
        listed = "\n  ".join(problems)
        raise CheckpointError(
            f"{path}: {len(problems)} tensors differ from this run's networks; train with the network "
            f"configuration of the checkpoint:\n  {listed}"
        )
    run.model.load_state_dict(state)
    run.iteration, run.env_steps = content["iteration"], content["env_steps"]
    run.observations = None
    if content["kind"] == "full":
        run.learner.optimizer.optimizer.load_state_dict(content["optimizer"])
        run.learner.place_learning_rates()
        _restore_random_state(content["random_states"], run)
    if "env_state" in content:
        run.env.load_state_dict(content["env_state"])
    run.learner.resume_learning_rate(content["learning_rate"])


def load_model(path: Path | str) -> tuple[ActorCritic, dict[str, Any]]:
    """Build the model of a checkpoint on the CPU, for evaluation and export.

    Returns:
        The model in eval mode, and the content of the checkpoint.

    Raises:
        CheckpointError: as `load_checkpoint`, or its network configuration is not understood.
    """
    content = read_checkpoint(path)
    try:
        config = msgspec.convert(content["networks"], NetworkConfig)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{path}: network configuration of the checkpoint: {error}") from error
    model = ActorCritic(config)
    state = _full_precision(content["model"])
    problems = tensor_differences(state, model.state_dict())
    if problems:
        raise CheckpointError(f"{path}: tensors differ from its own configuration:\n  " + "\n  ".join(problems))
    model.load_state_dict(state)
    return model.eval(), content


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """Read a checkpoint without building anything.

    Raises:
        CheckpointError: the file is missing, is no checkpoint, or has another format version.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: expected a checkpoint here, found nothing")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, OSError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{path}: not a readable checkpoint ({reason}); it may be truncated") from error
    if not isinstance(content, dict) or "format_version" not in content:
        raise CheckpointError(f"{path}: expected a checkpoint of this trainer, found another torch file")
    if content["format_version"] != FORMAT_VERSION:
        raise CheckpointError(f"{path}: expected format version {FORMAT_VERSION}, found {content['format_version']}")
    return content


def write_content(content: dict[str, Any], path: Path) -> None:
    """Write what `read_checkpoint` reads; the file appears whole or not at all, and its folder is made.

    Args:
        content: plain values and tensors.
        path: file to write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def tensor_differences(found: dict[str, Tensor], expected: dict[str, Tensor]) -> list[str]:
    """Return one text for each tensor that is missing, unknown, or of another shape."""
    problems = [
        f"{name}: expected {tuple(value.shape)}, found none" for name, value in expected.items() if name not in found
    ]
    problems += [
        f"{name}: {tuple(value.shape)} is unknown here" for name, value in found.items() if name not in expected
    ]
    problems += [
        f"{name}: expected {tuple(expected[name].shape)}, found {tuple(value.shape)}"
        for name, value in found.items()
        if name in expected and expected[name].shape != value.shape
    ]
    return problems


def _head(run: TrainRun, kind: str) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "iteration": run.iteration,
        "env_steps": run.env_steps,
        "learning_rate": float(run.learner.learning_rate),
        "revision": run.revision,
        "networks": msgspec.to_builtins(run.model.config),
        "ppo": msgspec.to_builtins(run.config),
        "rates": run.env.rates,
        "samples": _recorded_samples(run),
        "env_state": run.env.state_dict(),
    }


def _recorded_samples(run: TrainRun) -> dict[str, Tensor]:
    """Return observations of the last step of the last rollout, for the check and the golden vectors of an export.

    Empty where no rollout was collected since the run started or was loaded.
    """
    if run.observations is None:
        return {}
    names = ("policy", "tokenizer")
    return {name: getattr(run.storage, name)[-1, :_SAMPLE_ROWS].cpu().clone() for name in names}


def _full_precision(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the state with tensors that were stored in 16 bits as float32, and all others as they are."""
    return {name: value.float() if value.dtype in _STORED_IN_16_BITS else value for name, value in state.items()}


def _compact(name: str, value: Tensor) -> Tensor:
    return value.to(torch.bfloat16) if name.startswith("critic.") else value


def _gather_random_states() -> list[dict[str, Tensor]]:
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    if rank_count() == 1:
        return [state]
    states: list[Any] = [None] * rank_count()
    dist.all_gather_object(states, state)
    return states


def _restore_random_state(states: list[dict[str, Tensor]], run: TrainRun) -> None:
    rank = run.learner.accelerator.process_index
    if rank >= len(states):
        torch.manual_seed(run.config.seed + rank + _RANK_SEED_STRIDE * (run.iteration + 1))
        return
    torch.set_rng_state(states[rank]["cpu"])
    if torch.cuda.is_available() and "cuda" in states[rank]:
        torch.cuda.set_rng_state(states[rank]["cuda"])
