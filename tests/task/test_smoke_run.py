"""The commands from end to end on the processor: train, go on, export, load in the runtime, evaluate; two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("isaaclab")

from sonic_runtime.config import load_config
from sonic_runtime.infer.onnx_policy import OnnxPolicy
from sonic_train.checkpoint import read_checkpoint
from sonic_train.config import TrainConfig

pytestmark = [pytest.mark.isaac, pytest.mark.slow]
ROOT = Path(__file__).parents[2]


def call(module: str, function: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = f"import sys; from {module} import {function}; sys.exit({function}())"
    return finished([sys.executable, "-c", program, *arguments])


def finished(command: list[str]) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def curve(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("smoke") / "run"
    done = call("sonic_train.cli", "train", "preset=smoke", f"run_dir={folder}")
    assert f"sonic-export {folder / 'last.pt'} FOLDER" in done.stdout
    return folder


def test_a_run_leaves_checkpoints_a_curve_and_its_configuration(run):
    assert {path.name for path in run.iterdir()} == {"last.pt", "weights.pt", "config.yaml", "curve.jsonl"}
    assert [(line["iteration"], line["env_steps"]) for line in curve(run)] == [(1, 16), (2, 32)]
    assert all(line["track/mpjpe_l_mm"] > 0 and line["rollout/broken_rows"] == 0 for line in curve(run))
    saved = load_config("config", [], TrainConfig, folder=run)
    assert saved == load_config("train", ["preset=smoke", f"run_dir={run}"], TrainConfig)
    last, weights = (read_checkpoint(run / name) for name in ("last.pt", "weights.pt"))
    assert (last["kind"], weights["kind"]) == ("full", "weights")
    assert last["iteration"] == weights["iteration"] == 2
    assert last["rates"] == {"action_clip": 20.0, "control_hz": 50.0, "physics_hz": 200.0}


def test_a_checkpoint_goes_on_and_becomes_a_policy_that_runs(run, tmp_path):
    more, policy, results = tmp_path / "more", tmp_path / "policy", tmp_path / "results"
    call(
        "sonic_train.cli", "train", "preset=smoke", "motions=[stand_sway]", "iterations=3",
        f"checkpoint={run / 'last.pt'}", f"run_dir={more}",
    )  # fmt: skip
    assert [(line["iteration"], line["env_steps"]) for line in curve(more)] == [(3, 48)]
    done = call("sonic_train.cli", "export", str(more / "weights.pt"), str(policy))
    assert "4 recorded observations" in done.stdout
    assert OnnxPolicy(policy).encoder.training_revision.endswith("iteration 3")
    done = call(
        "sonic_runtime.cli", "sim2sim", f"policy={policy}", "motions=[stand_sway]", f"run_dir={results}", "pictures=0"
    )
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["clips"] == 1
    assert result["mpjpe_l_mm"] > 0


def test_two_processes_train_together_and_one_tells(tmp_path):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "sonic_train"]
    options = ["preset=smoke", "motions=[stand_sway]", f"run_dir={tmp_path / 'run'}"]
    done = finished([sys.executable, *launcher, *options])
    assert done.stdout.count("sonic-export") == 1
    assert [line["env_steps"] for line in curve(tmp_path / "run")] == [32, 64]
    assert len(read_checkpoint(tmp_path / "run" / "last.pt")["random_states"]) == 2
