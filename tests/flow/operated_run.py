"""A run in real time on a robot that does as it is told, operated from the terminal; run by test_operated_run.py."""

from __future__ import annotations

import sys

from sonic_runtime.app import build_parts
from sonic_runtime.clock import RealTimeClock
from sonic_runtime.command_line import run_command, stop_on_signal
from sonic_runtime.loop import Loop, RunLimits
from sonic_runtime.status import Facts, Status
from teleop.operator_station import OperatorConfig, open_station
from teleop.playlist import Playlist
from tests.fakes.parts import FakeController, FakeRobot, guard_config
from tests.teleop.clips import turning_clip


def main(arguments: list[str]) -> int:
    clock = RealTimeClock()
    status = Status(sys.stdout)
    config = OperatorConfig(
        keyboard=True, gamepad=False, remote=False, command=False, auto_start=False, stop_when_lost="in_use"
    )
    operator = open_station(config, status.say)
    playlist = Playlist([turning_clip(400), turning_clip(200)], "g1", say=status.say)
    parts = build_parts(
        robot=FakeRobot(clock),  # pyright: ignore[reportArgumentType]
        goals=playlist,
        controller=FakeController(),
        guard=guard_config(overrun_ms=1000.0, stale_state_ms=1000.0),  # the machine of a test may be busy
        clock=clock,
        operator=operator,
        begins="waiting",
        ramp_s=1.5,
    )
    status.watch(
        Facts(
            source=playlist.line, refusal=lambda: parts.guard.refusal, warnings=lambda: parts.guard.warnings,
            checks_off=parts.guard.off,
        )
    )  # fmt: skip
    try:
        with stop_on_signal() as stop_requested:
            if "bug" in arguments:
                raise ZeroDivisionError
            summary = Loop(parts, [status]).run(RunLimits(), lambda report: stop_requested())
    finally:
        operator.close()
        status.close()
    sys.stdout.write(f"ended by {summary.stop_reason}\n")
    return 0 if summary.fault is None else 1


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
