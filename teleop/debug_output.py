"""The `g1_debug` output: one ZeroMQ message per tracking tick with what the robot measured and what it was told.

Published bytes: the topic, then one msgpack map whose keys and sizes are SONIC's, floats as float64. Values of parts
that this robot does not have (hands, motor temperatures) are zeros of the published size. Runs at the end of the tick:
encodes in about 0.1 ms and hands the bytes to ZeroMQ without waiting; where nobody keeps up, messages are dropped.
"""

from __future__ import annotations

import math
import time
from typing import Any

import msgpack
import numpy as np
import zmq

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.messages import Array, Goal, TickReport
from sonic_runtime.contract.rotations import quat_multiply, quat_rotate
from sonic_runtime.motions.vr_points import VR_POS_STANDING_B, VR_QUAT_STANDING_B_WXYZ
from sonic_runtime.robots import g1

TOPIC = b"g1_debug"
Floats = list[float]

_SEND_QUEUE = 10
_SEND_BUFFER_BYTES = 32 * 1024

_HAND = [0.0] * 7
_TEMPERATURES = [0.0] * 58
# joint and the coordinate axis it turns about, from pelvis to torso
_WAIST = [
    (g1.JOINT_NAMES_HW.index(f"waist_{name}_joint"), axis) for name, axis in (("yaw", 2), ("roll", 0), ("pitch", 1))
]


class DebugOutput:
    """A ReportSink that publishes `g1_debug`.

    Args:
        endpoint: ZeroMQ address to bind, such as "tcp://127.0.0.1:5557"; "tcp://*:5557" lets other machines listen.

    Raises:
        ConfigError: if the address cannot be bound; the message names it and the setting to change.
    """

    def __init__(self, endpoint: str) -> None:
        self.sent = 0
        self.dropped = 0
        self._packer = msgpack.Packer()
        self._anchor_heading: Array | None = None
        self._init_base_quat: list[float] = []
        self._context = zmq.Context()
        self._socket = bind_publisher(self._context, endpoint, "output.endpoint")

    def put(self, report: TickReport) -> None:
        """Publish a tick in which a goal was tracked; others are not published."""
        if report.goal is None:
            return
        if self._anchor_heading is None or not np.array_equal(self._anchor_heading, report.goal.heading_quat_wxyz):
            # heading is taken anew exactly when the stream restarts, from the pelvis orientation of that tick
            self._anchor_heading = report.goal.heading_quat_wxyz
            self._init_base_quat = report.state.base_quat_wxyz.tolist()
        content = debug_map(report, report.goal)
        content["init_base_quat"] = self._init_base_quat
        content["delta_heading"] = 0.0
        try:
            self._socket.send(TOPIC + self._packer.pack(content), zmq.NOBLOCK)
            self.sent += 1
        except zmq.Again:
            self.dropped += 1

    def close(self) -> None:
        """Close the socket; safe to call twice."""
        self._socket.close(linger=0)
        self._context.term()


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


def debug_map(report: TickReport, goal: Goal) -> dict[str, Any]:
    """Return the published keys of one tick, all values plain lists, floats and strings; units SI, quaternions wxyz."""
    state, cursor, reference = report.state, goal.reference.cursor, goal.reference
    torso_quat, torso_ang_vel = _torso(
        state.base_quat_wxyz, state.base_ang_vel_b, state.joint_pos_hw, state.joint_vel_hw
    )
    base_quat_target = quat_multiply(goal.heading_quat_wxyz, reference.root_quat_wxyz[cursor])
    base_trans_target = np.zeros(3)
    if reference.root_pos_w is not None:
        base_trans_target = quat_rotate(goal.heading_quat_wxyz, reference.root_pos_w[cursor])
    three_pos_b, three_quat_b = VR_POS_STANDING_B, VR_QUAT_STANDING_B_WXYZ
    if reference.vr_pos_b is not None and reference.vr_quat_b_wxyz is not None:
        three_pos_b, three_quat_b = reference.vr_pos_b[cursor], reference.vr_quat_b_wxyz[cursor]
    token = report.decision.token
    return {
        "control_loop_type": "python",
        "index": report.index,
        "ros_timestamp": time.time(),
        "base_quat": state.base_quat_wxyz.tolist(),
        "base_ang_vel": state.base_ang_vel_b.tolist(),
        "body_torso_quat": torso_quat,
        "body_torso_ang_vel": torso_ang_vel,
        "body_q": state.joint_pos_hw.tolist(),
        "body_dq": state.joint_vel_hw.tolist(),
        "last_action": report.decision.target.joint_pos_hw.tolist(),
        "left_hand_q": _HAND,
        "left_hand_dq": _HAND,
        "right_hand_q": _HAND,
        "right_hand_dq": _HAND,
        "last_left_hand_action": _HAND,
        "last_right_hand_action": _HAND,
        "token_state": [] if token is None else token.astype(np.float64).tolist(),
        "motor_temperature": _TEMPERATURES,
        "vr_3point_position": quat_rotate(np.tile(base_quat_target, (3, 1)), three_pos_b).ravel().tolist(),
        "vr_3point_orientation": three_quat_b.ravel().tolist(),
        "vr_3point_compliance": [0.5, 0.5, 0.0],
        "base_trans_target": base_trans_target.tolist(),
        "base_quat_target": base_quat_target.tolist(),
        "body_q_target": g1.to_hw_order(reference.joint_pos_pol[cursor]).tolist(),
        "base_trans_measured": [0.0, -1.0, 0.793] if state.base_pos_w is None else state.base_pos_w.tolist(),
        "base_quat_measured": state.base_quat_wxyz.tolist(),
        "body_q_measured": state.joint_pos_hw.tolist(),
        "left_hand_q_measured": _HAND,
        "right_hand_q_measured": _HAND,
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
