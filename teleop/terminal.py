"""The terminal as a device that gives single keys, and is left as it was found.

While it is open, keys come at once and are not echoed; Ctrl-C still interrupts. Two other control characters are
switched off: Ctrl-Z, because a suspended controller holds no robot, and Ctrl-S, because it would block what is shown.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import termios
import threading
from types import FrameType
from typing import Any

_READ_BYTES = 256
_CHECK_EVERY = 25
"""Calls of `read` between looks at the terminal's mode: half a second at 50 Hz."""
_INPUT, _LOCAL, _CONTROL = 0, 3, 6
"""Places in the list that termios.tcgetattr returns."""


class Terminal:
    """A terminal in the mode for single keys.

    After a stop and a continue (SIGTSTP, SIGSTOP, the shell's fg) it takes its mode again; in the background it reads
    nothing, which would stop the process.

    Args:
        fd: file descriptor of the terminal, left open on `close`.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._found: list[Any] = termios.tcgetattr(fd)
        self._wanted = _single_keys(self._found)
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._reads = 0
        self._closed = False
        self._take(termios.TCSAFLUSH)  # keys typed before the program was there are not meant for it
        self._previous_handler = self._on_suspend() if _in_main_thread() else None
        atexit.register(self.close)

    def read(self) -> bytes | None:
        """Return what was typed since the last call, at once; None where the terminal is gone."""
        self._reads += 1
        if self._reads % _CHECK_EVERY == 0:
            self._take_again()
        try:
            ready = self._poll.poll(0)
            if not ready or not _in_foreground(self._fd):
                return b""
            typed = os.read(self._fd, _READ_BYTES)
        except OSError:
            return None
        hung_up = ready[0][1] & (select.POLLHUP | select.POLLERR | select.POLLNVAL)
        return None if hung_up and not typed else typed

    def close(self) -> None:
        """Give the terminal back as it was found; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        if self._previous_handler is not None and _in_main_thread():
            signal.signal(signal.SIGTSTP, self._previous_handler)
        self._give_back()

    def _take(self, when: int = termios.TCSANOW) -> None:
        """Set the mode for single keys, unless the terminal is somebody else's now."""
        try:
            if _in_foreground(self._fd):
                termios.tcsetattr(self._fd, when, self._wanted)
        except (OSError, termios.error):
            return  # hung up; `read` tells

    def _take_again(self) -> None:
        """Set the mode anew where a shell has changed it while the process was stopped."""
        try:
            if termios.tcgetattr(self._fd)[_LOCAL] != self._wanted[_LOCAL]:
                self._take()
        except (OSError, termios.error):
            return

    def _give_back(self) -> None:
        try:
            if _in_foreground(self._fd):
                # not TCSADRAIN: it waits for output that a hung-up or halted terminal never takes
                termios.tcsetattr(self._fd, termios.TCSANOW, self._found)
        except (OSError, termios.error):
            return

    def _on_suspend(self) -> Any:
        return signal.signal(signal.SIGTSTP, self._suspend)

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        """Give the terminal back, stop as asked, and take it again on being continued."""
        self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        self._on_suspend()
        self._take()


def _single_keys(found: list[Any]) -> list[Any]:
    """Return a terminal's attributes, changed to single keys without echo."""
    wanted = [*found[:_CONTROL], list(found[_CONTROL])]
    wanted[_INPUT] &= ~termios.IXON
    wanted[_LOCAL] &= ~(termios.ICANON | termios.ECHO)
    # 0 is _POSIX_VDISABLE on Linux
    wanted[_CONTROL][termios.VSUSP] = b"\x00"
    wanted[_CONTROL][termios.VMIN] = 0
    wanted[_CONTROL][termios.VTIME] = 0
    return wanted


def _in_foreground(fd: int) -> bool:
    """Return whether this process may read and set the terminal; a terminal that controls no process is free."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return True


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
