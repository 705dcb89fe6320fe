"""The loop's side of the writer, with the writer's process behind it and motors that only remember."""

import os
import signal
import time

import msgspec
import numpy as np
import pytest

from sonic_runtime.child import Child
from sonic_runtime.contract.errors import ConfigError, RobotError
from sonic_runtime.robot_io.mailbox import MailboxReader, MailboxWriter, create_mailbox
from sonic_runtime.robot_io.motor_output import MailboxStates, OutputSpec, close_fds, mailbox_output, open_output
from sonic_runtime.robot_io.records import MOTOR_COMMAND, ROBOT_STATE, is_damping, put_state, target_of
from sonic_runtime.robot_io.writer_link import WriterLink
from tests.fakes.parts import make_state, make_target
from tests.realtime.loop_process import shipped_config

# generous, so that a busy machine does not damp where a test does not ask for it
PATIENT = msgspec.structs.replace(
    shipped_config(), command_max_age_ms=1000.0, heartbeat_max_age_ms=500.0, lock_memory=True
)


class Rig:
    """A link, and both mailboxes of motor commands as a robot sees them."""

    def __init__(self, config=PATIENT):
        self.fds = [create_mailbox(layout) for layout in (ROBOT_STATE, MOTOR_COMMAND, MOTOR_COMMAND)]
        self.sensors = MailboxWriter(self.fds[0], ROBOT_STATE)
        self.from_writer, self.from_loop = (MailboxReader(fd, MOTOR_COMMAND) for fd in self.fds[1:])
        states = MailboxStates(self.fds[0])
        self.link = WriterLink(states, mailbox_output(self.fds[1]), mailbox_output(self.fds[2]), config, 8.0)

    def close(self):
        self.link.close()
        self.link.close()
        close_fds(*self.fds)


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.close()


def wait_until(condition, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def last(box):
    return target_of(box.newest())


def test_a_target_reaches_the_motors_again_and_again(rig):
    rig.link.write(make_target(np.full(29, 0.25)))
    wait_until(lambda: rig.from_writer.number > 20)
    assert last(rig.from_writer).joint_pos_hw == pytest.approx(np.full(29, 0.25))
    assert rig.from_loop.number == 0


def test_a_robot_that_has_measured_nothing_yet_is_an_error_and_then_none(rig):
    with pytest.raises(RobotError, match="has not measured any yet"):
        rig.link.read()
    put_state(rig.sensors, make_state(stamp_ns=77))
    assert rig.link.read().stamp_ns == 77
    assert rig.link.read() is rig.link.read()


def test_the_writer_says_what_the_system_granted_it(rig):
    notes = rig.link.writer_notes()
    assert len(notes) == 2
    assert notes[0].startswith("writer: SCHED_FIFO")
    assert notes[1].startswith("writer: memory")


def test_without_a_writer_only_damping_is_written_whatever_is_asked(rig):
    put_state(rig.sensors, make_state())
    rig.link.write(make_target())
    wait_until(lambda: rig.from_writer.number > 0)
    os.kill(rig.link.writer_pid, signal.SIGKILL)
    with pytest.raises(RobotError, match=r"its process has ended \(exit code -9\)"):
        wait_until(lambda: rig.link.read() is None)
    # told once; the ticks of damping still see the robot
    assert rig.link.read() is not None
    for i in range(3):
        rig.link.write(make_target())
        assert rig.from_loop.number == i + 1
        assert is_damping(last(rig.from_loop))


def test_a_stalled_writer_cannot_come_back(rig):
    put_state(rig.sensors, make_state())
    rig.link.write(make_target())
    wait_until(lambda: rig.from_writer.number > 0)
    os.kill(rig.link.writer_pid, signal.SIGSTOP)
    with pytest.raises(RobotError, match="its last heartbeat is"):
        wait_until(lambda: rig.link.read() is None)
    with pytest.raises(ProcessLookupError):
        os.kill(rig.link.writer_pid, signal.SIGCONT)


def test_the_end_is_damping_even_where_the_last_target_was_none(rig):
    rig.link.write(make_target())
    wait_until(lambda: rig.from_writer.number > 0)
    rig.link.close()
    assert is_damping(last(rig.from_writer))
    with pytest.raises(ProcessLookupError):
        os.kill(rig.link.writer_pid, 0)


def test_a_writer_killed_before_the_end_does_not_keep_the_motors_moving(rig):
    rig.link.write(make_target())
    wait_until(lambda: rig.from_writer.number > 0)
    os.kill(rig.link.writer_pid, signal.SIGKILL)
    rig.link.close()
    assert is_damping(last(rig.from_loop))
    assert rig.from_loop.number == 25, "one message can be lost"


def test_a_writer_that_dies_while_its_end_is_waited_for_does_not_keep_the_motors_moving(rig, monkeypatch):
    rig.link.write(make_target())
    wait_until(lambda: rig.from_writer.number > 0)
    wait = Child.wait

    def die_first(child, timeout_s):
        child.kill()
        return wait(child, timeout_s)

    os.kill(rig.link.writer_pid, signal.SIGSTOP)
    monkeypatch.setattr(Child, "wait", die_first)
    rig.link.close()
    assert is_damping(last(rig.from_loop))


def test_ctrl_c_while_the_writer_starts_leaves_no_writer_behind(monkeypatch):
    pids = []

    def interrupted(link):
        pids.append(link.writer_pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(WriterLink, "_await_heartbeat", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Rig()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_an_unknown_kind_of_motors_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"motor output 'serial': expected one of mailbox"):
        open_output(OutputSpec(kind="serial"))


def test_a_writer_that_cannot_start_says_why():
    fds = [create_mailbox(layout) for layout in (ROBOT_STATE, MOTOR_COMMAND)]
    try:
        with pytest.raises(RobotError, match=r"writer: it ended with exit code 2; it said: .*same version"):
            WriterLink(MailboxStates(fds[0]), mailbox_output(fds[0]), mailbox_output(fds[1]), PATIENT, 8.0)
    finally:
        close_fds(*fds)
