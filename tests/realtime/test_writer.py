"""The writer's cycle: what is repeated, and everything that makes it damp and never stop damping."""

import os
import tracemalloc

import numpy as np
import pytest

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.robot_io.mailbox import MailboxReader, MailboxWriter, create_mailbox
from sonic_runtime.robot_io.records import (
    KIND_END,
    MOTOR_COMMAND,
    PHASE_COMMAND,
    PHASE_DAMPING,
    PHASE_IDLE,
    REASON_AGE,
    REASON_END,
    REASON_OUTPUT,
    REASON_PARENT,
    REASON_SIGTERM,
    WRITER_STATUS,
    damping_target,
    is_damping,
    put_target,
)
from sonic_runtime.writer import WriterCycle, main
from tests.fakes.parts import make_target

MS = 1_000_000
START = 5_000 * MS


class Motors:
    def __init__(self):
        self.written = []
        self.broken = False

    def write(self, target):
        if self.broken:
            raise RobotError("the cable is out")
        self.written.append(target)

    def close(self):
        pass


class Rig:
    """A writer's cycle with everything around it."""

    def __init__(self, max_age_ms=60):
        fds = create_mailbox(MOTOR_COMMAND), create_mailbox(WRITER_STATUS)
        self.motors = Motors()
        self.loop = MailboxWriter(fds[0], MOTOR_COMMAND)
        self.status = MailboxReader(fds[1], WRITER_STATUS)
        self.cycle = WriterCycle(
            MailboxReader(fds[0], MOTOR_COMMAND),
            MailboxWriter(fds[1], WRITER_STATUS),
            self.motors,
            damping_target(8.0),
            max_age_ms * MS,
        )
        for fd in fds:
            os.close(fd)

    def command(self, stamp_ns, value=0.3, kind=1):
        put_target(self.loop, make_target(np.full(29, value)), stamp_ns, kind)

    def shown(self, name):
        return int(self.status.newest().fields[name][0])


@pytest.fixture
def rig():
    return Rig()


def test_nothing_is_written_before_the_first_command(rig):
    for i in range(100):
        rig.cycle.run(START + 2 * i * MS)
    assert rig.motors.written == []
    assert (rig.cycle.phase, rig.shown("phase"), rig.shown("cycles")) == (PHASE_IDLE, PHASE_IDLE, 100)


def test_the_newest_command_is_repeated(rig):
    rig.command(START, 0.1)
    for i in range(10):
        rig.cycle.run(START + 2 * i * MS)
    rig.command(START + 20 * MS, 0.2)
    rig.cycle.run(START + 20 * MS)
    assert [t.joint_pos_hw[3] for t in rig.motors.written] == [0.1] * 10 + [0.2]
    expected = make_target(np.full(29, 0.2))
    for name in expected.__slots__:
        assert np.array_equal(getattr(rig.motors.written[-1], name), getattr(expected, name))
    assert rig.shown("phase") == PHASE_COMMAND
    assert rig.shown("stamp_ns") == START + 20 * MS


def test_an_old_command_is_damped_for_ever(rig):
    rig.command(START)
    rig.cycle.run(START + 60 * MS)
    assert rig.cycle.phase == PHASE_COMMAND
    rig.cycle.run(START + 62 * MS)
    assert is_damping(rig.motors.written[-1])
    assert rig.motors.written[-1].damping_hw == pytest.approx(np.full(29, 8.0))
    # the loop is back, as after a pause of its process
    rig.command(START + 64 * MS)
    for i in range(10):
        rig.cycle.run(START + (64 + 2 * i) * MS)
    assert all(is_damping(t) for t in rig.motors.written[1:])
    assert (rig.shown("phase"), rig.shown("reason"), rig.shown("age_ns")) == (PHASE_DAMPING, REASON_AGE, 62 * MS)


def test_a_command_of_another_clock_is_damped(rig):
    rig.command(START + 3600_000 * MS)
    rig.cycle.run(START)
    assert is_damping(rig.motors.written[-1])


@pytest.mark.parametrize(
    ("why", "reason"), [({"parent_alive": False}, REASON_PARENT), ({"told_to_terminate": True}, REASON_SIGTERM)]
)
def test_the_death_of_the_loop_and_a_signal_are_damped_at_once(rig, why, reason):
    rig.command(START)
    rig.cycle.run(START)
    rig.cycle.run(START + 2 * MS, **why)
    assert [is_damping(t) for t in rig.motors.written] == [False, True]
    rig.cycle.run(START + 4 * MS)
    assert is_damping(rig.motors.written[-1])
    assert rig.cycle.reason == reason


def test_the_word_to_end_is_heard_after_a_signal_too(rig):
    rig.command(START)
    rig.cycle.run(START, told_to_terminate=True)
    rig.command(START, kind=KIND_END)
    rig.cycle.run(START + 2 * MS, told_to_terminate=True)
    assert rig.cycle.reason == REASON_END
    assert all(is_damping(t) for t in rig.motors.written)


def test_motors_that_take_nothing_are_tried_again_with_damping(rig):
    rig.command(START)
    rig.motors.broken = True
    rig.cycle.run(START)
    rig.motors.broken = False
    rig.cycle.run(START + 2 * MS)
    assert rig.cycle.reason == REASON_OUTPUT
    assert [is_damping(t) for t in rig.motors.written] == [True]


def test_the_cycle_keeps_no_memory(rig):
    def run(cycles):
        for i in range(cycles):
            if i % 10 == 0:
                rig.command(START + 2 * i * MS)
            rig.cycle.run(START + 2 * i * MS)
            rig.motors.written.clear()

    tracemalloc.start()
    try:
        run(200)
        before = tracemalloc.get_traced_memory()[0]
        run(5000)
        assert tracemalloc.get_traced_memory()[0] - before < 2048
    finally:
        tracemalloc.stop()


def test_a_wrong_specification_is_told(capsys):
    assert main(["{}"]) == 2
    assert main([]) == 2
    assert "writer: " in capsys.readouterr().err
