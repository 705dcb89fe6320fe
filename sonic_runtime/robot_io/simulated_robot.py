"""A simulated G1 on this machine, seen from the process that starts it: its sensors, its motors, its gantry."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import msgspec

from sonic_runtime.child import Child
from sonic_runtime.contract.errors import RobotError
from sonic_runtime.contract.messages import TickReport
from sonic_runtime.pacing import BUFFER_BYTES, Lateness, LatenessStats
from sonic_runtime.robot_io.gantry import StartPose
from sonic_runtime.robot_io.mailbox import MailboxReader, MailboxWriter, create_mailbox, map_memory, shared_memory
from sonic_runtime.robot_io.motor_output import MailboxStates, OutputSpec, StateInput, close_fds, mailbox_output
from sonic_runtime.robot_io.mujoco_process import SimSpec
from sonic_runtime.robot_io.records import (
    GANTRY_FREE,
    GANTRY_HOLD,
    GANTRY_LOWER,
    MOTOR_COMMAND,
    ROBOT_STATE,
    SIM_CONTROL,
    SIM_STATUS,
)

_START_S = 60.0
_END_S = 1.0
_ORPHAN_S = 3.0
_SLOW = 0.98
_GANTRY_OF_MODE = {
    "waiting": GANTRY_HOLD,
    "ramp": GANTRY_HOLD,
    "ready": GANTRY_LOWER,
    "stand": GANTRY_FREE,
    "active": GANTRY_FREE,
}
"""In damping the gantry does what it did before: a robot that was let go is not caught again."""


@dataclass(frozen=True, slots=True)
class SimStatus:
    """What a simulated robot did so far.

    Attributes:
        steps: physics steps of 5 ms.
        commands: motor commands sent to it.
        last_command_ns: when the newest was sent, on the monotonic clock [ns]; 0 before the first.
        damping_since_ns: when the first of the unbroken row of damping commands up to now was received [ns]; 0 where
            the newest is no damping.
        skipped_s: time left out because the machine was too slow [s].
        speed: simulated time over real time in the last second; 1 where the machine is fast enough.
        held: whether the gantry carries the robot.
        resets: how often it was put back into its start pose.
    """

    steps: int
    commands: int
    last_command_ns: int
    damping_since_ns: int
    skipped_s: float
    speed: float
    held: bool
    resets: int

    @property
    def warning(self) -> str:
        """A line for the user where the machine was too slow; empty where it was not."""
        if self.skipped_s == 0.0 and self.speed >= _SLOW:
            return ""
        return (
            f"the simulation does not keep real time: {self.skipped_s * 1e3:.0f} ms left out so far, now at "
            f"{self.speed:.2f} of real time; close other programs, or plug the machine in"
        )


class SimulatedRobot:
    """Starts the simulator's process, and ends it.

    It is a ReportSink: the mode of each tick tells the gantry to hold (waiting, ramp), to lower the robot to the ground
    (ready), or to let go there (stand, active). The process goes on for three seconds when this one is killed.

    Args:
        start: "hanging" above the ground with all joints at zero, or "standing" in the default pose.
        gantry: whether the gantry carries the robot until a report lets go of it.
        priority: SCHED_FIFO priority of the simulator, 0 for none.

    Attributes:
        writer_output, own_output: how the writer and the loop open the motors.

    Raises:
        RobotError: the simulator does not start.
    """

    def __init__(self, start: StartPose = "hanging", gantry: bool = True, priority: int = 0) -> None:
        self._gantry = GANTRY_HOLD if gantry else GANTRY_FREE
        self._resets = 0
        self._closed = False
        layouts = (ROBOT_STATE, MOTOR_COMMAND, MOTOR_COMMAND, SIM_CONTROL, SIM_STATUS)
        self._fds = [*(create_mailbox(layout) for layout in layouts), shared_memory(BUFFER_BYTES)]
        self.state_fd, writer_fd, own_fd, control_fd, status_fd, lateness_fd = self._fds
        self.writer_output: OutputSpec = mailbox_output(writer_fd)
        self.own_output: OutputSpec = mailbox_output(own_fd)
        self._control = MailboxWriter(control_fd, SIM_CONTROL)
        self._status = MailboxReader(status_fd, SIM_STATUS)
        self._lateness = Lateness(map_memory(lateness_fd, BUFFER_BYTES, writable=True))
        spec = SimSpec(
            parent_pid=os.getpid(),
            orphan_s=_ORPHAN_S,
            state_fd=self.state_fd,
            command_fds=(writer_fd, own_fd),
            control_fd=control_fd,
            status_fd=status_fd,
            lateness_fd=lateness_fd,
            start=start,
            gantry=self._gantry,
            priority=priority,
        )
        module, arguments = "sonic_runtime.robot_io.mujoco_process", [msgspec.json.encode(spec).decode()]
        self._process = Child("simulated robot", module, arguments, self._fds)
        try:
            self._await_first_step()
        except BaseException:  # Ctrl-C too
            self._process.close()
            close_fds(*self._fds)
            raise

    @property
    def pid(self) -> int:
        """Process number of the simulator."""
        return self._process.pid

    def states(self) -> StateInput:
        """Return a new connection to the sensors; it raises RobotError once the simulator's process has ended."""
        return MailboxStates(self.state_fd, self._process.require_alive)

    def put(self, report: TickReport) -> None:
        """Let the gantry do what the mode of the tick calls for."""
        gantry = _GANTRY_OF_MODE.get(report.mode, self._gantry)
        if gantry != self._gantry:
            self._gantry = gantry
            self._ask()

    def reset(self) -> None:
        """Ask for the start pose, on the gantry where it began there, as after a fall."""
        self._resets += 1
        self._ask()

    def hold(self, held: bool) -> None:
        """Let the gantry carry the robot from now on, or put it on the ground and let go of it."""
        self._gantry = GANTRY_HOLD if held else GANTRY_FREE
        self._ask()

    def status(self) -> SimStatus:
        """Return what the robot did so far."""
        record = self._status.newest()
        if record is None:
            return SimStatus(0, 0, 0, 0, 0.0, 1.0, self._gantry != GANTRY_FREE, 0)
        fields = record.fields
        return SimStatus(
            steps=int(fields["steps"][0]),
            commands=int(fields["commands"][0]),
            last_command_ns=int(fields["last_command_ns"][0]),
            damping_since_ns=int(fields["damping_since_ns"][0]),
            skipped_s=int(fields["skipped_ns"][0]) * 1e-9,
            speed=float(fields["speed"][0]),
            held=bool(fields["held"][0]),
            resets=int(fields["resets"][0]),
        )

    def lateness(self) -> LatenessStats:
        """Return how late the physics steps began."""
        return self._lateness.stats()

    def close(self) -> None:
        """End the simulator; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._ask(end=True)
        self._process.wait(_END_S)
        self._process.close()
        close_fds(*self._fds)

    def _ask(self, end: bool = False) -> None:
        fields = self._control.fields
        fields["gantry"] = self._gantry
        fields["resets"] = self._resets
        fields["end"] = end
        self._control.put()

    def _await_first_step(self) -> None:
        deadline = time.monotonic() + _START_S
        while self._status.number == 0:
            self._process.require_alive()
            if time.monotonic() > deadline:
                raise RobotError(f"simulated robot: expected it to be ready within {_START_S:g} s")
            time.sleep(0.01)
