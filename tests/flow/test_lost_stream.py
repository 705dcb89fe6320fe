"""A stream over real sockets that breaks while the loop tracks it: the last word is damping."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import zmq

from sonic_runtime.clock import RealTimeClock
from sonic_runtime.loop import Loop, RunLimits
from teleop.inbox import ZmqInbox
from teleop.pose_packet import PoseFrames, pack_pose
from teleop.pose_stream import PoseStream
from tests.fakes.parts import FakeRun, make_state

FRAMES = 60


def frames(number: int) -> PoseFrames:
    return PoseFrames(
        frame_index=number + np.arange(FRAMES),
        joint_pos_pol=np.zeros((FRAMES, 29)),
        joint_vel_pol=np.zeros((FRAMES, 29)),
        root_quat_wxyz=np.tile([1.0, 0.0, 0.0, 0.0], (FRAMES, 1)),
    )


def silent(number: int) -> bytes | None:
    return None


def not_a_number(number: int) -> bytes:
    return pack_pose(replace(frames(number), joint_pos_pol=np.full((FRAMES, 29), np.nan)))


def foreign(number: int) -> bytes:
    return b"pose" + bytes(range(256)) * 8


def frozen(number: int) -> bytes:
    return pack_pose(frames(30))


@pytest.mark.parametrize("broken", [silent, not_a_number, foreign, frozen])
def test_a_stream_that_breaks_ends_in_damping(broken):
    # the machine of a test may be busy
    run, clock = FakeRun(overrun_ms=1000.0), RealTimeClock()
    run.robot.state_of = lambda _: make_state(stamp_ns=clock.now_ns())
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.set(zmq.LINGER, 0)
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        stream = PoseStream(ZmqInbox(f"tcp://127.0.0.1:{port}", ["pose"]), {"g1": 46})
        over = threading.Event()

        def send():
            for number in range(1000):
                message = pack_pose(frames(number)) if number < 60 else broken(number)
                if message is not None:
                    socket.send(message)
                if over.wait(0.02):
                    return

        sender = threading.Thread(target=send)
        sender.start()
        time.sleep(0.1)
        parts = replace(run.parts, goals=stream, clock=clock)
        summary = Loop(parts).run(RunLimits(max_ticks=250, damping_ticks=5))
        over.set()
        sender.join()
        stream.close()
    assert summary.fault is not None
    assert summary.fault.code == "stale_stream"
    assert 40 < summary.active_ticks < 130
    assert all(target is parts.damping_target for target in run.robot.written[-6:])
