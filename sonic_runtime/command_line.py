"""What every command shares: messages for a user's mistakes, --help, and an orderly end on a signal.

A `SonicError` is printed alone and the exit code is 2; any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import msgspec

from sonic_runtime.contract.errors import SonicError

EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
"""What a shell tells of a program that SIGPIPE ended."""


def run_command(command: Callable[[list[str]], int | None], arguments: Sequence[str]) -> int:
    """Run a command and turn what a user can mend into a message.

    Args:
        command: takes the arguments, returns an exit code or None for 0.
        arguments: command line without the program's name.

    Returns:
        The exit code: 2 after a SonicError, 130 after Ctrl-C, 141 after a pipe that `say` does not account for.
    """
    program = Path(sys.argv[0]).name
    try:
        return command(list(arguments)) or 0
    except SonicError as error:
        with _or_nowhere():
            sys.stdout.flush()
        sys.stderr.write(f"{program}: {error}\n")
        return EXIT_MISTAKE
    except KeyboardInterrupt:
        sys.stderr.write(f"{program}: interrupted\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # what the command would have returned is not known; it was no success
        sys.stderr.close()
        return EXIT_BROKEN_PIPE


def wants_help(arguments: Sequence[str]) -> bool:
    """Return whether --help or -h is among the arguments."""
    return any(a in ("--help", "-h") for a in arguments)


def say(text: str) -> None:
    """Write a line to standard output, at once.

    Where its reader is gone, as in `sonic-run | head -1`, this and all that follows goes nowhere: the command runs on
    to its end, and its exit code is that of what it did.
    """
    with _or_nowhere():
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


@contextmanager
def _or_nowhere() -> Iterator[None]:
    """Send standard output nowhere from now on, what is still buffered included, where its reader is gone."""
    try:
        yield
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def help_text(usage: str, description: str, config: str, schema: type[msgspec.Struct]) -> str:
    """Return the text of --help: usage, what the command does, and every key with its default and meaning."""
    from sonic_runtime.config import describe_config

    return f"usage: {usage}\n\n{description}\n\nkeys (key=value, defaults shown):\n{describe_config(config, schema)}"


@contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Catch Ctrl-C, SIGQUIT, SIGTERM and a closed terminal; the function handed out says whether one came.

    The first one asks the loop to end in damping; the second one, from someone who cannot wait, raises. A closed
    terminal is left alone where it is ignored already, as under nohup.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt

    # left to itself, Ctrl-\ would end the process at once: terminal without echo, robot without a last damping
    numbers = [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, note) for number in numbers}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
