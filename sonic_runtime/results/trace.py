"""One run beside its reference, frame by frame: what the report draws."""

from __future__ import annotations

from dataclasses import dataclass

from sonic_runtime.contract.messages import Array
from sonic_runtime.results.tracking import Bodies, TrackingErrors


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A robot and what it was to follow, in one world; T frames.

    Attributes:
        fps: frames a second.
        robot: links of the robot.
        reference: links of the reference.
        joint_pos_hw: (T, 29) f64 [rad] measured.
        reference_pos_hw: (T, 29) f64 [rad].
        errors: of each frame.
        stage_ms: (T, 6) f64 duration of the stages of the tick.
        failure_s: when the rule of success was first broken, None where it was kept.
    """

    fps: float
    robot: Bodies
    reference: Bodies
    joint_pos_hw: Array
    reference_pos_hw: Array
    errors: TrackingErrors
    stage_ms: Array
    failure_s: float | None

    def __len__(self) -> int:
        return len(self.joint_pos_hw)
