"""The simulated robot: its gantry and its commands without a clock, and once as a process of its own."""

import os
import signal
import time

import numpy as np
import pytest

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.contract.messages import RobotState
from sonic_runtime.robot_io.gantry import HANGING_HEIGHT_M, GantryRobot
from sonic_runtime.robot_io.mailbox import MailboxReader, MailboxWriter, create_mailbox
from sonic_runtime.robot_io.mujoco_process import Commands, SimStep
from sonic_runtime.robot_io.records import (
    GANTRY_FREE,
    GANTRY_HOLD,
    GANTRY_LOWER,
    MOTOR_COMMAND,
    ROBOT_STATE,
    SIM_CONTROL,
    SIM_STATUS,
    damping_target,
    put_state,
    put_target,
    state_of,
)
from sonic_runtime.robot_io.simulated_robot import SimulatedRobot
from sonic_runtime.robots import g1
from tests.fakes.parts import make_state, make_target


def steps(robot, count, target=None):
    for _ in range(count):
        state = robot.step(target)
    return state


def touches_the_floor(robot):
    return robot.sim.model.geom("floor").id in robot.sim.data.contact.geom


def test_a_hanging_robot_without_commands_stays_limp_above_the_ground():
    robot = GantryRobot("hanging", GANTRY_HOLD)
    state = steps(robot, 200)
    assert state.base_pos_w == pytest.approx([0.0, 0.0, HANGING_HEIGHT_M], abs=0.01)
    assert state.joint_torque_hw == pytest.approx(np.zeros(29))
    assert not touches_the_floor(robot)


def test_lowered_in_the_default_pose_it_stands_on_its_feet_and_let_go_limp_it_falls():
    robot = GantryRobot("hanging", GANTRY_HOLD)
    held = make_target()
    steps(robot, 200, held)
    robot.gantry = GANTRY_LOWER
    before = steps(robot, 1, held).base_pos_w[2]
    after = steps(robot, 20, held).base_pos_w[2]
    assert 0.01 < before - after < 0.04, "it is lowered, not dropped"
    state = steps(robot, 150, held)
    assert state.base_pos_w[2] == pytest.approx(g1.STANDING_PELVIS_HEIGHT_M, abs=0.01)
    assert touches_the_floor(robot)
    robot.gantry = GANTRY_FREE
    assert steps(robot, 300).base_pos_w[2] < 0.4
    assert not robot.held


def test_it_is_let_go_on_the_ground_only():
    robot = GantryRobot("hanging", GANTRY_HOLD)
    held = make_target()
    steps(robot, 200, held)
    robot.gantry = GANTRY_FREE
    steps(robot, 20, held)
    assert robot.held
    steps(robot, 60, held)
    assert not robot.held
    assert touches_the_floor(robot)


def test_a_reset_hangs_it_up_again():
    robot = GantryRobot("hanging", GANTRY_FREE)
    assert steps(robot, 200).base_pos_w[2] < 0.6
    robot.gantry = GANTRY_HOLD
    robot.reset()
    state = steps(robot, 1)
    assert state.base_pos_w[2] == pytest.approx(HANGING_HEIGHT_M, abs=1e-3)
    assert state.joint_pos_hw == pytest.approx(np.zeros(29), abs=0.02)


class Rig:
    """The simulated robot's step with both ends of every mailbox."""

    def __init__(self):
        layouts = (MOTOR_COMMAND, MOTOR_COMMAND, ROBOT_STATE, SIM_CONTROL, SIM_STATUS)
        fds = [create_mailbox(layout) for layout in layouts]
        self.writer, self.own = (MailboxWriter(fd, MOTOR_COMMAND) for fd in fds[:2])
        self.states = MailboxReader(fds[2], ROBOT_STATE)
        self.control = MailboxWriter(fds[3], SIM_CONTROL)
        self.status = MailboxReader(fds[4], SIM_STATUS)
        self.robot = GantryRobot("standing", GANTRY_HOLD)
        self.commands = Commands([MailboxReader(fd, MOTOR_COMMAND) for fd in fds[:2]])
        self.step = SimStep(
            self.robot,
            self.commands,
            MailboxWriter(fds[2], ROBOT_STATE),
            MailboxReader(fds[3], SIM_CONTROL),
            MailboxWriter(fds[4], SIM_STATUS),
        )
        for fd in fds:
            os.close(fd)


