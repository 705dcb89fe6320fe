"""Who else is on the network: robots that are none, controllers that must not be there, hands, the stock controller."""

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest

pytest.importorskip("cyclonedds")

from cyclonedds.idl import IdlStruct
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from sonic_runtime.config import load_config
from sonic_runtime.contract.errors import RobotError
from sonic_runtime.contract.messages import Decision, TickReport
from sonic_runtime.robot_io.records import damping_target
from sonic_runtime.robot_io.unitree import idl, layout, layout_small
from sonic_runtime.robot_io.unitree.bus import LOW_CMD, LOW_STATE, Bus, has_link, require_interface
from sonic_runtime.robot_io.unitree.hands import HAND_LIMITS, Hands, hand_cmd_topic, hand_state_topic, hand_target
from sonic_runtime.robot_io.unitree.motion_switcher import MotionSwitcher, release_stock_controller
from sonic_runtime.robot_io.unitree.motor_output import UnitreeOutput, low_cmd_of
from sonic_runtime.robot_io.unitree.other_controllers import OtherControllers
from sonic_runtime.robot_io.unitree.sim_firmware import Firmware
from sonic_runtime.robot_io.unitree.sim_robot import SimBody, button_word
from sonic_runtime.robot_io.unitree.state_input import UnitreeStates
from sonic_runtime.robot_io.unitree.vitals import BATTERY, Vitals
from sonic_runtime.robots import g1
from sonic_runtime.run_config import RunConfig
from teleop.wireless_remote import buttons_of
from tests.fakes.parts import make_goal, make_state, make_target
from tests.unitree.network import Network, own_network, random_domain
from tests.unitree.processes import simulated_robot


@pytest.fixture(scope="module")
def bus():
    return Bus("lo", random_domain(), "ours")


@pytest.fixture
def other(bus):
    """The same network as another program sees it."""
    return Bus("lo", bus.domain, "theirs")


@pytest.fixture(scope="module")
def checks():
    shipped = load_config("run", ["robot=unitree", "interface=lo"], RunConfig).unitree.checks
    return msgspec.structs.replace(shipped, first_state_s=1.0, torso_imu=False)


def writer(bus, topic, kind):
    return DataWriter(bus.participant, Topic(bus.participant, topic, kind), bus.writer_qos())


def low_state(tick=1, **changes):
    fields = layout.low_state_fields(SimBody("standing").low_state(5)[4:])
    return layout.low_state_wire(fields._replace(tick=tick, **changes))


def send(to, kind, wires, period_s=0.01):
    for wire in wires:
        to.write(idl.message_of(kind, wire))
        time.sleep(period_s)


