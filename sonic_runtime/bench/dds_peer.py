"""The controller's side of `sonic-bench dds`: answers states with commands as a process of its own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from cyclonedds.core import Listener
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from sonic_runtime.bench.dds import DONE, READY, PeerReport
from sonic_runtime.command_line import run_command, say
from sonic_runtime.contract.messages import JointTarget
from sonic_runtime.realtime import quiet_heap
from sonic_runtime.robot_io.records import damping_target
from sonic_runtime.robot_io.unitree.bus import LOW_CMD, LOW_STATE, Bus, hurry_receive_threads
from sonic_runtime.robot_io.unitree.config import LOOPBACK
from sonic_runtime.robot_io.unitree.crc import low_state_crc
from sonic_runtime.robot_io.unitree.idl import LowCmd, LowState, message_of, wire_of
from sonic_runtime.robot_io.unitree.layout import (
    BODY_MOTORS,
    LOW_STATE_BYTES,
    LowStateFields,
    low_state_fields,
    payload_of,
)
from sonic_runtime.robot_io.unitree.motor_output import low_cmd_of

_POLL_S = 0.1
_REPEATS = 5000


class _Controller(Listener):
    """Answers; times are in ns.

    Args:
        writer: where answers go.
    """

    def __init__(self, writer: DataWriter) -> None:
        self.parse_ns: list[int] = []
        self.build_ns: list[int] = []
        self.bad = 0
        self.ended = False
        self.last = b""
        self._writer = writer
        self._enabled = np.ones(BODY_MOTORS, dtype=bool)
        self._gains = damping_target(8.0)
        super().__init__()

    def on_data_available(self, reader: DataReader) -> None:
        """Answer; called by cyclonedds."""
        messages: list[Any] = reader.take(N=1)
        for message in messages:
            if isinstance(message, LowState):
                self._answer(wire_of(message))

    def parse(self, wire: bytes) -> LowStateFields:
        """Read and check a state."""
        payload = payload_of(wire, LOW_STATE_BYTES, LOW_STATE)
        fields = low_state_fields(payload)
        self.bad += fields.crc != low_state_crc(payload)
        return fields

    def build(self, fields: LowStateFields) -> bytes:
        """Build the answer: its first position is the count of the state."""
        gains = self._gains
        target = JointTarget(
            joint_pos_hw=np.full(BODY_MOTORS, float(fields.tick)),
            joint_vel_hw=gains.joint_vel_hw,
            stiffness_hw=gains.stiffness_hw,
            damping_hw=gains.damping_hw,
            torque_ff_hw=gains.torque_ff_hw,
        )
        return low_cmd_of(target, fields.mode_machine, self._enabled)

    def _answer(self, wire: bytes) -> None:
        began_ns = time.perf_counter_ns()
        fields = self.parse(wire)
        parsed_ns = time.perf_counter_ns()
        self.last = wire
        if fields.tick == 0:
            self.ended = True
            return
        command = self.build(fields)
        built_ns = time.perf_counter_ns()
        self._writer.write(message_of(LowCmd, command))
        self.parse_ns.append(parsed_ns - began_ns)
        self.build_ns.append(built_ns - parsed_ns)


def _median_us(do: Callable[[], object]) -> float:
    times_ns = []
    for _ in range(_REPEATS):
        began_ns = time.perf_counter_ns()
        do()
        times_ns.append(time.perf_counter_ns() - began_ns)
    return float(np.median(times_ns)) * 1e-3


def _main(arguments: list[str]) -> None:
    """Answer until told to end, or until the parent is gone; arguments: domain, parent's process number, priority."""
    domain, parent, priority = (int(argument) for argument in arguments)
    bus = Bus(LOOPBACK, domain, "bench")
    participant = bus.participant
    controller = _Controller(DataWriter(participant, Topic(participant, LOW_CMD, LowCmd), bus.writer_qos()))
    reader = DataReader(participant, Topic(participant, LOW_STATE, LowState), bus.reader_qos(), controller)
    if priority:
        hurry_receive_threads(priority)
    say(READY)
    with quiet_heap():
        while not controller.parse_ns and os.getppid() == parent and not controller.ended:
            time.sleep(0.005)
        began_s, used_s = time.monotonic(), time.process_time()
        while os.getppid() == parent and not controller.ended:
            time.sleep(_POLL_S)
        share = (time.process_time() - used_s) / (time.monotonic() - began_s)
    del reader
    bad, fields = controller.bad, controller.parse(controller.last)
    report = PeerReport(
        states=len(controller.parse_ns),
        bad=bad,
        parse_us=_median_us(lambda: controller.parse(controller.last)),
        build_us=_median_us(lambda: controller.build(fields)),
        parse_at_rate_us=float(np.median(controller.parse_ns or [0])) * 1e-3,
        build_at_rate_us=float(np.median(controller.build_ns or [0])) * 1e-3,
        cpu_share=share,
    )
    # one write, so that whoever waits for the first word finds the whole line
    say(DONE + msgspec.json.encode(report).decode())


if __name__ == "__main__":
    sys.exit(run_command(_main, sys.argv[1:]))
