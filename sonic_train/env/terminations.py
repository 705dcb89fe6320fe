"""When an episode has failed: the robot is no longer where the reference is."""

from __future__ import annotations

import torch
from torch import Tensor

from sonic_runtime.robots import g1
from sonic_train.env.config import TerminationConfig
from sonic_train.env.rotations import quat_angle
from sonic_train.env.state import ReferenceTensors, RobotTensors, device_index

_BODY = {name: i for i, name in enumerate(g1.TRACKED_BODY_NAMES)}
_FEET = (_BODY["left_ankle_roll_link"], _BODY["right_ankle_roll_link"])
_ENDS = (*_FEET, _BODY["left_wrist_yaw_link"], _BODY["right_wrist_yaw_link"])


def failures(
    state: RobotTensors,
    reference: ReferenceTensors,
    relative: tuple[Tensor, Tensor],
    reference_height_m: Tensor,
    config: TerminationConfig,
) -> dict[str, Tensor]:
    """Return which rules an environment breaks, (N,) bool each.

    Args:
        state: robot after the step.
        reference: reference at the same instant.
        relative: result of `rewards.relative_reference`.
        reference_height_m: (N,) smoothed anchor height of the reference; a low one relaxes the height rules.
        config: limits.
    """
    ends, feet = (device_index(bodies, reference_height_m.device) for bodies in (_ENDS, _FEET))
    low = reference_height_m < config.low_height_m

    def height_limit(limit_m: float) -> Tensor:
        return torch.where(low, config.relaxed_height_m, limit_m)

    anchor_error = state.body_pos_w[:, 0] - reference.body_pos_w[:, 0]
    end_error = (state.body_pos_w[:, ends, 2] - relative[0][:, ends, 2]).abs().amax(-1)
    broken = {
        "anchor_height": anchor_error[:, 2].abs() > height_limit(config.anchor_height_m),
        "anchor_ori": quat_angle(state.body_quat_wxyz[:, 0], reference.body_quat_wxyz[:, 0]) > config.anchor_ori_rad,
        "end_effector_height": end_error > height_limit(config.end_effector_height_m),
    }
    if config.foot_pos_m > 0.0:
        foot_error = (state.body_pos_w[:, feet] - relative[0][:, feet]).norm(dim=-1).amax(-1)
        broken["foot_pos"] = foot_error > config.foot_pos_m
    if config.anchor_pos_xy_m > 0.0:
        broken["anchor_xy"] = anchor_error[:, :2].norm(dim=-1) > config.anchor_pos_xy_m
    # A simulator that blew up must not stay in the batch.
    broken["not_finite"] = ~torch.isfinite(state.body_pos_w.sum((1, 2)) + state.joint_vel_hw.sum(1))
    return broken
