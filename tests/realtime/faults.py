"""Faults of processes, injected into a running robot, and the time until its motors are told to damp.

`measure(name)` returns milliseconds from the signal to the first damping command that the simulated robot received, on
the robot's side, where it looks 200 times a second. `python -m tests.realtime.faults` prints a line of JSON for each.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress

from sonic_runtime.child import Child
from sonic_runtime.robot_io.simulated_robot import SimulatedRobot

_START_S = 60.0
_SETTLE_S = 0.4
_GIVE_UP_S = 5.0
_TRIES = 5


class DisturbedError(Exception):
    """The run ended before its fault was injected: another process kept the machine busy for too long."""


class Running:
    """A robot that stands by its policy, with loop and writer in processes of their own.

    Attributes:
        robot: the simulated robot; its process belongs to the test, so that it outlives both others.
        loop: the loop's process.
        writer_pid: the writer's.
    """

    def __init__(self, robot: SimulatedRobot) -> None:
        self.robot = robot
        self._began_ns = time.monotonic_ns()
        fds = {"state": robot.state_fd, "writer": robot.writer_output.fds[0], "own": robot.own_output.fds[0]}
        self.loop = Child("loop", "tests.realtime.loop_process", [json.dumps(fds)], tuple(fds.values()))
        self.loop.wait_for_output("writer", _START_S)
        self.writer_pid = int(self.loop.output().split()[1])

    def settle(self) -> None:
        """Wait until the loop controls the robot, and let go of it.

        Raises:
            DisturbedError: it does not.
        """
        robot, deadline = self.robot, time.monotonic() + _START_S
        while robot.status().damping_since_ns or robot.status().last_command_ns < self._began_ns:
            if self.loop.exit_code is not None or time.monotonic() > deadline:
                raise DisturbedError(self.loop.output())
            time.sleep(0.01)
        robot.hold(False)
        time.sleep(_SETTLE_S)

    def ms_to_damping(self, pid: int, number: signal.Signals) -> float:
        """Send a signal and return the time until the robot was told to damp [ms]."""
        if self.robot.status().damping_since_ns:
            raise DisturbedError(self.loop.output())
        sent_ns = time.monotonic_ns()
        os.kill(pid, number)
        while (since_ns := self.robot.status().damping_since_ns) == 0:
            assert time.monotonic_ns() - sent_ns < _GIVE_UP_S * 1e9, "the robot was never damped"
            time.sleep(0.001)
        return (since_ns - sent_ns) * 1e-6

    def stays_damped(self, seconds: float) -> bool:
        """Return whether every command that the robot receives for some time is damping."""
        since_ns, end = self.robot.status().damping_since_ns, time.monotonic() + seconds
        while time.monotonic() < end:
            if self.robot.status().damping_since_ns != since_ns:
                return False
            time.sleep(0.005)
        return since_ns > 0

    def close(self) -> None:
        """End whatever is left of loop and writer: an orphaned writer would write to the next run's motors."""
        self.loop.kill()
        self.loop.close()
        with suppress(ProcessLookupError):
            os.kill(self.writer_pid, signal.SIGKILL)


def killed_controller(run: Running) -> float:
    """Loop process killed: the writer, whose parent it was, damps."""
    return run.ms_to_damping(run.loop.pid, signal.SIGKILL)


def stopped_controller(run: Running) -> float:
    """Loop process suspended: the writer damps when the last command is too old."""
    return run.ms_to_damping(run.loop.pid, signal.SIGSTOP)


def killed_writer(run: Running) -> float:
    """Writer process killed: the loop damps over a connection of its own."""
    return run.ms_to_damping(run.writer_pid, signal.SIGKILL)


def stopped_writer(run: Running) -> float:
    """Writer process suspended: the loop misses its heartbeat, kills it and damps."""
    return run.ms_to_damping(run.writer_pid, signal.SIGSTOP)


def terminated_writer(run: Running) -> float:
    """Writer process asked to terminate: it damps, and the loop sees that it does."""
    return run.ms_to_damping(run.writer_pid, signal.SIGTERM)


def clean_stop(run: Running) -> float:
    """SIGTERM or Ctrl-C to the loop: the run ends in damping."""
    return run.ms_to_damping(run.loop.pid, signal.SIGTERM)


Check = Callable[[Running], object]

FAULTS: dict[str, Callable[[Running], float]] = {
    fault.__name__: fault
    for fault in (killed_controller, stopped_controller, killed_writer, stopped_writer, terminated_writer, clean_stop)
}


@contextmanager
def simulated_robot():
    """A robot for one or more measurements, on its gantry."""
    robot = SimulatedRobot(start="standing", gantry=True, priority=39)
    try:
        yield robot
    finally:
        robot.close()


@contextmanager
def running(robot: SimulatedRobot):
    """A robot put back on its feet, and loop and writer that control it."""
    robot.hold(True)
    robot.reset()
    run = Running(robot)
    try:
        run.settle()
        yield run
    finally:
        run.close()


def measure(name: str, robot: SimulatedRobot | None = None, check: Check = lambda run: None) -> float:
    """Inject a fault into a fresh run and return the time to damping at the robot [ms].

    Args:
        name: key of `FAULTS`.
        robot: a robot that exists already; None for one of its own.
        check: looks at the run after the fault.
    """
    if robot is None:
        with simulated_robot() as own:
            return measure(name, own, check)
    for _ in range(_TRIES):
        with suppress(DisturbedError), running(robot) as run:
            ms = FAULTS[name](run)
            check(run)
            return ms
    raise AssertionError(f"{name}: this machine is too busy to run the loop for {_SETTLE_S} s")


def main(names: list[str]) -> None:
    for name in names or FAULTS:
        print(json.dumps({"fault": name, "ms_to_damping": round(measure(name), 2)}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
