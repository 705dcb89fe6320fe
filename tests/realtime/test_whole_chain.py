"""A run from hanging to standing and back to damping, with loop, writer and robot in processes of their own."""

import msgspec

from controllers.track_motion import TrackMotion
from sonic_runtime.app import build_parts, load_policy
from sonic_runtime.clock import RealTimeClock
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.loop import Loop, RunLimits
from sonic_runtime.realtime import quiet_heap, real_time
from sonic_runtime.robot_io.gantry import HANGING_HEIGHT_M
from sonic_runtime.robot_io.records import is_damping
from sonic_runtime.robot_io.simulated_robot import SimulatedRobot
from sonic_runtime.robot_io.writer_link import WriterLink
from teleop.standing import Standing
from tests.fakes.parts import guard_config
from tests.realtime.loop_process import shipped_config


class Operator:
    """Waits half a second, starts the ramp, and hands over half a second after it."""

    def __init__(self):
        self.ticks = {}

    def read(self, state, mode):
        self.ticks[mode] = self.ticks.get(mode, 0) + 1
        return (OperatorEvent("start"),) if mode in ("waiting", "ready") and self.ticks[mode] > 25 else ()

    def close(self):
        pass


class Seen:
    """Last target and state in each mode, and whether the gantry carries the robot."""

    def __init__(self, robot):
        self.robot = robot
        self.last = {}
        self.targets = {}

    def put(self, report):
        self.targets[report.mode] = report.target
        self.last[report.mode] = report.state, self.robot.status().held


def test_from_the_gantry_to_its_own_feet():
    # not a test of time: a machine busy with other things may be late
    config = msgspec.structs.replace(shipped_config(), command_max_age_ms=1000.0, heartbeat_max_age_ms=1000.0)
    guard = guard_config(overrun_ms=1000.0, stale_state_ms=1000.0)
    robot = SimulatedRobot(priority=39)
    link = WriterLink(robot.states(), robot.writer_output, robot.own_output, config, guard.damping_nm_s_per_rad)
    try:
        parts = build_parts(
            robot=link,
            goals=Standing(),
            controller=TrackMotion(load_policy("default")),
            guard=guard,
            clock=RealTimeClock(),
            operator=Operator(),
            begins="waiting",
            ramp_s=1.0,
            blend_s=0.2,
        )
        seen = Seen(robot)
        with quiet_heap(), real_time("loop", config.priority, None, False):
            summary = Loop(parts, [robot, seen]).run(RunLimits(max_ticks=250, damping_ticks=5))
    finally:
        link.close()
        robot.close()
    assert summary.fault is None
    heights = {mode: float(state.base_pos_w[2]) for mode, (state, _) in seen.last.items()}
    assert abs(heights["waiting"] - HANGING_HEIGHT_M) < 0.01
    assert abs(heights["ramp"] - HANGING_HEIGHT_M) < 0.01
    assert abs(heights["ready"] - 0.76) < 0.01
    assert heights["active"] > 0.68, "it stands by the policy alone"
    assert [seen.last[mode][1] for mode in ("waiting", "ramp", "ready", "active")] == [True, True, True, False]
    assert is_damping(seen.targets["waiting"]), "nothing moves before the operator says so"
    assert (seen.targets["ready"].stiffness_hw > 0.0).all()
    assert is_damping(seen.targets["damping"])
