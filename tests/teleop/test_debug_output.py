"""The g1_debug output: published keys and sizes, and over a real socket."""

from dataclasses import replace

import msgpack
import numpy as np
import pytest
import zmq

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.messages import Decision, Goal, JointTarget, Reference, TickReport
from sonic_runtime.contract.rotations import quat_from_axis_angle, quat_from_yaw, quat_multiply
from sonic_runtime.robots import g1
from sonic_runtime.robots.kinematics import forward_kinematics
from teleop.debug_output import DebugOutput, RobotConfig, debug_map
from tests.teleop.test_pose_stream import state

PUBLISHED = {
    "base_quat": 4, "base_ang_vel": 3, "body_torso_quat": 4, "body_torso_ang_vel": 3, "body_q": 29, "body_dq": 29,
    "last_action": 29, "left_hand_q": 7, "left_hand_dq": 7, "right_hand_q": 7, "right_hand_dq": 7,
    "last_left_hand_action": 7, "last_right_hand_action": 7, "token_state": 64, "motor_temperature": 58,
    "vr_3point_position": 9, "vr_3point_orientation": 12, "vr_3point_compliance": 3, "base_trans_target": 3,
    "base_quat_target": 4, "body_q_target": 29, "base_trans_measured": 3, "base_quat_measured": 4,
    "body_q_measured": 29, "left_hand_q_measured": 7, "right_hand_q_measured": 7, "init_base_quat": 4,
}  # fmt: skip


def report(goal: bool = True, yaw: float = 0.0) -> TickReport:
    rng = np.random.default_rng(2)
    joints = rng.uniform(-0.5, 0.5, 29)
    measured = replace(state(yaw=yaw), joint_pos_hw=joints, joint_vel_hw=rng.normal(size=29))
    rows = np.zeros(29)
    target = JointTarget(
        joint_pos_hw=joints + 1, joint_vel_hw=rows, stiffness_hw=rows, damping_hw=rows, torque_ff_hw=rows
    )
    reference = Reference(
        joint_pos_pol=np.stack([np.zeros(29), np.arange(29.0)]),
        joint_vel_pol=np.zeros((2, 29)),
        root_quat_wxyz=quat_from_yaw(np.array([0.0, 0.5])),
        cursor=1,
    )
    return TickReport(
        index=7,
        state=measured,
        goal=Goal(reference=reference, encoder="g1", heading_quat_wxyz=quat_from_yaw(np.array(0.25)), stamp_ns=0)
        if goal
        else None,
        mode="active",
        decision=Decision(target=target, token=np.arange(64, dtype=np.float32)),
        target=target,
    )


def test_keys_and_sizes_are_the_published_ones():
    content = debug_map(report(), report().goal)
    sizes = {key: len(value) for key, value in content.items() if isinstance(value, list)}
    assert sizes == {key: size for key, size in PUBLISHED.items() if key != "init_base_quat"}
    assert content["index"] == 7
    assert all(type(x) is float for value in content.values() if isinstance(value, list) for x in value)


def test_values_of_target_and_reference():
    content = debug_map(report(), report().goal)
    np.testing.assert_allclose(content["base_quat_target"], quat_from_yaw(np.array(0.75)))
    np.testing.assert_array_equal(content["body_q_target"], g1.to_hw_order(np.arange(29.0)))
    np.testing.assert_array_equal(content["last_action"], np.array(content["body_q"]) + 1)


def test_torso_follows_the_waist_as_forward_kinematics_does():
    tick = report()
    base = quat_multiply(quat_from_yaw(np.array(0.4)), quat_from_axis_angle(np.array([0.1, -0.2, 0.0])))
    spin = np.array([0.3, -0.1, 0.2])
    tick = replace(tick, state=replace(tick.state, base_quat_wxyz=base, base_ang_vel_b=spin))
    content = debug_map(tick, tick.goal)
    torso = g1.BODY_NAMES.index("torso_link")

    def torso_after(seconds: float) -> np.ndarray:
        quat = quat_multiply(base, quat_from_axis_angle(spin * seconds))
        joints = tick.state.joint_pos_hw + tick.state.joint_vel_hw * seconds
        return forward_kinematics(np.zeros((1, 3)), quat[None], joints[None])[1][0, torso]

    np.testing.assert_allclose(content["body_torso_quat"], torso_after(0.0), atol=1e-12)
    step = 1e-6
    delta = quat_multiply(torso_after(-step) * [1, -1, -1, -1], torso_after(step))
    np.testing.assert_allclose(content["body_torso_ang_vel"], 2 * delta[1:] / (2 * step), atol=1e-5)


@pytest.fixture
def output():
    with zmq.Context() as context, context.socket(zmq.PUB) as probe:
        port = probe.bind_to_random_port("tcp://127.0.0.1")
    endpoint = f"tcp://127.0.0.1:{port}"
    made = DebugOutput(endpoint)
    yield made, endpoint
    made.close()
    made.close()


def test_listener_gets_topic_and_map(output):
    made, endpoint = output
    with zmq.Context() as context, context.socket(zmq.SUB) as listener:
        listener.connect(endpoint)
        listener.setsockopt(zmq.SUBSCRIBE, b"g1_debug")
        for _ in range(200):
            made.put(report(yaw=1.0))
            if listener.poll(20):
                break
        message = listener.recv(zmq.NOBLOCK)
    assert message.startswith(b"g1_debug")
    content = msgpack.unpackb(message[len(b"g1_debug") :])
    assert set(PUBLISHED) <= set(content)
    np.testing.assert_allclose(content["init_base_quat"], quat_from_yaw(np.array(1.0)))


