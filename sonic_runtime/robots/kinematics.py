"""Forward kinematics of the G1 on numpy arrays, vectorised over frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.rotations import quat_multiply, quat_normalize, quat_rotate
from sonic_runtime.robots import g1

Array = npt.NDArray[np.floating]

_PARENT = tuple(-1 if link.parent is None else g1.BODY_NAMES.index(link.parent) for link in g1.LINKS)
_OFFSET_M = np.array([link.offset_m for link in g1.LINKS])
_QUAT_WXYZ = quat_normalize(np.array([link.quat_wxyz for link in g1.LINKS]))
_JOINT_OF_BODY = {joint.child: i for i, joint in enumerate(g1.JOINTS)}
_AXIS_HW = np.array([joint.axis for joint in g1.JOINTS])


def forward_kinematics(root_pos_w: Array, root_quat_wxyz: Array, joint_pos_hw: Array) -> tuple[Array, Array]:
    """Place all links of the robot in the world.

    The frame of a link sits on its joint; from parent to child it is shifted by the link's offset, turned by the
    link's fixed orientation, then turned about the joint axis by the joint angle.

    Args:
        root_pos_w: (T, 3) pelvis position [m].
        root_quat_wxyz: (T, 4) pelvis orientation, unit.
        joint_pos_hw: (T, 29) joint angles [rad], hardware order.

    Returns:
        body_pos_w (T, 30, 3) [m] and body_quat_wxyz (T, 30, 4) unit, float64, bodies in the order of
        `g1.BODY_NAMES`.

    Raises:
        ValueError: if the shapes do not agree.
    """
    frames = len(root_pos_w)
    shapes = (np.shape(root_pos_w), np.shape(root_quat_wxyz), np.shape(joint_pos_hw))
    if shapes != ((frames, 3), (frames, 4), (frames, len(g1.JOINTS))):
        raise ValueError(f"forward_kinematics: expected (T, 3), (T, 4), (T, {len(g1.JOINTS)}), got {shapes}")
    body_pos_w = np.empty((frames, len(g1.LINKS), 3))
    body_quat_wxyz = np.empty((frames, len(g1.LINKS), 4))
    body_pos_w[:, 0] = root_pos_w
    body_quat_wxyz[:, 0] = root_quat_wxyz
    half_hw = 0.5 * np.asarray(joint_pos_hw, dtype=np.float64)[..., None]
    joint_quat_wxyz = np.concatenate([np.cos(half_hw), np.sin(half_hw) * _AXIS_HW], axis=-1)
    for body in range(1, len(g1.LINKS)):
        parent_quat = body_quat_wxyz[:, _PARENT[body]]
        body_pos_w[:, body] = body_pos_w[:, _PARENT[body]] + quat_rotate(parent_quat, _OFFSET_M[body])
        joint_quat = joint_quat_wxyz[:, _JOINT_OF_BODY[g1.BODY_NAMES[body]]]
        fixed_quat = np.broadcast_to(_QUAT_WXYZ[body], parent_quat.shape)
        body_quat_wxyz[:, body] = quat_multiply(quat_multiply(parent_quat, fixed_quat), joint_quat)
    return body_pos_w, quat_normalize(body_quat_wxyz)


def points_on_bodies(body_pos_w: Array, body_quat_wxyz: Array, bodies: tuple[str, ...], offsets_m: Array) -> Array:
    """Place points that are fixed to bodies in the world.

    Args:
        body_pos_w: (..., 30, 3) [m], bodies in the order of `g1.BODY_NAMES`.
        body_quat_wxyz: (..., 30, 4) unit.
        bodies: name of the body that carries each of P points.
        offsets_m: (P, 3) points in the frames of their bodies [m].

    Returns:
        (..., P, 3) [m], world frame.
    """
    index = [g1.BODY_NAMES.index(name) for name in bodies]
    return body_pos_w[..., index, :] + quat_rotate(body_quat_wxyz[..., index, :], np.asarray(offsets_m))
