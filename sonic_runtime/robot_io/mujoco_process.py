"""A simulated G1 in a process of its own, in real time (`python -m sonic_runtime.robot_io.mujoco_process`).

It stands where a robot stands: it measures and moves whether anyone controls it or not, 200 times a second by the
machine's clock. States go out through one mailbox; motor commands come in through two, one from the writer and one from
the loop, and the newer command counts. The last command holds until the next one, as on the motors of a G1.

A step that comes late is caught up with; on a machine that is too slow for that, time is left out and counted, and the
status says at which speed the simulation runs.
"""

from __future__ import annotations

import os
import signal
import sys
import time

import msgspec

from sonic_runtime.contract.errors import SonicError
from sonic_runtime.contract.messages import JointTarget
from sonic_runtime.pacing import BUFFER_BYTES, Lateness, Pacer
from sonic_runtime.realtime import quiet_heap, real_time
from sonic_runtime.robot_io.gantry import GantryRobot, StartPose
from sonic_runtime.robot_io.mailbox import MailboxReader, MailboxWriter, map_memory
from sonic_runtime.robot_io.mujoco_sim import PHYSICS_HZ
from sonic_runtime.robot_io.records import (
    MOTOR_COMMAND,
    ROBOT_STATE,
    SIM_CONTROL,
    SIM_STATUS,
    is_damping,
    put_state,
    target_of,
)

_CATCH_UP_STEPS = 10
"""Steps that are caught up with, 50 ms; after a longer pause the world has stood still."""
_SPEED_STEPS = round(PHYSICS_HZ)


class SimSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The command line of the simulated robot, as JSON."""

    parent_pid: int
    """Process that started it."""
    orphan_s: float
    """How long it goes on when that process is gone [s], so that its last commands can be seen to arrive."""
    state_fd: int
    """Mailbox of `ROBOT_STATE`."""
    command_fds: tuple[int, ...]
    """Mailboxes of `MOTOR_COMMAND`; the newest command of all counts."""
    control_fd: int
    """Mailbox of `SIM_CONTROL`."""
    status_fd: int
    """Mailbox of `SIM_STATUS`."""
    lateness_fd: int
    """Memory of a `Lateness` histogram: how late each step began."""
    start: StartPose
    gantry: int
    """What the gantry does until told otherwise (GANTRY_*)."""
    priority: int


class Commands:
    """Motor commands as a robot receives them.

    Args:
        boxes: where they come from.

    Attributes:
        target: the newest one; None before the first.
        received: how many were sent.
        last_ns: when the newest was sent [ns].
        damping_since_ns: when the first of the unbroken row of damping commands up to now was received [ns]; 0 where
            the newest is no damping.
    """

    def __init__(self, boxes: list[MailboxReader]) -> None:
        self.target: JointTarget | None = None
        self.received = 0
        self.last_ns = 0
        self.damping_since_ns = 0
        self._boxes = boxes

    def take(self) -> JointTarget | None:
        """Look into the mailboxes and return the newest command."""
        received = sum(box.number for box in self._boxes)
        if received == self.received:
            return self.target
        self.received = received
        records = [record for box in self._boxes if (record := box.newest()) is not None]
        newest = max(records, key=lambda record: record.fields["stamp_ns"][0], default=None)
        if newest is None:
            return self.target
        self.target = target_of(newest)
        self.last_ns = int(newest.fields["stamp_ns"][0])
        if not is_damping(self.target):
            self.damping_since_ns = 0
        elif self.damping_since_ns == 0:
            self.damping_since_ns = time.monotonic_ns()
        return self.target


class SimStep:
    """What the simulated robot does every 5 ms, without its clock.

    Args:
        robot: the physics.
        commands: where targets come from.
        states: where states go.
        control: what is asked of the simulation.
        status: what is told about it.

    Attributes:
        ended: whether it was told to end.
        skipped_ns: time left out so far [ns].
    """

    def __init__(
        self,
        robot: GantryRobot,
        commands: Commands,
        states: MailboxWriter,
        control: MailboxReader,
        status: MailboxWriter,
    ) -> None:
        self.ended = False
        self.skipped_ns = 0
        self._robot = robot
        self._commands = commands
        self._states = states
        self._control = control
        self._status = status
        self._control_number = 0
        self._resets = 0
        self._steps = 0
        self._speed = 1.0
        self._second_began_ns = 0

    def run(self, now_ns: int) -> None:
        """Do what is asked, one physics step with the newest command, and show the result."""
        if self._control.number != self._control_number:
            self._obey()
        put_state(self._states, self._robot.step(self._commands.take()))
        if self._steps % _SPEED_STEPS == 0:
            if self._second_began_ns:
                self._speed = _SPEED_STEPS / PHYSICS_HZ / ((now_ns - self._second_began_ns) * 1e-9)
            self._second_began_ns = now_ns
        self._steps += 1
        self._show(now_ns)

    def _obey(self) -> None:
        record = self._control.newest()
        if record is None:
            return
        self._control_number = record.number
        self._robot.gantry = int(record.fields["gantry"][0])
        self.ended = bool(record.fields["end"][0])
        resets = int(record.fields["resets"][0])
        if resets != self._resets:
            self._resets = resets
            self._robot.reset()

    def _show(self, now_ns: int) -> None:
        fields, commands = self._status.fields, self._commands
        fields["stamp_ns"] = now_ns
        fields["steps"] = self._steps
        fields["commands"] = commands.received
        fields["last_command_ns"] = commands.last_ns
        fields["damping_since_ns"] = commands.damping_since_ns
        fields["skipped_ns"] = self.skipped_ns
        fields["speed"] = self._speed
        fields["held"] = self._robot.held
        fields["resets"] = self._resets
        self._status.put()


def run(spec: SimSpec) -> None:
    """Simulate until told to end, terminated, or `orphan_s` after the parent is gone.

    Raises:
        SonicError: the mailboxes cannot be opened.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    step = SimStep(
        GantryRobot(spec.start, spec.gantry),
        Commands([MailboxReader(fd, MOTOR_COMMAND) for fd in spec.command_fds]),
        MailboxWriter(spec.state_fd, ROBOT_STATE),
        MailboxReader(spec.control_fd, SIM_CONTROL),
        MailboxWriter(spec.status_fd, SIM_STATUS),
    )
    lateness = Lateness(map_memory(spec.lateness_fd, BUFFER_BYTES, writable=True))
    with quiet_heap(), real_time("simulated robot", spec.priority, cpu=None, lock_memory=False):
        pacer = Pacer(PHYSICS_HZ, lateness, _CATCH_UP_STEPS)
        orphan_steps = round(spec.orphan_s * PHYSICS_HZ)
        while not step.ended and orphan_steps > 0:
            step.skipped_ns += round(pacer.wait() * 1e9 / PHYSICS_HZ)
            step.run(time.monotonic_ns())
            orphan_steps -= os.getppid() != spec.parent_pid


def main(arguments: list[str]) -> int:
    """Run the simulated robot with its specification as the only argument."""
    try:
        run(msgspec.json.decode(arguments[0], type=SimSpec))
    except (SonicError, msgspec.MsgspecError, IndexError) as error:
        sys.stderr.write(f"simulated robot: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
