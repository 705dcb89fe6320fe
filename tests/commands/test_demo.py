"""sonic-demo as a whole, with a policy of random weights, which falls."""

import importlib.util
import json
import os
import subprocess

import pytest

from sonic_runtime import demo
from sonic_runtime.contract.errors import ConfigError, RobotError
from sonic_runtime.motions.clip import save_clip
from tests.fakes.random_policy import write_random_policy
from tests.teleop.clips import turning_clip


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return write_random_policy(tmp_path_factory.mktemp("policy"), encoder_hidden=(32,), decoder_hidden=(32,))


@pytest.fixture
def motion(tmp_path):
    save_clip(turning_clip(100), tmp_path / "turning.npz")
    return tmp_path / "turning.npz"


def senders() -> str:
    """Return the children of this process, one line each."""
    listed = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True, check=False
    )
    return "\n".join(line for line in listed.stdout.splitlines() if "stream_command" in line)


def test_chain_runs_and_leaves_report_and_json_and_no_process(policy, motion, tmp_path, capsys):
    run_dir = tmp_path / "run"
    code = demo.main([f"policy={policy}", f"motion={motion}", "duration_s=1.2", f"run_dir={run_dir}", "video=false"])
    lines = capsys.readouterr().out.strip().splitlines()
    line = json.loads(lines[-1])
    assert list(line)[:7] == [
        "survived", "mpjpe_l_mm", "root_xy_error_m", "tick_p50_ms", "tick_p99_ms", "deadline_misses", "stream_gaps",
    ]  # fmt: skip
    assert code == (0 if line["survived"] else 1)
    assert line["tracked_s"] > 0.5
    assert line["tick_p50_ms"] < 20
    assert {"report.html", "summary.json", "config.yaml", "motion.npz"} == {p.name for p in run_dir.iterdir()}
    report = (run_dir / "report.html").read_text()
    assert report.count("data:image/png") == 6
    assert "no video: video=false" in report
    assert senders() == ""


def test_dead_sender_is_named_with_its_last_words(policy, motion, monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "_LEAD_IN_S", -1.0)
    with pytest.raises(RobotError, match=r"sender: it ended with exit code 2; it said: .*lead_in_s"):
        demo.main([f"policy={policy}", f"motion={motion}", f"run_dir={tmp_path / 'run'}"])
    assert senders() == ""


@pytest.mark.skipif(importlib.util.find_spec("viser") is not None, reason="viser is installed")
def test_view_without_viser_names_the_extra(policy, motion, tmp_path):
    with pytest.raises(ConfigError, match=r"pip install 'sonic-wbc\[view\]'"):
        demo.main([f"policy={policy}", f"motion={motion}", "view=true", f"run_dir={tmp_path / 'run'}"])
