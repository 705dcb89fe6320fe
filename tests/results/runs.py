"""Recordings made up for the tests of this folder."""

import numpy as np

from sonic_runtime.contract.messages import Decision, Fault, Goal, JointTarget, Reference, RobotState, TickReport
from sonic_runtime.motions.clip import Clip
from sonic_runtime.results.recording import Recorder
from sonic_runtime.robots import g1
from sonic_runtime.tick import STAGES

NO_TURN = np.array([1.0, 0.0, 0.0, 0.0])


def report(clip: Clip, tick: int, frame: int, mode: str = "active", fault: Fault | None = None, **goal) -> TickReport:
    """A robot that is exactly where a clip says, shown a window of the clip that begins 3 frames back."""
    first = max(0, frame - 3)
    rows = np.zeros(29)
    target = JointTarget(
        joint_pos_hw=clip.joint_pos_hw[frame], joint_vel_hw=rows, stiffness_hw=rows, damping_hw=rows, torque_ff_hw=rows
    )
    reference = Reference(
        joint_pos_pol=g1.to_policy_order(clip.joint_pos_hw[first:]),
        joint_vel_pol=g1.to_policy_order(clip.joint_vel_hw[first:]),
        root_quat_wxyz=clip.root_quat_wxyz[first:],
        cursor=frame - first,
        first_index=first,
    )
    return TickReport(
        index=tick,
        state=RobotState(
            stamp_ns=0,
            joint_pos_hw=clip.joint_pos_hw[frame],
            joint_vel_hw=clip.joint_vel_hw[frame],
            base_quat_wxyz=clip.root_quat_wxyz[frame],
            base_ang_vel_b=np.zeros(3),
            joint_torque_hw=rows,
            base_pos_w=clip.root_pos_w[frame],
        ),
        goal=Goal(**{"reference": reference, "encoder": "g1", "heading_quat_wxyz": NO_TURN, "stamp_ns": 0} | goal),
        mode=mode,
        decision=Decision(target=target),
        target=target,
        fault=fault,
        stage_ns={name: 1_000_000 * (i + 1) for i, name in enumerate(STAGES)},
    )


def recorded(clip: Clip, frames: range, **options) -> Recorder:
    recorder = Recorder()
    for tick, frame in enumerate(frames):
        recorder.put(report(clip, tick, frame, **options))
    return recorder
