"""`sonic-run`: opens everything a run needs, runs the loop, and leaves configuration, summary and recordings behind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import msgspec

from controllers.track_motion import TrackMotion
from sonic_runtime.app import CLOCKS, build_parts, choose, load_policy, other_controllers
from sonic_runtime.config import make_run_folder, save_config
from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.observation_yaml import FILE_NAME
from sonic_runtime.contract.ports import Clock, OperatorInput, ReportSink
from sonic_runtime.infer.onnx_policy import OnnxPolicy
from sonic_runtime.infer.policy_folder import onnx_files
from sonic_runtime.loop import CONTROL_HZ, Loop, RunLimits, RunSummary
from sonic_runtime.motions.clip import Clip
from sonic_runtime.open_goals import GoalParts, Goals, open_goals, read_clips, sources_of
from sonic_runtime.open_robot import OpenRobot, RobotSettings, open_robot
from sonic_runtime.realtime import quiet_heap, real_time
from sonic_runtime.record.about import about_run
from sonic_runtime.record.recorder import McapRecorder
from sonic_runtime.record.tape import Tape
from sonic_runtime.results.motion_recorder import MotionRecorder
from sonic_runtime.run_checks import require_safe_on_robot
from sonic_runtime.run_config import RunConfig
from sonic_runtime.status import Facts, Status
from sonic_runtime.tick import TickParts
from sonic_runtime.whole_file import write_whole
from teleop.command_input import CommandInput, ManagerStateInput
from teleop.command_packet import COMMAND_TOPIC, MANAGER_TOPIC
from teleop.debug_output import DebugOutput, RobotConfig
from teleop.inbox import Inbox, ZmqInbox
from teleop.operator_inputs import AutoStart
from teleop.operator_station import open_station
from teleop.stream_counters import StreamCounters


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A run that is over.

    Attributes:
        summary: what it was.
        policy: what ran.
        stream: what the pose stream brought; None without one.
        topics: what each topic brought, and how sources took turns, in a line each.
        folder: where it is kept.
    """

    summary: RunSummary
    policy: dict[str, str]
    stream: StreamCounters | None
    topics: dict[str, str]
    folder: Path


def run(config: RunConfig, stop_requested: Callable[[], bool], out: TextIO | None = None) -> RunResult:
    """Run as configured; nothing is left behind where it cannot start.

    Args:
        config: what to run.
        stop_requested: asked after every tick; True ends the run.
        out: where the operator reads; None for standard output.

    Raises:
        SonicError: the configuration is refused, a part cannot be built, a file cannot be written, or damping cannot.
    """
    require_safe_on_robot(config)
    tape = Tape()
    with ExitStack() as opened:
        status = Status(sys.stdout if out is None else out)
        opened.callback(status.close)
        clock: Clock = choose("clock", config.clock, CLOCKS)()
        policy = load_policy(config.policy)
        if config.record.mcap and config.record.observations:
            policy = tape.policy(policy)
        tracker = TrackMotion(policy)
        clips = read_clips(config.goals)
        others = other_controllers(tracker, config.imported)
        goals = _open_goals(config, tracker, "token" in others, clips, tape, status.say)
        opened.callback(goals.source.close)
        # nobody can press a key in a run that is the same every time
        topics = {} if config.clock == "lockstep" else _operator_topics(config)
        operator: OperatorInput = AutoStart()
        if config.clock != "lockstep":
            operator = open_station(config.operator, status.say, list(topics.values()))
        opened.callback(operator.close)
        robot = open_robot(config.robot, _robot_settings(config, clock), opened)
        parts = build_parts(
            robot=robot.port,
            goals=goals.source,
            controller=tracker,
            guard=config.guard,
            clock=clock,
            operator=operator,
            begins=robot.begins,
            ramp_s=config.ramp_s,
            blend_s=config.blend_s,
            others=others,
            tape=tape if config.record.mcap else None,
        )
        status.watch(_facts(goals, parts, robot))
        sinks = [status, *robot.sinks]
        if config.output.endpoint is not None:
            sinks.append(_debug_output(config, config.output.endpoint, policy))
            opened.callback(sinks[-1].close)
        folder = make_run_folder(config.run_dir)
        save_config(config, folder)
        sinks += _recorders(config, folder, policy, clips, tape, opened, status.say)
        for note in robot.notes:
            status.say(note)
        summary = _run_loop(config, parts, sinks, stop_requested, status.say)
        for line in robot.last_words():
            status.say(line)
        # before anything is closed: a recording whose end cannot be written takes no summary with it
        result = _result(summary, policy, goals, topics, folder)
        _write_summary(result)
    return result


def _result(
    summary: RunSummary,
    policy: OnnxPolicy,
    goals: Goals,
    topics: Mapping[str, CommandInput | ManagerStateInput],
    folder: Path,
) -> RunResult:
    counts = {**goals.counts, **{name: topic.line for name, topic in topics.items()}}
    return RunResult(
        summary=summary,
        policy=policy.origin,
        stream=goals.counters,
        topics={name: line() for name, line in counts.items()},
        folder=folder,
    )


