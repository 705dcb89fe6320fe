"""`sonic-demo`: the whole chain on one machine, in real time.

Three processes: this one runs the simulator and the controller at 50 Hz; a sender streams a procedural walk over
ZeroMQ, the same program and messages a user would use; on request, a viewer. What it ends with is a report page and
one line of JSON.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import zmq

from controllers.track_motion import TrackMotion
from sonic_runtime.app import build_parts, load_policy, other_controllers
from sonic_runtime.child import Child
from sonic_runtime.clock import RealTimeClock
from sonic_runtime.command_line import help_text, say, stop_on_signal, wants_help
from sonic_runtime.config import load_config, make_run_folder, save_config
from sonic_runtime.contract.errors import RobotError
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.infer.onnx_policy import OnnxPolicy
from sonic_runtime.loop import CONTROL_HZ, Loop, RunLimits, RunSummary
from sonic_runtime.motions.clip import save_clip
from sonic_runtime.open_goals import stream_of
from sonic_runtime.open_robot import SimulatorConfig, open_mujoco
from sonic_runtime.realtime import RealTimeConfig, quiet_heap, real_time
from sonic_runtime.results.demo_report import write_demo_report
from sonic_runtime.results.gl_video import render_video
from sonic_runtime.results.recording import Recorder, Recording
from sonic_runtime.results.trace import Trace, streamed_trace
from sonic_runtime.results.tracking import first_failure
from sonic_runtime.view import require_viser, start_view
from sonic_runtime.whole_file import write_whole
from teleop.debug_output import DebugOutput
from teleop.inbox import ZmqInbox
from teleop.pose_packet import TOPIC as POSE_TOPIC
from teleop.stream_command import single_clip
from teleop.stream_counters import StreamCounters
from teleop.stream_track import StreamTrack, build_track

_DESCRIPTION = """Simulator and controller in real time, tracking a walk that a separate process streams over ZeroMQ.
Writes a report page with plots and pictures; the last line of output is JSON."""
_SENDER_START_S = 60.0
_LEAD_IN_S = 1.0


class DemoConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The demo."""

    policy: str
    """Name of a packaged policy, or folder with encoder.onnx, decoder.onnx and observation_config.yaml."""
    motion: str
    """What is streamed: walk, another procedural motion, or a motion file."""
    duration_s: Annotated[float, msgspec.Meta(gt=0.0, le=600.0)]
    """Length of the run [s]."""
    view: bool
    """Show the robot live in the browser; needs the package viser."""
    video: bool
    """Render a video after the run, where OpenGL can draw without a screen."""
    run_dir: str
    """Folder of the results; {time} becomes the start time."""
    realtime: RealTimeConfig
    guard: GuardConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRun:
    """What the loop left behind."""

    summary: RunSummary
    recording: Recording
    counters: StreamCounters


def main(arguments: list[str]) -> int:
    """Run the command; the exit code is 0 where the robot survived, 1 where it did not."""
    if wants_help(arguments):
        say(help_text("sonic-demo [key=value ...]", _DESCRIPTION, "demo", DemoConfig))
        return 0
    config = load_config("demo", arguments, DemoConfig)
    policy = load_policy(config.policy)
    if config.view:
        require_viser()
    say(f"preparing the motion {config.motion!r}")
    clip = single_clip(config.motion)
    folder = make_run_folder(config.run_dir)
    save_config(config, folder)
    motion_file = folder / "motion.npz"
    save_clip(clip, motion_file)
    with stop_on_signal() as stop:
        run = run_demo(config, policy, motion_file, stop)
    track = build_track(clip, _LEAD_IN_S, "hold")
    return _conclude(config, folder, run, track)