def wait_for(condition, timeout_s=5.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_publishers_are_told_apart_and_forgotten_when_they_leave(bus, other):
    ours, theirs = writer(bus, "test/who", idl.LowCmd), writer(other, "test/who", idl.LowCmd)
    wait_for(lambda: bus.publishers("test/who").count == 2)
    assert bus.publishers("test/who").ours == 1
    assert bus.publishers("test/who").foreign == ("unitree_hg::msg::dds_::LowCmd_",)
    del theirs
    wait_for(lambda: bus.publishers("test/who").foreign == ())
    assert bus.publishers("test/who").ours == 1
    del ours
    wait_for(lambda: bus.publishers("test/who").count == 0)


def test_another_type_on_the_topic_is_named(bus, other, checks):

    @dataclass
    class Text(IdlStruct, typename="std_msgs::msg::dds_::String_"):
        data: str

    stranger = writer(other, LOW_STATE, Text)
    stranger.write(Text("no robot"))
    with pytest.raises(RobotError, match="its publisher has std_msgs::msg::dds_::String_; that is another robot"):
        UnitreeStates(bus, checks)


def test_a_robot_of_another_kind_is_refused_but_a_first_message_may_be_wrong(bus, other, checks):
    robot = writer(other, LOW_STATE, idl.LowState)
    states = None

    wires = [low_state(i, mode_machine=0 if i < 5 else 5) for i in range(60)]
    sender = threading.Thread(target=send, args=(robot, idl.LowState, wires, 0.02))
    sender.start()
    try:
        states = UnitreeStates(bus, checks)
        assert states.mode_machine == 5
        assert states.read().wireless_remote is not None
    finally:
        sender.join()
    send(robot, idl.LowState, [low_state(100, mode_machine=6)])
    wait_for(lambda: states.fields().mode_machine == 6)
    with pytest.raises(RobotError, match="waist locked"):
        states.read()
    states.close()


def test_bad_messages_are_dropped_and_counted(bus, other, checks):
    robot = writer(other, LOW_STATE, idl.LowState)

    sender = threading.Thread(target=send, args=(robot, idl.LowState, [low_state(i) for i in range(50)], 0.02))
    sender.start()
    states = UnitreeStates(bus, checks)
    sender.join()
    good = states.read()
    broken = bytearray(low_state(1000))
    broken[500] ^= 1
    send(robot, idl.LowState, [bytes(broken), low_state(49), low_state(49)], 0.05)
    wait_for(lambda: sum(states.dropped.values()) == 3)
    assert dict(states.dropped) == {"crc": 1, "tick": 2}
    assert states.read() is good, "a state that gets old is the guard's to judge"
    states.close()


def test_a_second_robot_is_refused(bus, other, checks):
    robots = [writer(other, LOW_STATE, idl.LowState) for _ in range(2)]

    sender = threading.Thread(target=send, args=(robots[0], idl.LowState, [low_state(i) for i in range(60)], 0.02))
    sender.start()
    try:
        with pytest.raises(RobotError, match="expected one robot, found 2"):
            UnitreeStates(bus, checks)
    finally:
        sender.join()


def test_a_controller_that_sends_is_refused_and_a_silent_one_is_told(bus, other):
    ours, theirs = writer(bus, LOW_CMD, idl.LowCmd), writer(other, LOW_CMD, idl.LowCmd)
    others = OtherControllers(bus)
    wait_for(lambda: bus.publishers(LOW_CMD).count == 2)
    time.sleep(0.3)
    command = low_cmd_of(make_target(), 5, np.ones(29, dtype=bool))
    send(ours, idl.LowCmd, [command] * 5)
    others.require_silence(0.1)
    assert "1 other publisher(s) there, silent" in others.note()
    send(theirs, idl.LowCmd, [command] * 2)
    with pytest.raises(RobotError, match="another program sends commands too"):
        others.require_silence(0.1)
    del theirs


def test_nothing_is_sent_before_the_robot_says_what_it_is_nor_in_a_dry_run(bus, other):
    with pytest.raises(RobotError, match="its mode_machine must be in every command; got none"):
        UnitreeOutput("lo", bus.domain, "ours", wait_s=0.3)
    robot = writer(other, LOW_STATE, idl.LowState)

    sender = threading.Thread(target=send, args=(robot, idl.LowState, [low_state(i) for i in range(60)], 0.02))
    sender.start()
    dry = UnitreeOutput("lo", bus.domain, "ours", dry_run=True)
    dry.write(damping_target(8.0))
    assert dry.built == 1
    assert bus.publishers(LOW_CMD).count == 0
    reader = DataReader(other.participant, Topic(other.participant, LOW_CMD, idl.LowCmd), other.reader_qos())
    real = UnitreeOutput("lo", bus.domain, "ours")
    sender.join()
    got = []
    for _ in range(50):
        real.write(damping_target(8.0))
        got += [m for m in reader.take(N=1) if isinstance(m, idl.LowCmd)]
        time.sleep(0.01)
    fields = layout.low_cmd_fields(idl.wire_of(got[-1])[4:])
    assert (fields.mode_machine, fields.mode_pr) == (5, 0)
    assert fields.damping_hw.tolist() == [8.0] * 29
    real.close()
    with pytest.raises(RobotError, match="was closed"):
        real.write(damping_target(8.0))


def test_interfaces_are_named_and_there():
    with pytest.raises(RobotError, match=r"interface=enp99: expected a network interface of this machine, it has .*lo"):
        require_interface("enp99")
    assert has_link("lo")
    assert not has_link("enp99")


def test_small_messages_agree_with_cyclonedds():
    rng = np.random.default_rng(0)
    f32 = lambda n: np.float32(rng.normal(size=n)).tolist()  # noqa: E731
    imu = idl.ImuState(f32(4), f32(3), f32(3), f32(3), 41)
    read = layout_small.imu_fields(imu.serialize())
    assert read.quat_wxyz.tolist() == imu.quaternion
    assert read.gyro_b.tolist() == imu.gyroscope
    assert read.accel_b.tolist() == imu.accelerometer
    assert read.rpy_rad.tolist() == imu.rpy
    assert layout_small.imu_wire(read, 41) == imu.serialize()
    motors = [idl.MotorState(1, *f32(4), [30 + i, 20], *f32(1), [1, 2], i, [0] * 4) for i in range(7)]
    press = [idl.PressSensorState(f32(12), f32(12), 0, 0) for _ in range(9)]
    hand = idl.HandState(motors, press, imu, *f32(4), [0, 0], [0, 0])
    fields = layout_small.hand_state_fields(hand.serialize())
    assert fields.joint_pos.tolist() == [m.q for m in motors]
    assert fields.joint_vel.tolist() == [m.dq for m in motors]
    assert fields.temperature_c.tolist() == [30.0 + i for i in range(7)]
    assert fields.motor_error.tolist() == list(range(7))
    slow = idl.fields_of(idl.HandState, layout_small.hand_state_wire(fields))
    assert [m.q for m in slow.motor_state] == [m.q for m in motors]
    assert len(slow.press_sensor_state) == 9
    cmd = layout_small.HandCmdFields(
        mode=np.arange(7) | 16,
        joint_pos=np.float32(rng.normal(size=7)).astype(float),
        stiffness=np.full(7, 1.5),
        damping=np.full(7, 0.25),
    )
    slow = idl.fields_of(idl.HandCmd, layout_small.hand_cmd_wire(cmd))
    assert [m.mode for m in slow.motor_cmd] == [16, 17, 18, 19, 20, 21, 22]
    assert [m.q for m in slow.motor_cmd] == cmd.joint_pos.tolist()
    assert {(m.kp, m.kd, m.dq, m.tau) for m in slow.motor_cmd} == {(1.5, 0.25, 0.0, 0.0)}
    again = layout_small.hand_cmd_fields(slow.serialize())
    assert again.joint_pos.tolist() == cmd.joint_pos.tolist()


@pytest.mark.parametrize("wire", [b"", b"\0\1\0\0", b"\0\1\0\0" + (6).to_bytes(4, "little") + bytes(2000)])
def test_another_hand_is_refused(wire):
    with pytest.raises(RobotError, match="another hand"):
        layout_small.hand_state_fields(wire)


@pytest.mark.parametrize("hand", [0, 1])
def test_hand_targets_stay_near_and_within_limits(hand):
    rng = np.random.default_rng(hand)
    for _ in range(200):
        measured = rng.uniform(HAND_LIMITS[hand, :, 0], HAND_LIMITS[hand, :, 1])
        target = hand_target(rng.normal(size=7) * 3.0, measured, hand)
        assert (target >= HAND_LIMITS[hand, :, 0]).all()
        assert (target <= HAND_LIMITS[hand, :, 1]).all()
        assert (abs(target - measured) <= 0.25 + 1e-9).all()
    closed = HAND_LIMITS[hand, :, 1 - hand].copy()
    opening = hand_target(None, closed, hand)
    assert (abs(opening) < abs(closed)).all() or (opening == 0.0).any()
    assert np.array_equal(hand_target(np.full(7, np.nan), np.zeros(7), hand), np.zeros(7))


def test_hands_do_what_the_goal_says_open_without_and_let_go(bus, other):
    def report(mode, goal):

        decision = Decision(target=make_target())
        return TickReport(index=0, state=make_state(), goal=goal, mode=mode, decision=decision, target=decision.target)

    states = writer(other, hand_state_topic("left"), idl.HandState)
    topic = Topic(other.participant, hand_cmd_topic("left"), idl.HandCmd)
    reader = DataReader(other.participant, topic, other.reader_qos())
    body = SimBody("standing")

    sender = threading.Thread(target=send, args=(states, idl.HandState, [body.hand_state(0)] * 150, 0.02))
    sender.start()
    hands = Hands(bus, dry_run=False, wait_s=1.5)
    assert hands.present == {"left": True, "right": False}
    assert "right hand: no Dex3 answers" in hands.notes()[0]
    wanted = np.zeros((2, 7))
    wanted[0, 2] = 0.2

    def told(mode, goal):
        for _ in range(30):
            hands.put(report(mode, goal))
            time.sleep(0.005)
        message = [m for m in reader.take(N=1) if isinstance(m, idl.HandCmd)]
        return layout_small.hand_cmd_fields(idl.wire_of(message[0])) if message else None

    assert told("waiting", make_goal(hand_joint_pos=wanted)) is None
    command = told("active", make_goal(hand_joint_pos=wanted))
    assert command.joint_pos[2] == pytest.approx(0.2)
    assert command.mode.tolist() == [16 + i for i in range(7)]
    assert told("active", make_goal()).joint_pos.tolist() == [0.0] * 7
    sender.join()
    hands.measured()
    time.sleep(0.6)
    assert told("active", make_goal(hand_joint_pos=wanted)).stiffness.tolist() == [0.0] * 7, "a silent hand is let go"
    let_go = told("damping", make_goal(hand_joint_pos=wanted))
    assert (let_go.stiffness.tolist(), let_go.mode.tolist()) == ([0.0] * 7, [144 + i for i in range(7)])
    hands.close()


def test_battery(bus, other):
    vitals = Vitals(bus, 20.0)
    assert "does not tell" in vitals.line()
    battery = writer(other, BATTERY, idl.BmsState)
    wait_for(lambda: battery.get_matched_subscriptions())
    for charge, warned in ((50, []), (20, ["battery"])):
        battery.write(idl.BmsState(1, 0, 0, [0] * 40, [0] * 3, 0, charge, 100, [30] * 12, 1, 0, [0] * 5, [0] * 3))
        time.sleep(0.1)
        vitals.look()
        assert f"battery {charge} %" in vitals.line()
        assert [warning.code for warning in vitals.warnings()] == warned
    vitals.close()


def test_the_simulated_firmware_refuses_as_a_robot_does():
    firmware = Firmware(5, "")
    good = low_cmd_of(make_target(), 5, np.ones(29, dtype=bool))
    firmware.take(b"\0\1\0\0")
    firmware.take(good[:-1] + bytes([good[-1] ^ 1]))
    firmware.take(low_cmd_of(make_target(), 4, np.ones(29, dtype=bool)))
    assert firmware.target is None
    assert dict(firmware.refused) == {"layout": 1, "crc": 1, "mode_machine": 1}
    enabled = np.ones(29, dtype=bool)
    enabled[3] = False
    firmware.take(low_cmd_of(make_target(), 5, enabled))
    assert firmware.target.stiffness_hw[3] == firmware.target.damping_hw[3] == 0.0
    assert firmware.target.stiffness_hw[4] == pytest.approx(g1.STIFFNESS_HW[4], rel=1e-6)
    assert firmware.damping_since_ns == 0
    firmware.take(low_cmd_of(damping_target(8.0), 5, np.ones(29, dtype=bool)))
    assert firmware.damping_since_ns > 0


def test_the_simulated_body_measures_what_a_robot_does():
    body = SimBody("hanging")
    for _ in range(250):
        body.step(None)
    imu = body.imu("imu_in_pelvis")
    assert imu.accel_b[2] == pytest.approx(9.81, abs=0.2), "an accelerometer at rest shows gravity"
    body.buttons = button_word("L2+start")
    fields = layout.low_state_fields(body.low_state(5)[4:])
    assert fields.tick == 250
    assert buttons_of(fields.wireless_remote) == 0b100100
    assert button_word("Z") is None
    body.buttons = None
    assert buttons_of(layout.low_state_fields(body.low_state(5)[4:]).wireless_remote) is None


def test_the_stock_controller_is_let_go_before_the_first_command(tmp_path):
    # in this process too, so that on lo for all of it
    network = Network()
    with simulated_robot(network, tmp_path, "stock_controller=ai") as robot, ExitStack() as opened:
        bus = Bus("lo", network.domain, "ours")
        others = OtherControllers(bus)
        opened.callback(others.close)
        time.sleep(0.5)
        with pytest.raises(RobotError, match="release_stock_controller=true"):
            others.require_silence(0.3)
        assert MotionSwitcher(bus).controller() == "ai"
        assert release_stock_controller(bus, pause_s=0.1) == ["ai"]
        assert robot.tell()["stock_controller"] == ""
        time.sleep(0.2)
        others.heard()
        others.require_silence(0.3)
        assert release_stock_controller(bus, pause_s=0.1) == []


def test_without_a_motion_switcher_the_way_out_is_named(bus):
    with pytest.raises(RobotError, match=r"unitree\.release_stock_controller=false"):
        MotionSwitcher(bus, timeout_s=0.3)


def test_a_simulator_does_not_start_beside_a_robot(tmp_path):
    with own_network() as network, simulated_robot(network, tmp_path, "hands=false"):
        second = network.popen(
            [
                "-m",
                "sonic_runtime.robot_io.unitree.sim_command",
                f"domain={network.domain}",
                f"control=ipc://{tmp_path}/2",
            ],
            stderr=-1,
            text=True,
        )
        assert second.wait(30) == 2
        assert "expected no robot here, found one" in second.stderr.read()
