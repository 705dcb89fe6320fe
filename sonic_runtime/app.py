"""Puts the parts together: the only module of the runtime that knows controllers and goal sources by name.

The dictionaries below are the whole registry: a new robot, source or clock is one file and one line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeVar

import msgspec

from controllers.damping import Damping
from controllers.ramp_to_pose import RampToPose
from controllers.switch import ControllerSwitch
from controllers.track_motion import TrackMotion
from sonic_runtime.clock import LockstepClock, RealTimeClock
from sonic_runtime.config import make_run_folder, save_config
from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.ports import Clock, Controller, GoalSource, OperatorInput, ReportSink, RobotPort
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.guard.modes import Guard
from sonic_runtime.infer.onnx_policy import OnnxPolicy
from sonic_runtime.infer.policy_folder import find_policy
from sonic_runtime.infer.released import split_contract
from sonic_runtime.loop import CONTROL_HZ, Loop, RunLimits, RunSummary, Stop
from sonic_runtime.robot_io.mujoco_sim import MujocoSim
from sonic_runtime.robots import g1
from sonic_runtime.tick import TickParts
from sonic_runtime.whole_file import write_whole
from teleop.debug_output import DebugOutput
from teleop.inbox import Inbox, ZmqInbox
from teleop.motion_file import MotionFile
from teleop.operator_inputs import NoOperator
from teleop.pose_packet import TOPIC as POSE_TOPIC
from teleop.pose_stream import PoseStream
from teleop.standing import StandFirst, Standing
from teleop.stream_counters import StreamCounters

T = TypeVar("T")


class GoalsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where goals come from."""

    source: str
    """stream (the pose topic over ZeroMQ), motion (a file), or stand."""
    endpoint: str
    """ZeroMQ address the stream is sent from; its sender binds it."""
    motion: str | None
    """File of the motion source, or name of a procedural motion such as walk; its first clip is played once."""
    encoder: str
    """Encoder of the motion source: g1, teleop or smpl; a stream brings its own."""


class OutputConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is published."""

    endpoint: str | None
    """ZeroMQ address to bind for g1_debug; null publishes nothing."""


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run of the 50 Hz loop."""

    policy: str
    """Name of a packaged policy, or folder with encoder.onnx, decoder.onnx and observation_config.yaml; for the files
    that NVIDIA released, which carry no manifest, sonic_release:FOLDER."""
    robot: str
    """mujoco."""
    clock: str
    """real_time, or lockstep: as fast as it goes, the same every time."""
    duration_s: Annotated[float, msgspec.Meta(gt=0.0)] | None
    """Time before the robot is put to rest [s]; null runs until Ctrl-C."""
    ramp_s: Annotated[float, msgspec.Meta(ge=0.0, le=30.0)]
    """Time of the ramp from the pose found to the default pose [s]; 0 where the robot stands already."""
    run_dir: str
    """Folder of the run: configuration and summary; {time} becomes the start time."""
    view: bool
    """Show the robot live in the browser, from what output.endpoint publishes; needs the package viser."""
    goals: GoalsConfig
    output: OutputConfig
    guard: GuardConfig


def load_policy(name: str) -> OnnxPolicy:
    """Find, check and warm up a policy by name or folder, or without a manifest by sonic_release:FOLDER.

    Raises:
        ConfigError: there is no such policy.
        ContractError: it does not fit this runtime.
    """
    contract, folder = split_contract(name)
    return OnnxPolicy(find_policy(folder), contract)


def build_parts(
    *,
    robot: RobotPort,
    goals: GoalSource,
    controller: Controller,
    guard: GuardConfig,
    clock: Clock,
    operator: OperatorInput | None = None,
    begins: Literal["waiting", "stand"] = "stand",
    ramp_s: float = 0.0,
    blend_s: float = 0.0,
    others: Mapping[str, Controller] | None = None,
) -> TickParts:
    """Put one run together.

    Args:
        robot: robot or simulator.
        goals: what to do.
        controller: in charge while there is a goal.
        guard: limits.
        clock: time of the loop; the same one that robot and goals stamp with.
        operator: what is asked for; None where nobody is there.
        begins: as in `Guard`.
        ramp_s: time of the ramp to the default pose [s].
        blend_s: time of the blend from one controller to the next [s].
        others: further controllers by name: stand, token, imported policies.
    """
    ramp = RampToPose(g1.DEFAULT_POS_HW, g1.STIFFNESS_HW, g1.DAMPING_HW, ramp_s)
    damping = Damping(len(g1.JOINT_NAMES_HW), guard.damping_nm_s_per_rad)
    controllers = {"damping": damping, "ramp": ramp, "stand": controller, "track": controller, **(others or {})}
    return TickParts(
        robot=robot,
        operator=NoOperator() if operator is None else operator,
        goals=goals,
        controllers=ControllerSwitch(controllers, blend_s),
        guard=Guard(guard, ramp_s, begins),
        clock=clock,
        damping_target=damping.target,
    )


