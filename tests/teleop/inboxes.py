"""An inbox for tests, and messages of every version."""

import numpy as np

from sonic_runtime.contract.rotations import quat_from_yaw
from teleop.pose_packet import NO_HANDS, Hands, PoseFrames, SmplFrames, TokenMessage, VrPoints, pack_pose

VR = VrPoints(pos_b=np.arange(9.0).reshape(3, 3) / 10.0, quat_b_wxyz=np.tile([0.0, 0.0, 0.0, 1.0], (3, 1)))


class HeldInbox:
    """An inbox that holds what a sender sent."""

    def __init__(self, *messages: bytes):
        self.messages: list[bytes] = list(messages)

    def send(self, *messages: bytes) -> None:
        self.messages += messages

    def take(self, limit: int) -> list[bytes]:
        taken, self.messages = self.messages[:limit], self.messages[limit:]
        return taken

    def close(self) -> None:
        self.messages.clear()


def frames(
    version: int, first: int, count: int, yaw: float = 0.0, vr: VrPoints | None = None, hands: Hands = NO_HANDS
) -> PoseFrames | SmplFrames:
    """Frames whose numbers tell their index: wrist 28 and SMPL joint 3 hold a thousandth of it."""
    index = first + np.arange(count)
    joint_pos, joints, pose = np.zeros((count, 29)), np.zeros((count, 24, 3)), np.zeros((count, 21, 3))
    joint_pos[:, 28] = joints[:, 3, 2] = pose[:, 5, 1] = index / 1000.0
    common = {
        "frame_index": index,
        "root_quat_wxyz": np.tile(quat_from_yaw(np.float64(yaw)), (count, 1)),
        "vr": vr,
        "hands": hands,
    }
    robot = {"joint_pos_pol": joint_pos, "joint_vel_pol": np.zeros((count, 29))}
    if version == 1:
        return PoseFrames(**common, **robot)
    return SmplFrames(**common, smpl_joints_b=joints, smpl_pose_rad=pose, **(robot if version == 3 else {}))


def token(number: int = 0, hands: Hands = NO_HANDS) -> TokenMessage:
    return TokenMessage(token=np.full(64, number / 16.0, dtype=np.float32), frame_index=number, hands=hands)


def message(version: int, first: int = 0, count: int = 12, **changes) -> bytes:
    """A message of any version."""
    if version == 4:
        return pack_pose(token(first % 16, **changes))
    return pack_pose(frames(version, first, count, **changes))
