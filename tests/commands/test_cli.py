import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import zmq

from sonic_runtime import cli
from sonic_runtime.command_line import run_command
from sonic_runtime.contract.errors import ConfigError, RecordingError
from sonic_runtime.record.recorder import McapRecorder
from tests.fakes.random_policy import write_random_policy


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return write_random_policy(
        tmp_path_factory.mktemp("p") / "policy", action_gain=0.0, encoder_hidden=(16,), decoder_hidden=(16,)
    )


def call(monkeypatch, command, *arguments):
    monkeypatch.setattr(sys, "argv", [f"sonic-{command}", *map(str, arguments)])
    return getattr(cli, command)()


def test_a_mistake_is_one_line_on_stderr_and_exit_code_2(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/sonic-thing"])

    def command(arguments):
        raise ConfigError(f"bad {arguments}")

    assert run_command(command, ["a"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "sonic-thing: bad ['a']\n"
    assert captured.out == ""


def test_a_bug_keeps_its_traceback():
    def command(arguments):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command(command, [])


def test_an_exit_code_is_passed_on():
    assert run_command(lambda arguments: None, []) == 0
    assert run_command(lambda arguments: 1, []) == 1


@pytest.mark.parametrize("words", [["run"], ["bench", "tick"], ["bench", "loop"]], ids=" ".join)
def test_help_shows_keys_and_defaults(monkeypatch, capsys, words):
    assert call(monkeypatch, *words, "--help") == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: sonic-{' '.join(words)}")
    assert "policy=default" in out
    assert "guard.tilt_rad=1.2" in out


def test_bench_ends_with_one_line_of_json(monkeypatch, capsys, policy):
    assert call(monkeypatch, "bench", "tick", f"policy={policy}", "ticks=60", "warm_up_ticks=5") == 0
    lines = capsys.readouterr().out.splitlines()
    result = json.loads(lines[-1])
    assert result["ticks"] == 60
    assert result["tick_p99_ms"] >= result["tick_p50_ms"] > 0
    assert set(result["stages"]) == {"sense", "command", "decide", "act", "guard", "write"}
    assert result["tick_p50_ms"] >= max(s["p50_ms"] for s in result["stages"].values())
    assert lines[0].split() == ["stage", "p50", "ms", "p99", "ms", "max", "ms"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["tock"], "one of: tick, loop, writer"),
        ([], "got nothing"),
        (["tick", "ticks=0"], "ticks: expected int >= 1, found 0"),
        (["tick", "policy=/nowhere"], "there is no folder /nowhere"),
    ],
)
def test_bench_refuses_plainly(monkeypatch, capsys, arguments, expected):
    assert call(monkeypatch, "bench", *arguments) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("robot=atlas", "robot=atlas: expected one of mujoco"),
        ("clock=sundial", "clock: expected one of real_time, lockstep, found sundial"),
        ("goals.source=carrier_pigeon", "expected one of stream, planner, motion, stand"),
        ("goals.endpoint=nonsense", "nonsense"),
        ("duration_s=-1", "duration_s: expected float > 0.0, found -1"),
        ("output.endpoint=nonsense", "nonsense"),
        ("clock=lockstep", "expected real_time for goals.source=stream"),
        (("clock=lockstep", "goals.source=planner"), "expected real_time for goals.source=planner"),
        ("run_dir=/dev/null/r", "cannot create the folder /dev/null/r"),
    ],
)
def test_run_refuses_plainly_and_writes_nothing(monkeypatch, capsys, tmp_path, policy, override, expected):
    monkeypatch.chdir(tmp_path)
    overrides = (override,) if isinstance(override, str) else override
    arguments = [f"policy={policy}", "output.endpoint=null", *overrides]
    assert call(monkeypatch, "run", *arguments) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_a_busy_port_is_named(monkeypatch, capsys, tmp_path, policy):
    monkeypatch.chdir(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        endpoint = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        assert call(monkeypatch, "run", f"policy={policy}", f"output.endpoint={endpoint}") == 2
    error = capsys.readouterr().err
    assert endpoint in error
    assert "in use" in error
    assert list(tmp_path.iterdir()) == []


def test_run_in_lockstep_reports_and_keeps_its_configuration(monkeypatch, capsys, tmp_path, policy):
    arguments = [
        f"policy={policy}", "clock=lockstep", "goals.source=stand", "duration_s=0.4", "output.endpoint=null",
        f"run_dir={tmp_path}/r",
    ]  # fmt: skip
    assert call(monkeypatch, "run", *arguments) == 0
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["active_ticks"] == 20
    assert summary["stop_reason"] == "duration"
    assert "source: stand" in (tmp_path / "r" / "config.yaml").read_text()


def test_a_recording_whose_end_cannot_be_written_takes_no_summary_with_it(monkeypatch, capsys, tmp_path, policy):
    def full(recorder, word, timeout_s):
        if word == "ended":
            raise RecordingError("the disk is full")
        expect(recorder, word, timeout_s)

    expect = McapRecorder._expect
    monkeypatch.setattr(McapRecorder, "_expect", full)
    arguments = [
        f"policy={policy}", "clock=lockstep", "goals.source=stand", "duration_s=0.2", "output.endpoint=null",
        f"run_dir={tmp_path}/r", "record.mcap=true",
    ]  # fmt: skip
    assert call(monkeypatch, "run", *arguments) == 2
    assert "the disk is full" in capsys.readouterr().err
    assert json.loads((tmp_path / "r" / "summary.json").read_text())["active_ticks"] == 10


def test_an_encoder_that_the_policy_lacks_is_refused_before_the_run(monkeypatch, capsys, tmp_path, policy):
    arguments = [f"policy={policy}", "goals.source=motion", "goals.motion=walk", "goals.encoder=g2"]
    assert call(monkeypatch, "run", *arguments, f"run_dir={tmp_path}/r") == 2
    error = capsys.readouterr().err
    assert "the encoder 'g2' of the policy can read, found data for the policy's encoders: g1" in error
    assert not (tmp_path / "r").exists()


def test_what_a_stream_brought_is_told(monkeypatch, capsys, tmp_path, policy):
    with zmq.Context() as context, context.socket(zmq.PUB) as foreign:
        foreign.set(zmq.LINGER, 0)
        port = foreign.bind_to_random_port("tcp://127.0.0.1")
        stop = threading.Event()

        def send_garbage():
            while not stop.wait(0.01):
                foreign.send(b"pose and nothing more")

        sender = threading.Thread(target=send_garbage)
        sender.start()
        arguments = [f"goals.endpoint=tcp://127.0.0.1:{port}", "duration_s=0.5", "output.endpoint=null"]
        assert call(monkeypatch, "run", f"policy={policy}", f"run_dir={tmp_path}/r", *arguments) == 0
        stop.set()
        sender.join()
    stream = json.loads((tmp_path / "r" / "summary.json").read_text())["stream"]
    assert stream["received"] == stream["rejected"] > 5
    assert "expected at least 1284 bytes" in stream["last_rejection"]
    assert (stream["gaps"], stream["holds"], stream["resets"]) == (0, 0, {})
    assert f"{stream['rejected']} rejected (the last: " in capsys.readouterr().out


def test_a_fault_is_told_and_is_no_success(monkeypatch, capsys, tmp_path, policy):
    arguments = [
        f"policy={policy}", "clock=lockstep", "goals.source=stand", "duration_s=20", "output.endpoint=null",
        f"run_dir={tmp_path}/r",
    ]  # fmt: skip
    # a robot held by motor stiffness alone topples within seconds
    assert call(monkeypatch, "run", *arguments) == 1
    assert "fault tilt" in capsys.readouterr().err


def test_a_reader_that_is_gone_does_not_turn_a_fault_into_a_success(tmp_path, policy):
    code = "import sys; from sonic_runtime import cli; sys.argv = ['sonic-run', *sys.argv[1:]]; sys.exit(cli.run())"
    arguments = [
        f"policy={policy}", "clock=lockstep", "goals.source=stand", "duration_s=20", "output.endpoint=null",
        f"run_dir={tmp_path}/r",
    ]  # fmt: skip
    read, write = os.pipe()
    os.close(read)
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], stdout=write, stderr=subprocess.PIPE, text=True, env=env, check=False
    )
    os.close(write)
    assert done.returncode == 1, done.stderr
    assert "fault tilt" in done.stderr


def test_a_pipe_that_breaks_anywhere_else_is_no_success(monkeypatch):
    def command(arguments):
        raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert run_command(command, []) == 141


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_a_signal_ends_a_real_time_run_in_order(tmp_path, policy, number):
    code = "import sys; from sonic_runtime import cli; sys.argv = ['sonic-run', *sys.argv[1:]]; sys.exit(cli.run())"
    arguments = [f"policy={policy}", "goals.source=stand", "output.endpoint=null", f"run_dir={tmp_path}/r"]
    # no tilt limit: the run must last until it is told to end
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments, "guard.tilt_rad=3.2", "guard.joint_range_margin_rad=1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    time.sleep(3.0)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "ended by stopped" in out
    assert (tmp_path / "r" / "summary.json").is_file()
