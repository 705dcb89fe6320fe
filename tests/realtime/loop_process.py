"""The control process of the fault tests: the real loop, guard, policy and writer, on a robot that exists already.

Its only argument is JSON: the file descriptors of the robot's mailboxes. It prints the number of the writer's process
once it runs, and the fault of the run at its end.
"""

import json
import sys
from pathlib import Path

import msgspec

from controllers.track_motion import TrackMotion
from sonic_runtime.app import build_parts, load_policy
from sonic_runtime.clock import RealTimeClock
from sonic_runtime.command_line import say, stop_on_signal
from sonic_runtime.config import packaged_configs
from sonic_runtime.loop import Loop, RunLimits
from sonic_runtime.realtime import RealTimeConfig, quiet_heap, real_time
from sonic_runtime.robot_io.motor_output import MailboxStates, mailbox_output
from sonic_runtime.robot_io.writer_link import WriterLink
from teleop.standing import Standing
from tests.fakes.parts import guard_config


def shipped_config() -> RealTimeConfig:
    return msgspec.yaml.decode(Path(packaged_configs() / "realtime" / "default.yaml").read_bytes(), type=RealTimeConfig)


def main() -> None:
    fds = json.loads(sys.argv[1])
    config, guard, clock = shipped_config(), guard_config(), RealTimeClock()
    controller = TrackMotion(load_policy("default"))
    outputs = mailbox_output(fds["writer"]), mailbox_output(fds["own"])
    link = WriterLink(MailboxStates(fds["state"]), *outputs, config, guard.damping_nm_s_per_rad)
    parts = build_parts(robot=link, goals=Standing(), controller=controller, guard=guard, clock=clock)
    with stop_on_signal() as stop, quiet_heap(), real_time("loop", config.priority, config.cpu, config.lock_memory):
        say(f"writer {link.writer_pid}")
        summary = Loop(parts).run(RunLimits(), lambda _: stop())
    link.close()
    fault = summary.fault
    say(f"ended: {summary.stop_reason}; {'no fault' if fault is None else f'{fault.code}: {fault.detail}'}")


if __name__ == "__main__":
    main()