def test_the_newer_of_two_commands_counts_and_holds():
    rig = Rig()
    assert rig.commands.take() is None
    put_target(rig.writer, make_target(np.full(29, 0.1)), 100)
    assert rig.commands.take().joint_pos_hw[0] == 0.1
    put_target(rig.own, damping_target(8.0), 200)
    assert rig.commands.take().damping_hw[0] == 8.0
    since = rig.commands.damping_since_ns
    assert since > 0
    put_target(rig.own, damping_target(8.0), 300)
    rig.commands.take()
    assert rig.commands.damping_since_ns == since
    # what was sent before the damping changes nothing, what is sent after it does
    put_target(rig.writer, make_target(), 250)
    rig.commands.take()
    assert rig.commands.damping_since_ns == since
    put_target(rig.writer, make_target(), 400)
    rig.commands.take()
    assert (rig.commands.damping_since_ns, rig.commands.last_ns, rig.commands.received) == (0, 400, 5)


def test_states_are_published_after_every_step():
    rig = Rig()
    put_target(rig.writer, make_target(), 100)
    for i in range(3):
        rig.step.run(i * 5_000_000)
    state = state_of(rig.states.newest())
    assert rig.states.number == 3
    assert np.array_equal(state.joint_pos_hw, rig.robot.sim.data.qpos[7:])
    assert np.array_equal(state.joint_torque_hw, rig.robot.sim.data.actuator_force)
    assert state.motor_error_hw is None


def test_the_speed_is_simulated_over_real_time():
    rig = Rig()
    for i in range(401):
        rig.step.run(1 + i * 10_000_000)
    assert rig.status.newest().fields["speed"][0] == pytest.approx(0.5)


def test_every_field_of_a_state_survives_the_mailbox():
    fd = create_mailbox(ROBOT_STATE)
    writer, reader = MailboxWriter(fd, ROBOT_STATE), MailboxReader(fd, ROBOT_STATE)
    rng = np.random.default_rng(0)
    full = make_state(
        stamp_ns=12345678901234,
        joint_pos_hw=rng.normal(size=29),
        joint_vel_hw=rng.normal(size=29),
        base_quat_wxyz=rng.normal(size=4),
        base_ang_vel_b=rng.normal(size=3),
        joint_torque_hw=rng.normal(size=29),
        base_pos_w=rng.normal(size=3),
        motor_temperature_c_hw=rng.normal(size=29),
        motor_error_hw=np.arange(29) - 3,
        wireless_remote=bytes(range(40)),
    )
    for state in (full, make_state()):
        put_state(writer, state)
        back = state_of(reader.newest())
        for name in RobotState.__slots__:
            assert np.array_equal(getattr(back, name), getattr(state, name)), name


@pytest.fixture(scope="module")
def process():
    robot = SimulatedRobot()
    yield robot
    robot.close()
    robot.close()
    with pytest.raises(ProcessLookupError):
        os.kill(robot.pid, 0)


def wait_until(condition, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_as_a_process_it_measures_by_itself(process):
    states = process.states()
    first = states.read()
    wait_until(lambda: states.read().stamp_ns > first.stamp_ns)
    assert time.monotonic_ns() >= states.read().stamp_ns > time.monotonic_ns() - 10_000_000_000
    assert process.status().commands == 0


def test_as_a_process_it_is_let_go_and_reset(process):
    states = process.states()
    assert process.status().held
    process.hold(False)
    wait_until(lambda: states.read().base_pos_w[2] < 0.6)
    process.hold(True)
    process.reset()
    wait_until(lambda: process.status().resets == 1 and states.read().base_pos_w[2] > HANGING_HEIGHT_M - 0.01)


def test_ctrl_c_while_it_starts_leaves_no_process_behind(monkeypatch):
    pids = []

    def interrupted(robot):
        pids.append(robot.pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(SimulatedRobot, "_await_first_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        SimulatedRobot()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_a_stopped_simulation_leaves_time_out_and_says_so():
    robot = SimulatedRobot()
    try:
        steps_before = robot.status().steps
        os.kill(robot.pid, signal.SIGSTOP)
        time.sleep(0.3)
        os.kill(robot.pid, signal.SIGCONT)
        wait_until(lambda: robot.status().steps > steps_before + 5)
        assert robot.status().skipped_s > 0.1
        assert "does not keep real time" in robot.status().warning
    finally:
        robot.close()


def test_the_sensors_of_a_dead_simulation_say_so():
    robot = SimulatedRobot()
    try:
        states = robot.states()
        os.kill(robot.pid, signal.SIGKILL)
        with pytest.raises(RobotError, match="simulated robot: it ended with exit code -9"):
            wait_until(lambda: states.read() is None)
    finally:
        robot.close()
