"""Entry points of the commands; each imports what it needs when it is called, so that --help is quick."""

from __future__ import annotations

import sys
from contextlib import ExitStack

from sonic_runtime.command_line import help_text, run_command, say, stop_on_signal, wants_help


def run() -> int:
    """`sonic-run`: the 50 Hz loop."""
    return run_command(_run, sys.argv[1:])


def bench() -> int:
    """`sonic-bench`: measurements."""
    from sonic_runtime.bench.command import main

    return run_command(main, sys.argv[1:])


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


def replay() -> int:
    """`sonic-replay`: run a recording again and compare, or export it."""
    from sonic_runtime.record.command import main

    return run_command(main, sys.argv[1:])


def doctor() -> int:
    """`sonic-doctor`: would a run be safe here?"""
    from sonic_runtime.doctor.command import main

    return run_command(main, sys.argv[1:])


def sim() -> int:
    """`sonic-sim`: a simulated G1 that speaks DDS."""
    from sonic_runtime.robot_io.unitree.sim_command import main

    return run_command(main, sys.argv[1:])


def _run(arguments: list[str]) -> int:
    from sonic_runtime.config import load_config
    from sonic_runtime.contract.operator import bindings_table
    from sonic_runtime.run import run as run_loop
    from sonic_runtime.run_config import RunConfig
    from sonic_runtime.view import start_view

    if wants_help(arguments):
        text = "Tracks streams and motions with a policy at 50 Hz, operated by keys, gamepad, remote or topic."
        say(help_text("sonic-run [key=value ...]", f"{text}\n\n{bindings_table()}", "run", RunConfig))
        return 0
    config = load_config("run", arguments, RunConfig)
    with ExitStack() as beside, stop_on_signal() as stop_requested:
        if config.view:
            viewer, page = start_view(config.output.endpoint)
            beside.callback(viewer.close)
            say(f"live view: {page}")
        result = run_loop(config, stop_requested)
    summary = result.summary
    say(
        f"{summary.ticks} ticks in {summary.wall_s:.1f} s, ended by {summary.stop_reason}; tick p50 "
        f"{summary.tick.p50_ms:.3f} ms, p99 {summary.tick.p99_ms:.3f} ms; deadlines missed: {summary.deadline_misses}; "
        f"ticks with clamped targets: {summary.clamped_ticks}; {result.folder / 'summary.json'}"
    )
    if result.policy["note"]:
        say(f"policy: {result.policy['note']}")
    for name, line in result.topics.items():
        say(f"{name}: {line}")
    if summary.fault is None:
        return 0
    sys.stderr.write(f"sonic-run: fault {summary.fault.code}: {summary.fault.detail}\n")
    return 1
