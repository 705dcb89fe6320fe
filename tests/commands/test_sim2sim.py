"""sonic-sim2sim and the evaluation behind it, with a policy of random weights."""

import csv
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from sonic_runtime import sim2sim
from sonic_runtime.config import load_config
from sonic_runtime.contract.errors import ConfigError, MotionError
from sonic_runtime.evaluate import Evaluator, evaluate
from sonic_runtime.motions.clip import save_clip
from sonic_runtime.sim2sim import Sim2SimConfig, motions_as_list
from tests.fakes.random_policy import write_random_policy
from tests.teleop.clips import turning_clip


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return write_random_policy(tmp_path_factory.mktemp("policy"), encoder_hidden=(32,), decoder_hidden=(32,))


@pytest.fixture
def guard():
    return load_config("sim2sim", [], Sim2SimConfig).guard


def test_robot_starts_on_the_first_frame_with_its_velocity(policy, guard):
    clip = turning_clip(80)
    evaluation = Evaluator(str(policy), guard).run(clip, "g1")
    recording = evaluation.recording
    assert len(recording) == 80
    np.testing.assert_allclose(recording.robot.pos_w[0], clip.body_pos_w[0], atol=1e-6)
    np.testing.assert_allclose(recording.joint_pos_hw[0], clip.joint_pos_hw[0])
    # the clip begins at 0.3 m/s; a robot put there at rest would not be moving on after one tick
    velocity = (recording.robot.pos_w[1, 0] - recording.robot.pos_w[0, 0]) * 50
    np.testing.assert_allclose(velocity[:2], clip.body_lin_vel_w[0, 0, :2], atol=0.05)
    assert recording.frame_index.tolist() == list(range(80))


@pytest.mark.parametrize("encoder", ["g1", "teleop", "smpl"])
def test_same_clip_twice_gives_the_same_run(policy, guard, encoder):
    evaluator = Evaluator(str(policy), guard)
    clips = [turning_clip(60), turning_clip(40, -0.3), turning_clip(60)]
    runs = [evaluator.run(clip, encoder) for clip in clips]
    np.testing.assert_array_equal(runs[0].recording.joint_pos_hw, runs[2].recording.joint_pos_hw)
    assert runs[0].result == runs[2].result


def test_fallen_robot_is_run_on_and_judged_by_the_rule_alone(policy, guard):
    result = Evaluator(str(policy), guard).run(turning_clip(200), "g1").result
    assert not result.success
    assert result.failure in {"anchor_height", "anchor_orientation", "end_effector_height"}


def test_processes_give_the_same_results_in_the_same_order(policy, guard):
    clips = [turning_clip(40), turning_clip(50, 0.1)]
    alone = [e.result for e in evaluate(clips, str(policy), "g1", guard, workers=1)]
    together = [e.result for e in evaluate(clips, str(policy), "g1", guard, workers=2)]
    assert alone == together


def test_command_prints_rows_and_one_json_line_and_writes_the_folder(policy, tmp_path, capsys):
    (tmp_path / "clips").mkdir()
    for i, turn in enumerate((0.1, 0.5)):
        save_clip(turning_clip(60, turn), tmp_path / "clips" / f"turn{i}.npz")
    run_dir = tmp_path / "run"
    arguments = [f"policy={policy}", f"motions={tmp_path / 'clips'}", f"run_dir={run_dir}", "pictures=1"]
    assert sim2sim.main(arguments) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    line = json.loads(lines[-1])
    keys = ["clips", "success_rate", "mpjpe_l_mm", "mpjpe_g_mm", "root_xy_error_m", "speed_x_real_time"]
    assert list(line)[:6] == keys
    assert (line["clips"], line["encoder"]) == (2, "g1")
    assert sum(row.startswith("turn") for row in lines) == 2
    assert {p.name for p in run_dir.iterdir()} == {"config.yaml", "results.json", "clips.csv", "report.html"}
    results = json.loads((run_dir / "results.json").read_text())
    assert results["success_rate"] == line["success_rate"]
    with (run_dir / "clips.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["mpjpe_l_mm"]) for row in rows] == [clip["mpjpe_l_mm"] for clip in results["per_clip"]]


def test_wrong_arguments_are_named(policy, tmp_path):
    with pytest.raises(MotionError, match=r"no_such.* expected a motion file, a folder of them, or one of procedural"):
        sim2sim.main([f"policy={policy}", "motions=no_such"])
    with pytest.raises(ConfigError, match="policy=missing"):
        sim2sim.main(["policy=missing", "motions=no_such"])
    with pytest.raises(ConfigError, match="encoder"):
        sim2sim.main([f"policy={policy}", "encoder=g2"])
    with pytest.raises(ConfigError, match="expected files, folders or procedural"):
        sim2sim.main([f"policy={policy}", "motions="])


@pytest.mark.parametrize(
    ("argument", "items"),
    [
        ("motions=procedural", ["procedural"]),
        ("motions=a,b/c d.npz", ["a", "b/c d.npz"]),
        ("motions=it's=1", ["it's=1"]),
        ("motions=[a,b]", ["a", "b"]),
    ],
)
def test_motions_take_paths_as_a_shell_writes_them(argument, items):
    config = load_config("sim2sim", [motions_as_list(argument)], Sim2SimConfig)
    assert list(config.motions) == items


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_all_processes_without_tracebacks(policy, tmp_path, workers):
    motion = tmp_path / "turn.npz"
    save_clip(turning_clip(1500), motion)
    code = "import sys; from sonic_runtime import cli; sys.argv[0] = 'sonic-sim2sim'; sys.exit(cli.sim2sim())"
    motions = ",".join([str(motion)] * 100)
    process = subprocess.Popen(
        [sys.executable, "-c", code, f"policy={policy}", f"motions={motions}", f"workers={workers}", "pictures=0",
         f"run_dir={tmp_path}/r"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, bufsize=1,
    )  # fmt: skip
    assert process.stdout is not None
    # the header, and the first row: all processes are at work
    header, row = process.stdout.readline(), process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (header.split()[0], row.split()[0]) == ("clip", "turning")
    assert process.returncode == 130
    assert err.strip() == "sonic-sim2sim: interrupted"
    assert not (tmp_path / "r" / "results.json").exists()
