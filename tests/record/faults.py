"""Faults of a recording, injected into a loop in real time, and the time until its robot is told to damp.

`python -m tests.record.faults` prints a line of JSON for each.
"""

import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sonic_runtime.clock import RealTimeClock
from sonic_runtime.loop import Loop, RunLimits
from sonic_runtime.record import recorder as recorder_module
from sonic_runtime.record.about import About
from sonic_runtime.record.recorder import McapRecorder
from sonic_runtime.record.tape import Tape
from tests.fakes.parts import FakeRobot, FakeRun, make_state

_BEFORE_S = 0.6


class StampedRobot(FakeRobot):
    """Remembers when it was first told to damp."""

    damped_ns = 0

    def read(self):
        return make_state(stamp_ns=time.monotonic_ns())

    def write(self, target):
        if not self.damped_ns and not target.stiffness_hw.any():
            self.damped_ns = time.monotonic_ns()


def full_disk(recorder: McapRecorder, disk: Path) -> None:
    """No room is left on the disk."""
    disk.write_text("0")


def killed_recording(recorder: McapRecorder, disk: Path) -> None:
    """The process that writes the recording is killed."""
    os.kill(recorder.pid, signal.SIGKILL)


FAULTS: dict[str, Callable[[McapRecorder, Path], None]] = {f.__name__: f for f in (full_disk, killed_recording)}


def measure(name: str) -> tuple[float, str]:
    """Return the time from the fault to the first damping at the robot [ms], and the detail of the run's fault."""
    with tempfile.TemporaryDirectory() as folder:
        disk = Path(folder) / "free_bytes"
        os.environ["SONIC_TEST_DISK"] = str(disk)
        writer, recorder_module._WRITER = recorder_module._WRITER, "tests.record.small_disk_writer"
        try:
            about = About(metadata={"sonic": {"format_version": "1"}}, attachments=[])
            recorder = McapRecorder(Path(folder) / "run.mcap", about, Tape())
        finally:
            recorder_module._WRITER = writer
            del os.environ["SONIC_TEST_DISK"]
        return _run(recorder, lambda: FAULTS[name](recorder, disk))


def _run(recorder: McapRecorder, inject: Callable[[], None]) -> tuple[float, str]:
    clock, run = RealTimeClock(), FakeRun(overrun_ms=1000.0, stale_state_ms=1000.0)
    robot = StampedRobot(run.clock)
    run.goals.goal_of = lambda index: None
    parts = replace(run.parts, robot=robot, clock=clock)
    injected: list[int] = []

    def inject_later():
        time.sleep(_BEFORE_S)
        injected.append(time.monotonic_ns())
        inject()

    thread = threading.Thread(target=inject_later)
    thread.start()
    summary = Loop(parts, [recorder]).run(RunLimits(max_ticks=150, damping_ticks=5))
    thread.join()
    recorder.close()
    assert summary.fault is not None, "the run was never told"
    return (robot.damped_ns - injected[0]) * 1e-6, f"{summary.fault.code}: {summary.fault.detail}"


def main(names: list[str]) -> None:
    for name in names or FAULTS:
        print(json.dumps({"fault": name, "ms_to_damping": round(measure(name)[0], 2)}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
