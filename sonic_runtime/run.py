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
from sonic_runtime.contract.ports import Clock, Controller, OperatorInput, ReportSink
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
        brain = _load_brain(config, tape)
        inputs = _open_inputs(config, brain, tape, status.say, opened)
        clock: Clock = choose("clock", config.clock, CLOCKS)()
        robot = open_robot(config.robot, _robot_settings(config, clock), opened)
        parts = _build(config, brain, inputs, robot, clock, tape)
        status.watch(_facts(inputs.goals, parts, robot))
        sinks = [status, *robot.sinks, *_outputs(config, brain, opened)]
        folder = make_run_folder(config.run_dir)
        save_config(config, folder)
        sinks += _recorders(config, folder, brain, tape, opened, status.say)
        for note in robot.notes:
            status.say(note)
        loop = Loop(parts, sinks)
        try:
            summary = _run_loop(config, loop, stop_requested, status.say)
        except Exception:
            # a bug, after damping: its traceback does not take along what the run was
            if loop.summary is not None:
                _write_summary(_result(loop.summary, brain.policy, inputs, folder))
            raise
        for line in robot.last_words():
            status.say(line)
        # before anything is closed: a recording whose end cannot be written takes no summary with it
        result = _result(summary, brain.policy, inputs, folder)
        _write_summary(result)
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Brain:
    """What decides: the policy, its tracker, the other controllers, and the motions they are given."""

    policy: OnnxPolicy
    tracker: TrackMotion
    others: Mapping[str, Controller]
    clips: Sequence[Clip]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inputs:
    """What comes in beside the states: goals, and what the operator asks for, from devices and from topics."""

    goals: Goals
    operator: OperatorInput
    topics: Mapping[str, CommandInput | ManagerStateInput]
    inboxes: Mapping[str, ZmqInbox]


def _load_brain(config: RunConfig, tape: Tape) -> _Brain:
    policy = load_policy(config.policy)
    if config.record.mcap and config.record.observations:
        policy = tape.policy(policy)
    tracker = TrackMotion(policy)
    clips = read_clips(config.goals)
    return _Brain(policy=policy, tracker=tracker, others=other_controllers(tracker, config.imported), clips=clips)


def _open_inputs(
    config: RunConfig, brain: _Brain, tape: Tape, say: Callable[[str], None], opened: ExitStack
) -> _Inputs:
    inboxes: dict[str, ZmqInbox] = {}
    goals = _open_goals(config, brain, inboxes, tape, say)
    opened.callback(goals.source.close)
    if config.clock == "lockstep":
        # nobody can press a key in a run that is the same every time
        return _Inputs(goals=goals, operator=AutoStart(), topics={}, inboxes=inboxes)
    topics = _operator_topics(config)
    operator = open_station(config.operator, say, list(topics.values()))
    opened.callback(operator.close)
    return _Inputs(goals=goals, operator=operator, topics=topics, inboxes=inboxes)


def _build(config: RunConfig, brain: _Brain, inputs: _Inputs, robot: OpenRobot, clock: Clock, tape: Tape) -> TickParts:
    return build_parts(
        robot=robot.port,
        goals=inputs.goals.source,
        controller=brain.tracker,
        guard=config.guard,
        clock=clock,
        operator=inputs.operator,
        begins=robot.begins,
        ramp_s=config.ramp_s,
        blend_s=config.blend_s,
        others=brain.others,
        tape=tape if config.record.mcap else None,
    )


def _outputs(config: RunConfig, brain: _Brain, opened: ExitStack) -> list[ReportSink]:
    if config.output.endpoint is None:
        return []
    output = _debug_output(config, config.output.endpoint, brain.policy)
    opened.callback(output.close)
    return [output]


def _result(summary: RunSummary, policy: OnnxPolicy, inputs: _Inputs, folder: Path) -> RunResult:
    counts = {**inputs.goals.counts, **{name: topic.line for name, topic in inputs.topics.items()}}
    lines = {name: line() for name, line in counts.items()}
    for name, inbox in inputs.inboxes.items():
        if inbox.left_out:
            lines[f"{name}, left out"] = f"{inbox.left_out} messages that newer ones had overtaken"
    return RunResult(summary=summary, policy=policy.origin, stream=inputs.goals.counters, topics=lines, folder=folder)


def _open_goals(
    config: RunConfig, brain: _Brain, inboxes: dict[str, ZmqInbox], tape: Tape, say: Callable[[str], None]
) -> Goals:
    """Open the sources of goals; their inboxes come by name into `inboxes`."""
    sent = [name for name in sources_of(config.goals) if name in ("stream", "planner")]
    if config.clock == "lockstep" and sent:
        raise ConfigError(f"clock=lockstep: expected real_time for goals.source={sent[0]}; a sender keeps to real time")

    def open_inbox(name: str, endpoint: str, topics: Sequence[str]) -> Inbox:
        inbox = inboxes[name] = ZmqInbox(endpoint, topics, fresh=True)
        return tape.inbox(name, inbox) if config.record.mcap else inbox

    return open_goals(
        GoalParts(
            config=config.goals,
            tracker=brain.tracker,
            clips=brain.clips,
            open_inbox=open_inbox,
            say=say,
            takes_tokens="token" in brain.others,
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
        policy=lambda: parts.controllers.policy,
        warnings=lambda: [*guard.warnings, *robot.warnings()],
        robot=robot.line,
        checks_off=guard.off,
        looser=guard.looser,
    )


def _recorders(
    config: RunConfig,
    folder: Path,
    brain: _Brain,
    tape: Tape,
    opened: ExitStack,
    say: Callable[[str], None],
) -> list[ReportSink]:
    sinks: list[ReportSink] = []
    if config.record.mcap:
        about = about_run(config, brain.policy, numbered(brain.clips), " ".join(sys.argv))
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
    config: RunConfig, loop: Loop, stop_requested: Callable[[], bool], say: Callable[[str], None]
) -> RunSummary:
    limits = RunLimits(max_ticks=None if config.duration_s is None else round(config.duration_s * CONTROL_HZ))
    realtime = config.realtime
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
