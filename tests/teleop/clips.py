"""Small clips for the tests of this folder."""

import numpy as np

from sonic_runtime.contract.rotations import quat_from_yaw
from sonic_runtime.motions.clip import Clip, clip_from_qpos
from sonic_runtime.robots import g1


def turning_clip(frames: int = 100, turn_rad: float = 0.6) -> Clip:
    """Half a metre forward while turning left, arms swinging."""
    time = np.linspace(0.0, 1.0, frames)
    root = np.stack([0.5 * time, 0.1 * time, 0.76 + 0.01 * np.sin(6 * time)], axis=-1)
    joints = np.tile(g1.DEFAULT_POS_HW, (frames, 1))
    joints[:, 15] += 0.4 * np.sin(4 * time)
    joints[:, 22] -= 0.4 * np.sin(4 * time)
    return clip_from_qpos("turning", 50.0, root, quat_from_yaw(0.3 + turn_rad * time), joints)