def run_lockstep(
    robot: MujocoSim,
    goals: GoalSource,
    controller: Controller,
    guard: GuardConfig,
    *,
    max_ticks: int,
    stop: Stop | None = None,
    sinks: Sequence[ReportSink] = (),
    clock: LockstepClock,
) -> RunSummary:
    """Run the loop in lockstep from the state the simulator is in: no ramp, and one tick of damping at the end.

    Args:
        robot: simulator, already put into the state to start from.
        goals: what to do; has a goal from the first tick on.
        controller: tracks it; forgets its history at the first tick, so that one object serves many runs.
        guard: limits.
        max_ticks: ticks to run.
        stop: ends the run early.
        sinks: where the reports go.
        clock: the clock that `robot` stamps with; goes on from run to run.
    """
    parts = build_parts(robot=robot, goals=goals, controller=controller, guard=guard, clock=clock)
    return Loop(parts, sinks).run(RunLimits(max_ticks=max_ticks, damping_ticks=1), stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A run that is over: what it was, its policy, what its stream brought (None without one), its folder."""

    summary: RunSummary
    policy: dict[str, str]
    stream: StreamCounters | None
    folder: Path


def run(config: RunConfig, stop_requested: Callable[[], bool]) -> RunResult:
    """Run as configured; leaves configuration and summary in the folder of the run, and nothing where it cannot start.

    Args:
        config: what to run.
        stop_requested: asked after every tick; True ends the run.

    Raises:
        SonicError: a part cannot be built, a file cannot be written, or damping cannot be.
    """
    with ExitStack() as open_parts:
        clock: Clock = choose("clock", config.clock, CLOCKS)()
        policy = load_policy(config.policy)
        controller = TrackMotion(policy)
        goals = choose("goals.source", config.goals.source, GOALS)(config.goals, controller, clock)
        open_parts.callback(goals.source.close)
        sinks = []
        if config.output.endpoint is not None:
            sinks.append(DebugOutput(config.output.endpoint))
            open_parts.callback(sinks[-1].close)
        robot = choose("robot", config.robot, ROBOTS)(clock)
        open_parts.callback(robot.close)
        parts = build_parts(
            robot=robot,
            goals=goals.source,
            controller=controller,
            guard=config.guard,
            clock=clock,
            ramp_s=config.ramp_s,
        )
        folder = make_run_folder(config.run_dir)
        save_config(config, folder)
        limits = RunLimits(max_ticks=None if config.duration_s is None else round(config.duration_s * CONTROL_HZ))
        summary = Loop(parts, sinks).run(limits, lambda _: stop_requested())
    result = RunResult(summary=summary, policy=policy.origin, stream=goals.counters, folder=folder)
    _write_summary(result)
    return result


def _write_summary(result: RunResult) -> None:
    content = msgspec.to_builtins(result.summary)
    stream = result.stream
    content["stream"] = None if stream is None else {**msgspec.to_builtins(stream), "gaps": stream.gaps}
    content["policy"] = result.policy
    write_whole(result.folder / "summary.json", msgspec.json.format(msgspec.json.encode(content), indent=2))


def _mujoco(clock: Clock) -> RobotPort:
    return MujocoSim(clock.now_ns)


class Goals(NamedTuple):
    """A goal source, and what it counts where it is a stream."""

    source: GoalSource
    counters: StreamCounters | None = None


def open_stream(endpoint: str, controller: TrackMotion) -> PoseStream:
    """Connect to the pose topic at an address."""
    return stream_of(ZmqInbox(endpoint, [POSE_TOPIC]), controller)


def stream_of(inbox: Inbox, controller: TrackMotion, *, takes_tokens: bool = False) -> PoseStream:
    """Return a stream of the messages of an inbox, with the look-ahead of every encoder of the policy."""
    look_ahead = {spec.name: controller.look_ahead_frames(spec.name) for spec in controller.policy.encoder.encoders}
    return PoseStream(inbox, look_ahead, takes_tokens=takes_tokens)


def _stream(config: GoalsConfig, controller: TrackMotion, clock: Clock) -> Goals:
    if isinstance(clock, LockstepClock):
        raise ConfigError("clock=lockstep: expected real_time for goals.source=stream; a sender keeps to real time")
    stream = open_stream(config.endpoint, controller)
    return Goals(StandFirst(stream), stream.counters)


def _motion(config: GoalsConfig, controller: TrackMotion, clock: Clock) -> Goals:
    from sonic_runtime.motions.sources import find_clips

    if config.motion is None:
        raise ConfigError("goals.motion: expected a motion file or name for goals.source=motion, found null")
    controller.look_ahead_frames(config.encoder)
    return Goals(MotionFile(find_clips(config.motion)[0], config.encoder, align_heading=True))


def _stand(config: GoalsConfig, controller: TrackMotion, clock: Clock) -> Goals:
    return Goals(Standing())


CLOCKS: dict[str, Callable[[], Clock]] = {"real_time": RealTimeClock, "lockstep": LockstepClock}
ROBOTS: dict[str, Callable[[Clock], RobotPort]] = {"mujoco": _mujoco}
GOALS: dict[str, Callable[[GoalsConfig, TrackMotion, Clock], Goals]] = {
    "stream": _stream,
    "motion": _motion,
    "stand": _stand,
}


def choose(key: str, name: str, known: dict[str, T]) -> T:
    """Return what is registered under a name.

    Raises:
        ConfigError: nothing is; the message names the configuration key and lists the names.
    """
    if name not in known:
        raise ConfigError(f"{key}={name}: expected one of {', '.join(known)}")
    return known[name]