def run_demo(config: DemoConfig, policy: OnnxPolicy, motion_file: Path, stop: Callable[[], bool]) -> DemoRun:
    """Run sender and loop; all processes and sockets are gone afterwards, whatever happens.

    Args:
        config: what to run.
        policy: the networks.
        motion_file: what the sender streams.
        stop: asked after every tick.

    Raises:
        RobotError: the sender or the viewer does not start.
    """
    stream_endpoint, debug_endpoint = free_endpoint(), free_endpoint()
    with ExitStack() as open_parts:
        arguments = [str(motion_file), f"endpoint={stream_endpoint}", f"lead_in_s={_LEAD_IN_S}", "wait_s=60"]
        sender = open_parts.enter_context(Child("sender", "teleop.stream_command", arguments))
        sender.wait_for_output("waiting for a receiver", _SENDER_START_S)
        output = DebugOutput(debug_endpoint)
        open_parts.callback(output.close)
        if config.view:
            viewer, page = start_view(debug_endpoint)
            open_parts.callback(viewer.close)
            say(f"live view: {page}")
        clock = RealTimeClock()
        controller = TrackMotion(policy)
        inbox = ZmqInbox(stream_endpoint, [POSE_TOPIC], fresh=True)
        stream = stream_of(inbox, controller, takes_tokens=False)
        open_parts.callback(stream.close)
        simulator = SimulatorConfig(start="standing", gantry=True)
        robot = open_mujoco(clock, simulator, config.realtime, config.guard, open_parts)
        others = other_controllers(controller, ())
        parts = build_parts(
            robot=robot.port, goals=stream, controller=controller, guard=config.guard, clock=clock, others=others
        )
        recorder = Recorder()
        say(f"tracking for {config.duration_s:g} s; sender is process {sender.pid}")
        limits = RunLimits(max_ticks=round(config.duration_s * CONTROL_HZ))
        real = config.realtime
        with quiet_heap(), real_time("loop", real.priority, real.cpu, real.lock_memory):
            summary = Loop(parts, [recorder, output, *robot.sinks]).run(limits, lambda report: stop())
        for line in robot.last_words():
            say(line)
        if not stream.counters.received:
            raise RobotError(f"sender: expected a stream, got no message; it printed: {sender.output().strip()}")
        return DemoRun(summary=summary, recording=recorder.recording(), counters=stream.counters)


def free_endpoint() -> str:
    """Return an address on the loopback whose port is free now."""
    with zmq.Context() as context, context.socket(zmq.REP) as probe:
        return f"tcp://127.0.0.1:{probe.bind_to_random_port('tcp://127.0.0.1')}"


def result_line(run: DemoRun, trace: Trace) -> dict[str, Any]:
    """Return the numbers of the last line of output.

    The robot survived where the run came to its end without a fault and tracking never broke SONIC's rule of success;
    drifting over the ground is no part of that rule and is told by root_xy_error_m.
    """
    errors, summary = trace.errors, run.summary
    failure = first_failure(errors, may_drift=True)
    survived = summary.fault is None and summary.stop_reason == "duration" and failure is None
    return {
        "survived": survived,
        "mpjpe_l_mm": round(1000.0 * float(errors.mpjpe_l_m.mean()), 2),
        "root_xy_error_m": round(float(errors.root_xy_m.mean()), 4),
        "tick_p50_ms": round(summary.tick.p50_ms, 3),
        "tick_p99_ms": round(summary.tick.p99_ms, 3),
        "deadline_misses": summary.deadline_misses,
        "stream_gaps": run.counters.gaps,
        "root_xy_error_max_m": round(float(errors.root_xy_m.max()), 4),
        "tracked_s": round(len(trace) / trace.fps, 2),
        "failure": "" if failure is None else failure[1],
        "fault": "" if summary.fault is None else summary.fault.code,
    }


def _conclude(config: DemoConfig, folder: Path, run: DemoRun, track: StreamTrack) -> int:
    start = time.monotonic()
    trace = streamed_trace(run.recording, track.joints, track.root_poses, CONTROL_HZ)
    line = result_line(run, trace)
    write_whole(folder / "summary.json", msgspec.json.format(msgspec.json.encode([line, run.summary]), indent=2))
    video_line = "no video: video=false"
    video = None
    if config.video:
        outcome = render_video(trace, folder / "video.webp")
        video, video_line = outcome.path, outcome.line
    say(video_line)
    report = write_demo_report(folder / "report.html", line, run.summary, run.counters, trace, video, video_line)
    say(f"report: {report} (drawn in {time.monotonic() - start:.0f} s)")
    if run.summary.stop_reason == "stopped":
        say(f"stopped from outside after {run.summary.loop_s:.1f} s; a run that was cut short has not survived")
    if run.summary.fault is not None:
        say(f"fault {run.summary.fault.code}: {run.summary.fault.detail}")
    say(msgspec.json.encode(line).decode())
    return 0 if line["survived"] else 1
