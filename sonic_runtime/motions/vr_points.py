"""The points that a VR headset, two hand controllers and two foot trackers would give for a robot motion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.rotations import quat_conjugate, quat_multiply, quat_rotate, quat_rotate_inverse
from sonic_runtime.robots import g1

Array = npt.NDArray[np.floating]

VR_POS_STANDING_B = np.array([[0.0903, 0.1615, -0.2411], [0.1280, -0.1522, -0.2461], [0.0241, -0.0081, 0.4028]])
"""(3, 3) [m] left wrist, right wrist and torso points where nobody steers them; the published runtime's constants."""
VR_QUAT_STANDING_B_WXYZ = np.array(
    [[0.7295, 0.3145, 0.5533, -0.2506], [0.7320, -0.2639, 0.5395, 0.3217], [0.9991, 0.0110, 0.0402, -0.0002]]
)
"""(3, 4) their orientations, from the same place."""


def vr_points(body_pos_w: Array, body_quat_wxyz: Array) -> tuple[Array, Array]:
    """Return left wrist, right wrist and torso point in the root frame of the same frame.

    point = p_body + R_body offset, then R_root^-1 (point - p_root); orientation = q_root^-1 q_body (SONIC
    deployment). Orientations get w >= 0, so that one pose has one number.

    Args:
        body_pos_w: (T, 30, 3) [m], model order, pelvis first.
        body_quat_wxyz: (T, 30, 4).

    Returns:
        (T, 3, 3) [m] positions and (T, 3, 4) wxyz orientations.
    """
    return _points_in_root(body_pos_w, body_quat_wxyz, g1.VR_POINTS)


def vr_five_points(body_pos_w: Array, body_quat_wxyz: Array) -> tuple[Array, Array]:
    """Return left wrist, right wrist, pelvis, left and right ankle in the root frame of the same frame.

    As `vr_points`, with the frames of the bodies themselves: the published runtime sets no offsets here.

    Args:
        body_pos_w: (T, 30, 3) [m], model order, pelvis first.
        body_quat_wxyz: (T, 30, 4).

    Returns:
        (T, 5, 3) [m] positions and (T, 5, 4) wxyz orientations.
    """
    return _points_in_root(body_pos_w, body_quat_wxyz, [(body, (0.0, 0.0, 0.0)) for body in g1.VR_FIVE_BODY_NAMES])


def _points_in_root(
    body_pos_w: Array, body_quat_wxyz: Array, points: Sequence[tuple[str, tuple[float, float, float]]]
) -> tuple[Array, Array]:
    root_pos, root_quat = body_pos_w[:, 0], body_quat_wxyz[:, 0]
    positions, orientations = [], []
    for body, offset in points:
        i = g1.BODY_NAMES.index(body)
        quat = body_quat_wxyz[:, i]
        offset_w = quat_rotate(quat, np.broadcast_to(np.asarray(offset, dtype=float), (len(quat), 3)))
        positions.append(quat_rotate_inverse(root_quat, body_pos_w[:, i] + offset_w - root_pos))
        local = quat_multiply(quat_conjugate(root_quat), quat)
        orientations.append(np.where(local[:, :1] < 0.0, -local, local))
    return np.stack(positions, axis=1), np.stack(orientations, axis=1)
