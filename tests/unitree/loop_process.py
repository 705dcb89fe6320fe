"""A control process for tests: runs of the real loop, guard, policy and writer on whatever robot is on lo.

Its argument is the DDS domain. Each line of standard input is JSON with changes of `unitree`, and `seconds` and
`patient`; for each it opens the robot, lets the policy take over after a short ramp and runs until a fault, and prints
"opened", then "ended: ...", or "refused: ...".
"""

import json
import sys
from contextlib import ExitStack

import msgspec

from controllers.track_motion import TrackMotion
from sonic_runtime.app import build_parts, load_policy
from sonic_runtime.clock import RealTimeClock
from sonic_runtime.command_line import say
from sonic_runtime.config import load_config
from sonic_runtime.contract.errors import SonicError
from sonic_runtime.loop import Loop, RunLimits
from sonic_runtime.realtime import quiet_heap, real_time
from sonic_runtime.robot_io.unitree.config import UnitreeConfig
from sonic_runtime.robot_io.unitree.port import open_unitree
from sonic_runtime.run_config import RunConfig
from teleop.operator_inputs import AutoStart
from teleop.standing import Standing


def run(shipped: RunConfig, unitree: UnitreeConfig, controller: TrackMotion, seconds: float) -> str:
    with ExitStack() as opened:
        robot = open_unitree(unitree, shipped.realtime, shipped.guard, opened)
        parts = build_parts(
            robot=robot.port,
            goals=Standing(),
            controller=controller,
            guard=shipped.guard,
            clock=RealTimeClock(),
            operator=AutoStart(),
            begins=robot.begins,
            ramp_s=0.4,
        )
        say("opened " + " / ".join(robot.notes))
        with quiet_heap(), real_time("loop", shipped.realtime.priority, None, False):
            summary = Loop(parts, robot.sinks).run(RunLimits(max_ticks=round(50 * seconds), damping_ticks=10))
        fault = "no fault" if summary.fault is None else f"{summary.fault.code}: {summary.fault.detail}"
        return f"ended: {fault} / {' / '.join(robot.last_words())}"


def patient(config: RunConfig) -> RunConfig:
    """Deadlines for runs that are no test of time, on a machine that may be busy with other things."""
    replace = msgspec.structs.replace
    guard = replace(config.guard, stale_state_ms=1000.0, overrun_ms=1000.0)
    realtime = replace(config.realtime, command_max_age_ms=1000.0, heartbeat_max_age_ms=1000.0)
    return replace(config, guard=guard, realtime=realtime)


def main() -> None:
    shipped = load_config("run", ["interface=lo", f"unitree.domain={sys.argv[1]}"], RunConfig)
    controller = TrackMotion(load_policy("default"))
    say("loaded")
    for line in sys.stdin:
        changes = json.loads(line)
        seconds = changes.pop("seconds", 30.0)
        settings = patient(shipped) if changes.pop("patient", False) else shipped
        checks = msgspec.structs.replace(shipped.unitree.checks, **changes.pop("checks", {}))
        unitree = msgspec.structs.replace(shipped.unitree, checks=checks, **changes)
        try:
            say(run(settings, unitree, controller, seconds))
        except SonicError as error:
            say(f"refused: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
