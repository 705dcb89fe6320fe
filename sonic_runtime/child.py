"""Other processes of ours that a command starts beside itself, and never leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from types import TracebackType

from sonic_runtime.contract.errors import RobotError

_GRACE_S = 3.0


class Child:
    """A Python module run as a process of its own; a context manager that ends it in every case.

    Args:
        name: what to call it in errors.
        module: module to run, as with `python -m`.
        arguments: its command line.
        fds: file descriptors that it inherits, under the same numbers.
    """

    def __init__(self, name: str, module: str, arguments: list[str], fds: Sequence[int] = ()) -> None:
        self._name = name
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            # a session of its own, so that Ctrl-C reaches this process alone, which then ends the child
            start_new_session=True,
            pass_fds=tuple(fds),
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        )

    @property
    def pid(self) -> int:
        """Process number."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def output(self) -> str:
        """Return what it has printed so far, errors included."""
        # the child shares the file's position, which reading must not move
        file = self._output.fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")

    def wait_for_output(self, text: str, timeout_s: float) -> None:
        """Wait until it has printed some text.

        Raises:
            RobotError: it ended before, or took longer; the message ends with what it printed.
        """
        deadline = time.monotonic() + timeout_s
        while text not in self.output():
            self.require_alive()
            if time.monotonic() > deadline:
                raise RobotError(f"{self._name}: expected it to be ready within {timeout_s:g} s; {self._last_words()}")
            time.sleep(0.02)

    def require_alive(self) -> None:
        """Raise RobotError where it has ended, with what it printed."""
        if (code := self._process.poll()) is not None:
            raise RobotError(f"{self._name}: it ended with exit code {code}; {self._last_words()}")

    def kill(self) -> None:
        """End it without asking, even where it was stopped; `wait` tells when it is gone."""
        self._process.kill()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end and return whether it came in time."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        """End it: ask first, then kill; safe to call twice."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._output.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _last_words(self) -> str:
        lines = [line for line in self.output().splitlines() if line.strip()]
        return "it said: " + " / ".join(lines[-3:]) if lines else "it said nothing"