def _open_goals(
    config: RunConfig,
    tracker: TrackMotion,
    takes_tokens: bool,
    clips: Sequence[Clip],
    tape: Tape,
    say: Callable[[str], None],
) -> Goals:
    sent = [name for name in sources_of(config.goals) if name in ("stream", "planner")]
    if config.clock == "lockstep" and sent:
        raise ConfigError(f"clock=lockstep: expected real_time for goals.source={sent[0]}; a sender keeps to real time")

    def open_inbox(name: str, endpoint: str, topics: Sequence[str]) -> Inbox:
        inbox = ZmqInbox(endpoint, topics, fresh=True)
        return tape.inbox(name, inbox) if config.record.mcap else inbox

    return open_goals(
        GoalParts(
            config=config.goals,
            tracker=tracker,
            clips=clips,
            open_inbox=open_inbox,
            say=say,
            takes_tokens=takes_tokens,
        )
    )


def _operator_topics(config: RunConfig) -> dict[str, CommandInput | ManagerStateInput]:
    """Open the topics on which a sender of goals also operates the robot."""
    names = sources_of(config.goals)
    numbers = {name: number for number, name in enumerate(names, start=1)}
    if not config.operator.command or not {"stream", "planner"} & set(names):
        return {}
    command = ZmqInbox(config.goals.endpoint, [COMMAND_TOPIC])
    manager = ZmqInbox(config.goals.endpoint, [MANAGER_TOPIC])
    planner, stream = numbers.get("planner"), numbers.get("stream")
    return {
        COMMAND_TOPIC: CommandInput(command, planner_source=planner, stream_source=stream),
        MANAGER_TOPIC: ManagerStateInput(manager),
    }


def _debug_output(config: RunConfig, endpoint: str, policy: OnnxPolicy) -> DebugOutput:
    encoder_file, decoder_file = onnx_files(policy.folder)
    motion = config.goals.motion
    about = RobotConfig(
        model_path=str(decoder_file),
        reference_motion_path="none" if not motion else motion if isinstance(motion, str) else ",".join(motion),
        obs_config_path=str(policy.folder / FILE_NAME),
        encoder_file=str(encoder_file),
    )
    return DebugOutput(endpoint, about, every_mode=config.output.every_mode, init_ref=config.output.init_ref)


def _robot_settings(config: RunConfig, clock: Clock) -> RobotSettings:
    return RobotSettings(
        clock=clock,
        simulator=config.simulator,
        unitree=config.unitree,
        realtime=config.realtime,
        guard=config.guard,
    )


def _facts(goals: Goals, parts: TickParts, robot: OpenRobot) -> Facts:
    guard, counters = parts.guard, goals.counters
    return Facts(
        source=goals.line,
        received=None if counters is None else lambda: counters.received,
        refusal=lambda: guard.refusal,
        warnings=lambda: [*guard.warnings, *robot.warnings()],
        robot=robot.line,
        checks_off=guard.off,
        looser=guard.looser,
    )


def _recorders(
    config: RunConfig,
    folder: Path,
    policy: OnnxPolicy,
    clips: Sequence[Clip],
    tape: Tape,
    opened: ExitStack,
    say: Callable[[str], None],
) -> list[ReportSink]:
    sinks: list[ReportSink] = []
    if config.record.mcap:
        about = about_run(config, policy, numbered(clips), " ".join(sys.argv))
        sinks.append(opened.enter_context(McapRecorder(folder / "run.mcap", about, tape)))
    if config.record.motion:
        motion = MotionRecorder(folder / "motion", say)
        opened.callback(motion.close)
        sinks.append(motion)
    return sinks


def numbered(clips: Sequence[Clip]) -> Mapping[str, Clip]:
    """Return clips by number and name, in their order: what a recording calls them."""
    return {f"{number:03d} {clip.name}": clip for number, clip in enumerate(clips)}


def _run_loop(
    config: RunConfig,
    parts: TickParts,
    sinks: Sequence[ReportSink],
    stop_requested: Callable[[], bool],
    say: Callable[[str], None],
) -> RunSummary:
    limits = RunLimits(max_ticks=None if config.duration_s is None else round(config.duration_s * CONTROL_HZ))
    loop, realtime = Loop(parts, sinks), config.realtime
    if config.clock == "lockstep":
        return loop.run(limits, lambda _: stop_requested())
    with quiet_heap(), real_time("loop", realtime.priority, realtime.cpu, realtime.lock_memory) as notes:
        for note in notes:
            say(note.text)
        return loop.run(limits, lambda _: stop_requested())


def _write_summary(result: RunResult) -> None:
    content = msgspec.to_builtins(result.summary)
    stream = result.stream
    content["stream"] = None if stream is None else {**msgspec.to_builtins(stream), "gaps": stream.gaps}
    content["topics"] = result.topics
    content["policy"] = result.policy
    write_whole(result.folder / "summary.json", msgspec.json.format(msgspec.json.encode(content), indent=2))
