"""Sends a `pose` stream with all optional fields at a fixed rate, for `sonic-bench streams`."""

from __future__ import annotations

import sys

import numpy as np

from sonic_runtime.motions.vr_points import VR_POS_STANDING_B, VR_QUAT_STANDING_B_WXYZ
from sonic_runtime.pacing import Lateness, Pacer
from teleop.pose_packet import Hands, PoseFrames, PoseMessage, SmplFrames, TokenMessage, VrPoints
from teleop.pose_sender import PoseSender

_VR = VrPoints(pos_b=VR_POS_STANDING_B, quat_b_wxyz=VR_QUAT_STANDING_B_WXYZ)
_HANDS = Hands(left_pos=np.zeros(7), right_pos=np.zeros(7))


def message_of(version: int, number: int, chunk_frames: int) -> PoseMessage:
    """Return message `number`: frames from that number on, with VR points, hands and a turn, or a token."""
    if version == 4:
        return TokenMessage(token=np.full(64, 0.25, dtype=np.float32), hands=_HANDS, frame_index=number)
    sway = np.sin(0.02 * (number + np.arange(chunk_frames)))
    joint_pos = np.tile(sway[:, None], (1, 29))
    common = {
        "frame_index": number + np.arange(chunk_frames),
        "root_quat_wxyz": np.tile([1.0, 0.0, 0.0, 0.0], (chunk_frames, 1)),
        "heading_increment_rad": 1e-4,
        "hands": _HANDS,
        "vr": _VR,
        "sent_s": 0.02 * number,
    }
    joints = {"joint_pos_pol": joint_pos, "joint_vel_pol": 0.0 * joint_pos}
    if version == 1:
        return PoseFrames(**common, **joints)
    person = {
        "smpl_joints_b": np.tile(sway[:, None, None], (1, 24, 3)),
        "smpl_pose_rad": np.tile(sway[:, None, None], (1, 21, 3)),
    }
    return SmplFrames(**common, **person, **(joints if version == 3 else {}))


def main(arguments: list[str]) -> None:
    """Send until the last receiver leaves: endpoint, version, rate [1/s], frames in a message."""
    endpoint, version, rate_hz, chunk_frames = arguments[0], int(arguments[1]), float(arguments[2]), int(arguments[3])
    sender = PoseSender(endpoint)
    sys.stdout.write("bound\n")
    sys.stdout.flush()
    if sender.wait_for_receiver(60.0):
        pacer, number = Pacer(rate_hz, Lateness()), 0
        while sender.receiving:
            sender.send(message_of(version, number, chunk_frames))
            number += 1
            pacer.wait()
    sender.close()


if __name__ == "__main__":
    main(sys.argv[1:])
