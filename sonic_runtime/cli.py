"""Entry points of the commands. Parses arguments, prints results, and turns a user's mistake into one line.

A `SonicError` is printed alone and the exit code is 2; any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import msgspec

from sonic_runtime.contract.errors import ConfigError, SonicError

EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130


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


def run_command(command: Callable[[list[str]], int | None], arguments: Sequence[str]) -> int:
    """Run a command and turn what a user can mend into a message.

    Args:
        command: takes the arguments, returns an exit code or None for 0.
        arguments: command line without the program's name.

    Returns:
        The exit code: 2 after a SonicError, 130 after Ctrl-C.
    """
    program = Path(sys.argv[0]).name
    try:
        return command(list(arguments)) or 0
    except SonicError as error:
        sys.stdout.flush()
        sys.stderr.write(f"{program}: {error}\n")
        return EXIT_MISTAKE
    except KeyboardInterrupt:
        sys.stderr.write(f"{program}: interrupted\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # the reader of our output is gone, as in `sonic-bench tick | head -1`
        sys.stderr.close()
        return 0


def wants_help(arguments: Sequence[str]) -> bool:
    """Return whether --help or -h is among the arguments."""
    return any(a in ("--help", "-h") for a in arguments)


def say(text: str) -> None:
    """Write a line to standard output, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def help_text(usage: str, description: str, config: str, schema: type[msgspec.Struct]) -> str:
    """Return the text of --help: usage, what the command does, and every key with its default and meaning."""
    from sonic_runtime.config import describe_config

    return f"usage: {usage}\n\n{description}\n\nkeys (key=value, defaults shown):\n{describe_config(config, schema)}"


@contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Catch Ctrl-C and SIGTERM inside the block; the function handed out says whether one came.

    The first one asks the loop to end in damping; the second one, from someone who cannot wait, raises.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _run(arguments: list[str]) -> int:
    from sonic_runtime import app
    from sonic_runtime.config import load_config, make_run_folder, save_config

    if wants_help(arguments):
        text = "Tracks a stream or a file with a policy at 50 Hz until the duration is over or Ctrl-C."
        say(help_text("sonic-run [key=value ...]", text, "run", app.RunConfig))
        return 0
    config = load_config("run", arguments, app.RunConfig)
    with stop_on_signal() as stop_requested:
        summary = app.run(config, stop_requested)
    folder = make_run_folder(config.run_dir)
    save_config(config, folder)
    (folder / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2))
    say(
        f"{summary.ticks} ticks in {summary.wall_s:.1f} s, ended by {summary.stop_reason}; tick p50 "
        f"{summary.tick.p50_ms:.3f} ms, p99 {summary.tick.p99_ms:.3f} ms; deadlines missed: {summary.deadline_misses}; "
        f"ticks with clamped targets: {summary.clamped_ticks}; {folder / 'summary.json'}"
    )
    if summary.fault is None:
        return 0
    sys.stderr.write(f"sonic-run: fault {summary.fault.code}: {summary.fault.detail}\n")
    return 1


def _bench(arguments: list[str]) -> int:
    from sonic_runtime.bench import BenchConfig, measure_tick
    from sonic_runtime.config import load_config

    if wants_help(arguments):
        text = "Measures the tick stage by stage, in lockstep on MuJoCo. The last line is JSON."
        say(help_text("sonic-bench tick [key=value ...]", text, "bench", BenchConfig))
        return 0
    if arguments[:1] != ["tick"]:
        found = repr(arguments[0]) if arguments else "nothing"
        raise ConfigError(f"expected what to measure, one of: tick; got {found}")
    result = measure_tick(load_config("bench", arguments[1:], BenchConfig))
    say(result.table())
    say(msgspec.json.encode(result.line()).decode())
    return 0
