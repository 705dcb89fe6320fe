"""Which encoders of a policy can read a motion: found by letting each of them read it once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.manifest import EncoderSpec, TermSpec
from sonic_runtime.contract.messages import Goal, Reference, RobotState
from sonic_runtime.observe.assemble import EncoderInput
from sonic_runtime.robots import g1


def readable_encoders(
    terms: Sequence[TermSpec], encoders: Sequence[EncoderSpec], reference: Reference
) -> tuple[str, ...]:
    """Return the names of the encoders for which a reference has all tracks, in the policy's order.

    Args:
        terms: terms of the encoder input.
        encoders: encoders and the terms that each reads.
        reference: the motion.
    """
    upright = np.array([1.0, 0.0, 0.0, 0.0])
    rest = np.zeros(len(g1.JOINT_NAMES_HW))
    state = RobotState(
        stamp_ns=0,
        joint_pos_hw=g1.DEFAULT_POS_HW,
        joint_vel_hw=rest,
        base_quat_wxyz=upright,
        base_ang_vel_b=np.zeros(3),
        joint_torque_hw=rest,
    )
    inputs = EncoderInput(terms, encoders)
    found: list[str] = []
    for encoder in encoders:
        goal = Goal(reference=reference, encoder=encoder.name, heading_quat_wxyz=upright, stamp_ns=0)
        try:
            inputs.fill(state, goal)
        except ContractError:
            continue
        found.append(encoder.name)
    return tuple(found)
