"""sonic-sim in one process and sonic-run in others track a streamed walk, over DDS, for a minute."""

import json
import subprocess
import time

import msgpack
import numpy as np
import pytest
import zmq

pytest.importorskip("cyclonedds")

from tests.unitree.network import own_network
from tests.unitree.processes import simulated_robot

SECONDS = 60.0
RUN = "import sys; from sonic_runtime.cli import run; sys.exit(run())"


def listen(endpoint, until):
    """Return the messages of g1_debug until a condition holds."""
    messages = []
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.SUBSCRIBE, b"g1_debug")
        socket.connect(endpoint)
        while not until():
            if socket.poll(100):
                messages.append(msgpack.unpackb(socket.recv()[len(b"g1_debug") :]))
    return messages


@pytest.mark.slow
def test_a_streamed_walk_is_tracked_for_a_minute(tmp_path):
    with own_network() as network, simulated_robot(network, tmp_path, "band_s=4.5") as robot:
        stream = ["-m", "teleop.stream_command", "walk", "end=loop", f"endpoint=ipc://{tmp_path}/stream"]
        run = [
            "-c",
            RUN,
            "robot=unitree",
            "interface=lo",
            f"unitree.domain={network.domain}",
            "operator.auto_start=true",
        ]
        run += [f"goals.endpoint=ipc://{tmp_path}/stream", f"output.endpoint=ipc://{tmp_path}/debug"]
        run += [f"duration_s={SECONDS + 4.0}", f"run_dir={tmp_path}/run"]
        # not a test of time: a machine busy with other things may be late
        run += ["guard.stale_state_ms=1000", "guard.overrun_ms=1000", "guard.stale_stream_ms=2000"]
        run += ["realtime.command_max_age_ms=1000", "realtime.heartbeat_max_age_ms=1000"]
        with (tmp_path / "log").open("wb+") as log:
            sender = network.popen(stream, stdout=subprocess.DEVNULL)
            runner = network.popen(run, stdout=log, stderr=subprocess.STDOUT)
            try:
                messages = listen(f"ipc://{tmp_path}/debug", lambda: runner.poll() is not None)
                code = runner.wait(30)
            finally:
                sender.terminate()
                sender.wait(10)
                runner.kill()
                runner.wait(10)
            log.seek(0)
            said = log.read().decode()
        report = robot.tell()
    assert code == 0, said
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["fault"] is None
    assert summary["stop_reason"] == "duration"
    assert summary["active_ticks"] >= 0.95 * 50 * SECONDS
    assert report["refused"] == {}
    assert report["commands"] > 0.9 * 500 * SECONDS
    tracked = [message for message in messages if message["base_trans_measured"]]
    measured = np.array([message["body_q_measured"] for message in tracked[-2500:]])
    wanted = np.array([message["body_q_target"] for message in tracked[-2500:]])
    error = float(np.abs(measured - wanted).mean())
    legs = np.ptp(wanted[:, [0, 3, 6, 9]], axis=0)
    assert legs.min() > 0.2, "the stream asked for a walk"
    assert error < 0.12
    upright = min(1.0 - 2.0 * (q[1] ** 2 + q[2] ** 2) for q in (m["base_quat_measured"] for m in tracked[-2500:]))
    assert upright > 0.9
    assert time.monotonic_ns() > report["now_ns"]
