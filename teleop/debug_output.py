"""The outputs `g1_debug`, what the robot measured and was told in a tick, and `robot_config`, what runs on it.

Published bytes: the topic, then one msgpack map whose keys and sizes are SONIC's, floats as float64. Values of parts
that this robot does not have (hands that measure, motor temperatures in a simulator) are zeros of the published size.
Runs at the end of the tick: encodes in about 0.1 ms and hands the bytes to ZeroMQ without waiting; where nobody keeps
up, messages are dropped.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from typing import Any

import msgpack
import numpy as np
import zmq

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.messages import Array, Goal, RobotState, TickReport
from sonic_runtime.contract.rotations import quat_multiply, quat_rotate
from sonic_runtime.motions.vr_points import VR_POS_STANDING_B, VR_QUAT_STANDING_B_WXYZ
from sonic_runtime.observe.human_terms import VR_COMPLIANCE_DEFAULT
from sonic_runtime.robots import g1
from teleop.heading_account import HeadingAccount

TOPIC = b"g1_debug"
CONFIG_TOPIC = b"robot_config"
CONFIG_PERIOD_NS = 2_000_000_000
"""How often robot_config is sent again, for those who come late."""
Floats = list[float]

_SEND_QUEUE = 10
_SEND_BUFFER_BYTES = 32 * 1024

_HAND = [0.0] * 7
_TEMPERATURES = [0.0] * 58
_NO_POS_W = [0.0, -1.0, 0.793]
"""What SONIC's runtime publishes for the position of a robot that does not measure it."""
# joint and the coordinate axis it turns about, from pelvis to torso
_WAIST = [
    (g1.JOINT_NAMES_HW.index(f"waist_{name}_joint"), axis) for name, axis in (("yaw", 2), ("roll", 0), ("pitch", 1))
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotConfig:
    """What `robot_config` tells; the names are the published keys.

    Attributes:
        model_path: decoder, or the one network of the policy.
        reference_motion_path: motions at hand, "none" without.
        planner_path: kinematic planner, "none" without.
        obs_config_path: observation YAML.
        encoder_file: encoder, "none" without.
        control_frequency: [1/s].
        planner_frequency: [1/s].
        is_using_encoder: whether an encoder runs.
        policy_fp16: whether the policy runs in half precision.
        planner_fp16: whether the planner does.
    """

    model_path: str
    reference_motion_path: str = "none"
    planner_path: str = "none"
    obs_config_path: str = "none"
    encoder_file: str = "none"
    control_frequency: float = 50.0
    planner_frequency: float = 10.0
    is_using_encoder: bool = True
    policy_fp16: bool = False
    planner_fp16: bool = False


class DebugOutput:
    """A ReportSink that publishes `g1_debug` and, every two seconds, `robot_config`.

    Args:
        endpoint: ZeroMQ address to bind, such as "tcp://127.0.0.1:5557"; "tcp://*:5557" lets other machines listen.
        robot_config: what to publish as `robot_config`; None publishes none.
        every_mode: publish in ticks without a goal too, as clients need that calibrate before control begins; SONIC's
            runtime publishes `g1_debug` only while it controls.
        init_ref: add `init_ref_data_root_rot_array`, the orientation of the reference when tracking began, which
            SONIC's exporter reads and its runtime does not send.

    Attributes:
        sent: messages of `g1_debug` that ZeroMQ took.
        dropped: messages of it that it did not take.

    Raises:
        ConfigError: if the address cannot be bound; the message names it and the setting to change.
    """

    def __init__(
        self,
        endpoint: str,
        robot_config: RobotConfig | None = None,
        *,
        every_mode: bool = False,
        init_ref: bool = False,
    ) -> None:
        self.sent = 0
        self.dropped = 0
        self._every_mode = every_mode
        self._init_ref = init_ref
        self._packer = msgpack.Packer()
        self._config = None if robot_config is None else CONFIG_TOPIC + self._packer.pack(asdict(robot_config))
        self._config_due_ns: int | None = None
        self._heading = HeadingAccount()
        self._context = zmq.Context()
        self._socket = bind_publisher(self._context, endpoint, "output.endpoint")

    def put(self, report: TickReport) -> None:
        """Publish a tick."""
        self._put_config(report.now_ns)
        if report.goal is not None:
            self._heading.update(report.state, report.goal)
        elif not self._every_mode:
            return
        if self._send(TOPIC + self._packer.pack(self._content(report))):
            self.sent += 1
        else:
            self.dropped += 1

    def close(self) -> None:
        """Close the socket; safe to call twice."""
        self._socket.close(linger=0)
        self._context.term()

    def _content(self, report: TickReport) -> dict[str, Any]:
        content = debug_map(report, report.goal)
        heading = self._heading
        if heading.init_base_quat is not None and heading.init_ref_quat is not None:
            content["init_base_quat"] = heading.init_base_quat.tolist()
            content["delta_heading"] = heading.delta_rad
            if self._init_ref:
                content["init_ref_data_root_rot_array"] = heading.init_ref_quat.tolist()
        return content

    def _put_config(self, now_ns: int) -> None:
        if self._config is None or (self._config_due_ns is not None and now_ns < self._config_due_ns):
            return
        self._config_due_ns = now_ns + CONFIG_PERIOD_NS
        self._send(self._config)

    def _send(self, message: bytes) -> bool:
        try:
            self._socket.send(message, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True


def bind_publisher(context: zmq.Context, endpoint: str, setting: str, kind: int = zmq.PUB) -> zmq.Socket:
    """Return a bound PUB or XPUB socket with SONIC's options.

    Args:
        context: the owner of the socket; terminated where binding fails.
        endpoint: ZeroMQ address.
        setting: the configuration key to name in an error.
        kind: zmq.PUB, or zmq.XPUB to learn of receivers.

    Raises:
        ConfigError: if the port is busy or the address is none.
    """
    socket = context.socket(kind)
    socket.set(zmq.SNDHWM, _SEND_QUEUE)
    socket.set(zmq.SNDBUF, _SEND_BUFFER_BYTES)
    socket.set(zmq.LINGER, 0)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        socket.close()
        context.term()
        if error.errno == zmq.EADDRINUSE:
            raise ConfigError(
                f"{endpoint}: the port is in use by another program; stop that program, or choose another port with "
                f"{setting}=tcp://127.0.0.1:PORT"
            ) from error
        raise ConfigError(
            f"{setting}: expected an address such as tcp://127.0.0.1:5556, got {endpoint!r} ({error})"
        ) from error
    return socket


def debug_map(report: TickReport, goal: Goal | None) -> dict[str, Any]:
    """Return the published keys of one tick, all values plain lists, floats and strings; units SI, quaternions wxyz.

    Without a goal the target is what the robot holds: its own orientation and the joint target that was written.
    """
    state = report.state
    torso_quat, torso_ang_vel = _torso(
        state.base_quat_wxyz, state.base_ang_vel_b, state.joint_pos_hw, state.joint_vel_hw
    )
    token = report.decision.token
    hands = None if goal is None else goal.hand_joint_pos
    left, right = (_HAND, _HAND) if hands is None else hands.tolist()
    measured_q, base_quat = state.joint_pos_hw.tolist(), state.base_quat_wxyz.tolist()
    return {
        "control_loop_type": "python",
        "index": report.index,
        "ros_timestamp": time.time(),
        "base_quat": base_quat,
        "base_ang_vel": state.base_ang_vel_b.tolist(),
        "body_torso_quat": torso_quat,
        "body_torso_ang_vel": torso_ang_vel,
        "body_q": measured_q,
        "body_dq": state.joint_vel_hw.tolist(),
        "last_action": report.decision.target.joint_pos_hw.tolist(),
        "left_hand_q": _HAND,
        "left_hand_dq": _HAND,
        "right_hand_q": _HAND,
        "right_hand_dq": _HAND,
        "last_left_hand_action": left,
        "last_right_hand_action": right,
        "token_state": [] if token is None else token.astype(np.float64).tolist(),
        "motor_temperature": _temperatures(state),
        **_targets(report, goal),
        "base_trans_measured": _NO_POS_W if state.base_pos_w is None else state.base_pos_w.tolist(),
        "base_quat_measured": base_quat,
        "body_q_measured": measured_q,
        # the published runtime sends what it commands here, too
        "left_hand_q_measured": left,
        "right_hand_q_measured": right,
    }


def _temperatures(state: RobotState) -> Floats:
    """Return two numbers per motor; the robot state has the hotter of the two sensors, which stands for both."""
    if state.motor_temperature_c_hw is None:
        return _TEMPERATURES
    return np.repeat(state.motor_temperature_c_hw.astype(np.float64), 2).tolist()


def _targets(report: TickReport, goal: Goal | None) -> dict[str, Floats]:
    """Return what tells of the reference: root, joints, the three points and how far they give way."""
    base_quat_target, base_trans_target = report.state.base_quat_wxyz, np.zeros(3)
    body_q_target = report.target.joint_pos_hw
    pos_b, quat_b, compliance = VR_POS_STANDING_B, VR_QUAT_STANDING_B_WXYZ, VR_COMPLIANCE_DEFAULT
    if goal is not None:
        reference, cursor = goal.reference, goal.reference.cursor
        base_quat_target = quat_multiply(goal.heading_quat_wxyz, reference.root_quat_wxyz[cursor])
        body_q_target = g1.to_hw_order(reference.joint_pos_pol[cursor])
        if reference.root_pos_w is not None:
            base_trans_target = quat_rotate(goal.heading_quat_wxyz, reference.root_pos_w[cursor])
        if reference.vr_pos_b is not None and reference.vr_quat_b_wxyz is not None:
            pos_b, quat_b = reference.vr_pos_b[cursor], reference.vr_quat_b_wxyz[cursor]
        if goal.vr_compliance is not None:
            compliance = goal.vr_compliance
    return {
        "vr_3point_position": quat_rotate(np.tile(base_quat_target, (3, 1)), pos_b).ravel().tolist(),
        "vr_3point_orientation": quat_b.ravel().tolist(),
        "vr_3point_compliance": compliance.tolist(),
        "base_trans_target": base_trans_target.tolist(),
        "base_quat_target": base_quat_target.tolist(),
        "body_q_target": body_q_target.tolist(),
    }


def _torso(base_quat: Array, base_ang_vel_b: Array, joint_pos_hw: Array, joint_vel_hw: Array) -> tuple[Floats, Floats]:
    """Follow the waist (yaw about z, roll about x, pitch about y) from the pelvis to the torso.

    Returns:
        Orientation wxyz of the torso in the world, and its angular velocity [rad/s] in its own frame.
    """
    # plain numbers: numpy takes ten times as long on arrays of four
    quat, spin = base_quat.tolist(), base_ang_vel_b.tolist()
    for joint, axis in _WAIST:
        angle, speed = float(joint_pos_hw[joint]), float(joint_vel_hw[joint])
        quat = _turned_about_axis(quat, axis, angle)
        # seen from a frame turned by `angle` about `axis`, the other two components turn back by it
        j, k = (axis + 1) % 3, (axis + 2) % 3
        c, s = math.cos(angle), math.sin(angle)
        spin[j], spin[k] = c * spin[j] + s * spin[k], c * spin[k] - s * spin[j]
        spin[axis] += speed
    return quat, spin


def _turned_about_axis(quat: Floats, axis: int, angle: float) -> Floats:
    """Return quat * rotation by `angle` about coordinate axis 0, 1 or 2."""
    c, s = math.cos(0.5 * angle), math.sin(0.5 * angle)
    i, j, k = 1 + axis, 1 + (axis + 1) % 3, 1 + (axis + 2) % 3
    turned = [quat[0] * c - quat[i] * s, 0.0, 0.0, 0.0]
    turned[i] = quat[i] * c + quat[0] * s
    turned[j] = quat[j] * c + quat[k] * s
    turned[k] = quat[k] * c - quat[j] * s
    return turned
