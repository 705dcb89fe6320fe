"""Entry points of the commands; each imports what it needs when it is called, so that --help is quick."""

from __future__ import annotations

import sys
from contextlib import ExitStack

import msgspec

from sonic_runtime.command_line import help_text, run_command, say, stop_on_signal, wants_help
from sonic_runtime.contract.errors import ConfigError


def run() -> int:
    """`sonic-run`: the 50 Hz loop."""
    return run_command(_run, sys.argv[1:])


def bench() -> int:
    """`sonic-bench`: measurements."""
    return run_command(_bench, sys.argv[1:])


def demo() -> int:
    """`sonic-demo`: simulator, controller and a separate sender, for 20 s in real time."""
    from sonic_runtime.demo import main

    return run_command(main, sys.argv[1:])


def stream() -> int:
    """`sonic-stream`: send a motion file over ZeroMQ."""
    from teleop.stream_command import main

    return run_command(main, sys.argv[1:])


def sim2sim() -> int:
    """`sonic-sim2sim`: lockstep evaluation of a policy on motions."""
    from sonic_runtime.sim2sim import main

    return run_command(main, sys.argv[1:])


def motions() -> int:
    """`sonic-motions`: make the procedural library, or convert motion files."""
    from sonic_runtime.motions.command import main

    return run_command(main, sys.argv[1:])


def _run(arguments: list[str]) -> int:
    from sonic_runtime import app
    from sonic_runtime.config import load_config
    from sonic_runtime.view import start_view

    if wants_help(arguments):
        text = "Tracks a stream or a file with a policy at 50 Hz until the duration is over or Ctrl-C."
        say(help_text("sonic-run [key=value ...]", text, "run", app.RunConfig))
        return 0
    config = load_config("run", arguments, app.RunConfig)
    with ExitStack() as beside, stop_on_signal() as stop_requested:
        if config.view:
            viewer, page = start_view(config.output.endpoint)
            beside.callback(viewer.close)
            say(f"live view: {page}")
        result = app.run(config, stop_requested)
    summary = result.summary
    say(
        f"{summary.ticks} ticks in {summary.wall_s:.1f} s, ended by {summary.stop_reason}; tick p50 "
        f"{summary.tick.p50_ms:.3f} ms, p99 {summary.tick.p99_ms:.3f} ms; deadlines missed: {summary.deadline_misses}; "
        f"ticks with clamped targets: {summary.clamped_ticks}; {result.folder / 'summary.json'}"
    )
    if result.policy["note"]:
        say(f"policy: {result.policy['note']}")
    if result.stream is not None:
        say(f"stream: {result.stream.line()}")
    if summary.fault is None:
        return 0
    sys.stderr.write(f"sonic-run: fault {summary.fault.code}: {summary.fault.detail}\n")
    return 1


def _bench(arguments: list[str]) -> int:
    from sonic_runtime.bench import BenchConfig, measure_tick
    from sonic_runtime.bench_compare import main as compare
    from sonic_runtime.config import load_config

    if arguments[:1] == ["compare"]:
        return compare(arguments[1:])
    if wants_help(arguments):
        text = "Measures the tick stage by stage, in lockstep on MuJoCo. The last line is JSON."
        say(help_text("sonic-bench tick [key=value ...] (or: sonic-bench compare --help)", text, "bench", BenchConfig))
        return 0
    if arguments[:1] != ["tick"]:
        found = repr(arguments[0]) if arguments else "nothing"
        raise ConfigError(f"expected what to measure, one of: tick, compare; got {found}")
    result = measure_tick(load_config("bench", arguments[1:], BenchConfig))
    say(result.table())
    say(msgspec.json.encode(result.line()).decode())
    return 0
