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
from teleop.debug_output import DebugOutput, debug_map
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


def test_busy_port_is_named_with_the_way_out(output):
    with pytest.raises(ConfigError, match=r"the port is in use .*=tcp://127.0.0.1:PORT"):
        DebugOutput(output[1])