def test_nothing_is_published_without_a_goal(output):
    output[0].put(report(goal=False))
    assert output[0].sent == 0


def published(made: DebugOutput, ticks: list) -> list[dict]:
    """Put ticks into an output and return what it packs, without a socket."""
    messages: list[bytes] = []
    made._socket.close()
    made._socket = Wire(messages)
    for tick in ticks:
        made.put(tick)
    made.close()
    return [msgpack.unpackb(m[len(b"g1_debug") :]) for m in messages if m.startswith(b"g1_debug")]


class Wire:
    def __init__(self, messages):
        self.messages = messages

    def send(self, message, flags):
        self.messages.append(message)

    def close(self, linger=0):
        pass


ANY = "tcp://127.0.0.1:*"


def test_in_every_mode_the_keys_are_the_same():
    made = DebugOutput(ANY, every_mode=True)
    tick = report(goal=False)
    idle, active = published(made, [tick, report()])
    assert set(active) - set(idle) == {"init_base_quat", "delta_heading"}
    assert {key: len(value) for key, value in idle.items() if isinstance(value, list)} == {
        key: size for key, size in PUBLISHED.items() if key != "init_base_quat"
    }
    assert idle["body_q_target"] == tick.target.joint_pos_hw.tolist()
    assert idle["base_quat_target"] == idle["base_quat"]


def test_hands_compliance_and_temperatures_are_those_known():
    tick = report()
    hands = np.stack([np.full(7, 0.5), np.full(7, -0.5)])
    goal = replace(tick.goal, hand_joint_pos=hands, vr_compliance=np.array([0.1, 0.2, 0.3]))
    tick = replace(tick, goal=goal, state=replace(tick.state, motor_temperature_c_hw=np.arange(29.0)))
    content = debug_map(tick, goal)
    for key in ("last_left_hand_action", "left_hand_q_measured"):
        assert content[key] == [0.5] * 7
    for key in ("last_right_hand_action", "right_hand_q_measured"):
        assert content[key] == [-0.5] * 7
    assert content["left_hand_q"] == [0.0] * 7, "these hands do not measure"
    assert content["vr_3point_compliance"] == [0.1, 0.2, 0.3]
    assert content["motor_temperature"][:4] == [0.0, 0.0, 1.0, 1.0]


def facing(base_yaw: float, heading_yaw: float, root_yaw: float, cursor: int = 3):
    """A tick with these headings."""
    reference = Reference(
        joint_pos_pol=np.zeros((5, 29)),
        joint_vel_pol=np.zeros((5, 29)),
        root_quat_wxyz=quat_from_yaw(np.full(5, root_yaw)),
        cursor=cursor,
    )
    tick = report(yaw=base_yaw)
    goal = replace(tick.goal, reference=reference, heading_quat_wxyz=quat_from_yaw(np.array(heading_yaw)))
    return replace(tick, goal=goal)


def test_where_tracking_began_and_turns_since_are_told_apart():
    ticks = [
        facing(1.0, 0.7, 0.3),
        facing(1.4, 0.7, 0.5),  # the robot turns, the reference too
        facing(1.4, 0.85, 0.5),  # the operator turns the reference
        facing(1.5, 0.75, 0.4, cursor=0),  # a new first frame: 0.15 + 1.0 - 0.4
        facing(2.0, 1.9, 0.1),  # tracking begins anew
    ]
    told = published(DebugOutput(ANY, init_ref=True), ticks)
    base = [2 * np.arctan2(m["init_base_quat"][3], m["init_base_quat"][0]) for m in told]
    root = [2 * np.arctan2(*np.array(m["init_ref_data_root_rot_array"])[[3, 0]]) for m in told]
    np.testing.assert_allclose(base, [1.0, 1.0, 1.0, 1.0, 2.0], atol=1e-9)
    np.testing.assert_allclose(root, [0.3, 0.3, 0.3, 0.4, 0.1], atol=1e-9)
    np.testing.assert_allclose([m["delta_heading"] for m in told], [0, 0, 0.15, 0.15, 0], atol=1e-9)
    for tick, message in zip(ticks, told, strict=True):
        yaw = message["delta_heading"] + base[told.index(message)] - root[told.index(message)]
        np.testing.assert_allclose(quat_from_yaw(np.array(yaw)), tick.goal.heading_quat_wxyz, atol=1e-9)


def test_without_being_asked_only_published_keys_are_sent():
    (content,) = published(DebugOutput(ANY), [report()])
    others = {"control_loop_type", "index", "ros_timestamp", "delta_heading"}
    assert set(content) == set(PUBLISHED) | others


def test_robot_config_is_sent_at_once_and_every_two_seconds():
    made = DebugOutput(ANY, RobotConfig(model_path="decoder.onnx", encoder_file="encoder.onnx"))
    made._socket.close()
    made._socket = Wire(messages := [])
    for tick in range(250):
        made.put(replace(report(goal=False), now_ns=tick * 20_000_000))
    assert len(messages) == 3
    content = msgpack.unpackb(messages[0].removeprefix(b"robot_config"))
    assert content == {
        "model_path": "decoder.onnx", "reference_motion_path": "none", "planner_path": "none",
        "obs_config_path": "none", "encoder_file": "encoder.onnx", "control_frequency": 50.0,
        "planner_frequency": 10.0, "is_using_encoder": True, "policy_fp16": False, "planner_fp16": False,
    }  # fmt: skip


def test_busy_port_is_named_with_the_way_out(output):
    with pytest.raises(ConfigError, match=r"the port is in use .*=tcp://127.0.0.1:PORT"):
        DebugOutput(output[1])
