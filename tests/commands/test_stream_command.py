"""sonic-stream as a process."""

import subprocess
import sys

import pytest
import zmq

from sonic_runtime.contract.errors import ConfigError, MotionError
from sonic_runtime.demo import free_endpoint
from sonic_runtime.motions.clip import save_clip
from teleop import stream_command
from teleop.pose_packet import unpack_pose
from tests.teleop.clips import turning_clip


@pytest.fixture
def motion(tmp_path):
    save_clip(turning_clip(30), tmp_path / "turning.npz")
    return tmp_path / "turning.npz"


def test_sends_the_whole_motion_to_the_first_receiver_and_ends(motion):
    endpoint = free_endpoint()
    command = [sys.executable, "-m", "teleop.stream_command", str(motion), f"endpoint={endpoint}", "lead_in_s=0.2"]
    process = subprocess.Popen([*command, "end=stop"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with zmq.Context() as context, context.socket(zmq.SUB) as listener:
        listener.setsockopt(zmq.SUBSCRIBE, b"pose")
        listener.connect(endpoint)
        received = []
        while process.poll() is None:
            if listener.poll(100):
                received.append(unpack_pose(listener.recv()))
    output, errors = process.communicate(timeout=10)
    assert process.returncode == 0, errors
    # 10 frames of lead-in and 30 of the clip; ten messages may be left out on a busy machine
    first = [int(frames.frame_index[0]) for frames in received]
    assert first[0] == 0
    assert first[-1] == 39
    assert len(first) > 30
    assert {len(frames) for frames in received} == {60}
    assert "waiting for a receiver" in output


@pytest.mark.parametrize(("version", "frames"), [(2, 50), (3, 50), (4, None)])
def test_sends_every_version(motion, version, frames):
    endpoint = free_endpoint()
    command = [sys.executable, "-m", "teleop.stream_command", str(motion), f"endpoint={endpoint}", "lead_in_s=0"]
    command += [f"version={version}", "chunk_frames=50", "end=stop"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with zmq.Context() as context, context.socket(zmq.SUB) as listener:
        listener.setsockopt(zmq.SUBSCRIBE, b"pose")
        listener.connect(endpoint)
        assert listener.poll(30_000)
        first = unpack_pose(listener.recv())
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert first.version == version
    assert frames is None or len(first) == frames


def test_mistakes_are_named(motion, tmp_path):
    with pytest.raises(ConfigError, match="expected a motion file or name first"):
        stream_command.main([])
    with pytest.raises(ConfigError, match=r"expected a motion file or name first.*endpoint"):
        stream_command.main(["endpoint=tcp://127.0.0.1:1"])
    with pytest.raises(MotionError, match="no_such"):
        stream_command.main(["no_such"])
    save_clip(turning_clip(30), tmp_path / "another.npz")
    with pytest.raises(ConfigError, match="expected one motion, found 2"):
        stream_command.main([str(tmp_path)])


def test_nobody_comes(motion):
    with pytest.raises(ConfigError, match=r"nobody connected within 0.2 s; start sonic-run first"):
        stream_command.main([str(motion), f"endpoint={free_endpoint()}", "wait_s=0.2"])


def test_busy_port(motion):
    with zmq.Context() as context, context.socket(zmq.PUB) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        with pytest.raises(ConfigError, match="the port is in use"):
            stream_command.main([str(motion), f"endpoint=tcp://127.0.0.1:{port}"])
