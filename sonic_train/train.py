"""A training run from configuration to checkpoints: `sonic-train`."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import msgspec
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from tqdm import tqdm

from sonic_runtime.config import make_run_folder, save_config
from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.motions.clip import Clip
from sonic_runtime.motions.sources import find_clips
from sonic_train.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint, save_weights_only
from sonic_train.config import TrainConfig
from sonic_train.env.simulation import TrackingSimulation
from sonic_train.env.tracking_env import TrackingEnv
from sonic_train.iterate import IterationReport, TrainRun, build_accelerator, build_run, train_iteration
from sonic_train.motions.library import MotionLibrary
from sonic_train.ranks import rank_count, sum_over_ranks

_SHOWN = {
    "reward": "episode/return",
    "steps": "episode/length",
    "mpjpe_l": "track/mpjpe_l_mm",
    "xy": "track/root_xy_error_m",
    "std": "policy/std",
    "lr": "ppo/learning_rate",
    "fps": "time/steps_per_s",
}
"""What the progress bar shows, by the names of the report."""


def run_training(config: TrainConfig) -> Path | None:
    """Train, and return the run folder in the main process, None in the others.

    What can be wrong with device, motions, checkpoint and run folder is found before the first iteration, and such a
    run leaves nothing behind. The last checkpoint, `last.pt`, and the weights alone, `weights.pt`, are written every
    `save_every` iterations and at the end; a run of one process that is interrupted or fails writes `last.pt` too, as
    long as the model is sound.

    Raises:
        SonicError: for motions, checkpoints or configuration that cannot be used.
    """
    started = time.monotonic()
    accelerator = build_accelerator(cpu=config.device == "cpu")
    _check_device(config, accelerator)
    run = _build(config, accelerator)
    run_dir = _start_folder(config) if accelerator.is_main_process else Path()
    deadline = started + 60.0 * config.max_minutes if config.max_minutes > 0.0 else float("inf")
    with CurveWriter(run_dir, config, accelerator) as curve:
        try:
            _iterate(run, config, run_dir, curve, deadline)
        except BaseException:
            # Also on the way out of an interrupt or an error. With several processes the others may be gone, and a
            # checkpoint needs them all: then the last periodic one stands.
            if rank_count() == 1 and _is_finite(run):
                save_checkpoint(run, run_dir / "last.pt")
            raise
    save_checkpoint(run, run_dir / "last.pt")
    save_weights_only(run, run_dir / "weights.pt")
    return run_dir if accelerator.is_main_process else None


def _build(config: TrainConfig, accelerator: Accelerator) -> TrainRun:
    # first what takes no time to find wrong
    checkpoint = find_checkpoint(config.checkpoint) if config.checkpoint else None
    clips = load_clips(config.motions, config.clips_per_kind)
    # accelerate numbers processors too ("cpu:0") and may leave the number of a GPU out; the simulator wants neither
    device = "cpu" if accelerator.device.type == "cpu" else f"cuda:{accelerator.device.index or 0}"
    # Before the robots are built: their friction, masses and joint errors are drawn then, differently on each rank.
    set_seed(config.ppo.seed + accelerator.process_index)
    simulation = TrackingSimulation(config.num_envs, device, config.task.simulation)
    env = TrackingEnv(MotionLibrary(clips, device), simulation, config.task)
    run = build_run(env, config.networks, config.ppo, accelerator, revision())
    if checkpoint is not None:
        load_checkpoint(run, checkpoint)
    return run


def _start_folder(config: TrainConfig) -> Path:
    """Make the run folder with the configuration in it."""
    run_dir = make_run_folder(config.run_dir)
    try:
        save_config(config, run_dir)
    except OSError as error:
        raise ConfigError(f"run_dir={config.run_dir}: cannot write to {run_dir} ({error.strerror})") from error
    return run_dir


def _iterate(run: TrainRun, config: TrainConfig, run_dir: Path, curve: CurveWriter, deadline: float) -> None:
    while run.iteration < config.iterations and not _out_of_time(run, deadline):
        report = train_iteration(run)
        curve.add(report)
        if report.iteration % config.save_every == 0:
            save_checkpoint(run, run_dir / "last.pt")
            save_weights_only(run, run_dir / "weights.pt")
        if report.iteration % config.keep_every == 0:
            save_checkpoint(run, run_dir / f"model_step_{report.iteration:06d}.pt")


def _out_of_time(run: TrainRun, deadline: float) -> bool:
    """Return whether any process is past the deadline; all must stop after the same iteration."""
    late = torch.tensor(float(time.monotonic() >= deadline), device=run.learner.accelerator.device)
    return bool(sum_over_ranks(late) > 0)


def _is_finite(run: TrainRun) -> bool:
    return all(bool(torch.isfinite(value).all()) for value in run.model.parameters())


def load_clips(motions: tuple[str, ...], clips_per_kind: int | None = None) -> list[Clip]:
    """Read reference motions.

    Args:
        motions: files, folders, kinds of procedural motion; `procedural` stands for the whole built-in library.
        clips_per_kind: size of the built-in library, None for the whole.

    Raises:
        MotionError: naming the file that cannot be read.
        ConfigError: procedural motions are asked for and their inverse kinematics is not installed.
    """
    try:
        return [clip for source in motions for clip in find_clips(source, clips_per_kind=clips_per_kind)]
    except ModuleNotFoundError as error:
        if error.name != "mink":
            raise
        raise ConfigError(
            f"motions={','.join(motions)}: procedural motions need the package mink, which is not installed: "
            "pip install mink; or give files and folders alone"
        ) from error


def revision() -> str:
    """Return the commit that is checked out beside this file, with `+` where it was changed, or `unknown`."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


class CurveWriter:
    """The learning curve: a progress bar, `curve.jsonl`, and TensorBoard where asked for. Main process only.

    Args:
        run_dir: where the files go.
        config: the run.
        accelerator: tells which process this is.
    """

    def __init__(self, run_dir: Path, config: TrainConfig, accelerator: Accelerator) -> None:
        self._active = accelerator.is_main_process
        self._bar = tqdm(total=config.iterations, unit="it", disable=not self._active, dynamic_ncols=True)
        self._file = (run_dir / "curve.jsonl").open("a") if self._active else None
        self._board = None
        if self._active and config.tensorboard:
            from torch.utils.tensorboard.writer import SummaryWriter

            self._board = SummaryWriter(str(run_dir))

    def __enter__(self) -> CurveWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        if self._file is not None:
            self._file.close()
        if self._board is not None:
            self._board.close()

    def add(self, report: IterationReport) -> None:
        """Take the report of one iteration."""
        if not self._active:
            return
        line = {"iteration": report.iteration, "env_steps": report.env_steps, **_rounded(report.values)}
        if self._file is not None:
            self._file.write(msgspec.json.encode(line).decode() + "\n")
            self._file.flush()
        if self._board is not None:
            for name, value in report.values.items():
                self._board.add_scalar(name, value, report.env_steps)
        self._bar.n = report.iteration
        shown = {short: f"{report.values[name]:.4g}" for short, name in _SHOWN.items() if name in report.values}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(0)


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.6g}") for name, value in values.items()}


def _check_device(config: TrainConfig, accelerator: Accelerator) -> None:
    if config.device == "cuda" and accelerator.device.type != "cuda":
        raise ConfigError(f"device=cuda: torch {torch.__version__} sees no CUDA device here; give device=cpu")
