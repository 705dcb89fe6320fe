"""Policies of other projects with their motion inside: one graph from observation and time step to action and motion.

What the metadata say is read by the controller of each kind (`imported_contract.py`); here the graph is run, and files
whose parts contradict each other are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sonic_runtime.contract.messages import Array
from sonic_runtime.contract.rotations import axis_angle_from_quat, quat_conjugate, quat_multiply
from sonic_runtime.infer.imported_contract import ImportedContract
from sonic_runtime.infer.imported_onnx import ImportedFile
from sonic_runtime.observe.imported_terms import MotionFrame, Vector
from sonic_runtime.robots import g1
from sonic_runtime.robots.kinematics import forward_kinematics

CONTROL_HZ = 50.0
"""Rate of the loop, and of every motion and policy here."""
_RATE_TOLERANCE = 0.1
_LAST_TIME_STEP = float(1 << 23)
"""Beyond the end of any motion and exact in float32; the graphs clamp the time step to their last frame."""
_PROBED_FRAMES = range(1, 2000, 20)
_SURE_OF_RATE_RAD = 2e-3
"""A joint motion from frame to frame below this says nothing about the rate."""
_FK_TOLERANCE_RAD = 0.15
"""Allowed angle between body orientations inside the file and the robot's; simulators differ by less than 0.01."""
WARM_UP_RUNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BakedBodies:
    """Where a graph has its body orientations.

    Attributes:
        output: name of the output.
        quaternion_order: order of the components in the file.
        body_names: bodies of an output (1, B, 4), the anchor among them; empty where it is (1, 4), the anchor alone.
    """

    output: str
    quaternion_order: Literal["wxyz", "xyzw"]
    body_names: tuple[str, ...] = ()


class ImportedPolicy:
    """The graph of one file: inputs obs and time_step, outputs actions, joint_pos, joint_vel and body orientations.

    Args:
        file: the file.
        contract: what its metadata says.
        bodies: where the orientations are.

    Attributes:
        contract: as given.
        path: of the file.
        session: runs the graph.
        first_frame: frame 0 of the motion.

    Raises:
        ContractError: names or shapes differ, the joints and bodies of the motion do not fit each other or the robot,
            the motion is not at 50 Hz, or the graph does not give finite numbers.
    """

    def __init__(self, file: ImportedFile, contract: ImportedContract, bodies: BakedBodies) -> None:
        self.contract = contract
        self.path = file.path
        self._file, self._bodies = file, bodies
        self.session = file.session
        names = bodies.body_names
        self._anchor_index = names.index(contract.anchor_body) if names else None
        self._outputs = ["actions", "joint_pos", "joint_vel", bodies.output]
        self._time_step = np.zeros((1, 1), dtype=np.float32)
        self._check_graph()
        self._blank = np.zeros((1, sum(t.size for t in contract.terms)), dtype=np.float32)
        action, self.first_frame = self.run(self._blank, 0)
        self._last_joint_pos = self.run(self._blank, _LAST_TIME_STEP)[1].joint_pos_file
        if not np.isfinite(action).all():
            raise file.error("expected finite actions for an observation of zeros, found NaN or infinity")
        self._check_motion()
        for _ in range(WARM_UP_RUNS):
            self.run(self._blank, 0)

    def run(self, vector: Vector, time_step: float) -> tuple[Vector, MotionFrame]:
        """Run the graph.

        Args:
            vector: (1, sum of the terms) f32 observation.
            time_step: frame of the motion to look up; the last one where it is beyond the end.

        Returns:
            Raw action (29,) f32 in file order, and that frame.
        """
        self._time_step[0, 0] = time_step
        feed = {"obs": vector, "time_step": self._time_step}
        action, joint_pos, joint_vel, quats = (np.asarray(a)[0] for a in self.session.run(self._outputs, feed))
        return action, MotionFrame(joint_pos, joint_vel, self._anchor_of(quats))

    def is_over(self, frame: MotionFrame, next_frame: MotionFrame) -> bool:
        """Return whether the motion stands still at its last frame from `frame` on."""
        next_pos = next_frame.joint_pos_file
        return bool((next_pos == self._last_joint_pos).all() and (next_pos == frame.joint_pos_file).all())

    def _anchor_of(self, quats: Array) -> Array:
        quat = quats if self._anchor_index is None else quats[self._anchor_index]
        if self._bodies.quaternion_order == "xyzw":
            x, y, z, w = quat.tolist()
            return np.array([w, x, y, z])
        return quat.astype(np.float64)

    def _check_graph(self) -> None:
        terms = self.contract.terms
        size = sum(term.size for term in terms)
        listed = " + ".join(f"{term.name} {term.size}" for term in terms)
        self._file.check_inputs({"obs": size, "time_step": 1}, f"; the observation is {listed}")
        bodies = self._bodies
        quats = (1, len(bodies.body_names), 4) if bodies.body_names else (1, 4)
        joints = (1, len(g1.JOINT_NAMES_HW))
        self._file.check_outputs({"actions": joints, "joint_pos": joints, "joint_vel": joints, bodies.output: quats})

    def _check_motion(self) -> None:
        frames = [self._raw(t) for t in (0, *_PROBED_FRAMES)]
        if not all(np.isfinite(values).all() for frame in frames for values in frame):
            raise self._file.error("expected a motion of finite numbers inside, found NaN or infinity")
        norms = np.array([np.linalg.norm(frame[2], axis=-1) for frame in frames])
        if np.abs(norms - 1.0).max() > 1e-2:
            raise self._file.error(
                f"{self._bodies.output}: expected unit quaternions, found norms {norms.min():.3g} up"
            )
        self._check_rate()
        if self._bodies.body_names:
            self._check_bodies(np.array([f[0] for f in frames]), np.array([f[2] for f in frames]))

    def _raw(self, time_step: float) -> tuple[Array, Array, Array]:
        self._time_step[0, 0] = time_step
        outputs = self.session.run(self._outputs[1:], {"obs": self._blank, "time_step": self._time_step})
        joint_pos, joint_vel, quats = (np.asarray(a)[0].astype(np.float64) for a in outputs)
        return joint_pos, joint_vel, quats

    def _check_rate(self) -> None:
        """Compare joint speeds with joint angles: a motion made for another rate than 50 Hz would be played wrongly."""
        rates = []
        for t in _PROBED_FRAMES:
            step = 0.5 * (self._raw(t + 1)[0] - self._raw(t - 1)[0])
            if np.abs(step).max() > _SURE_OF_RATE_RAD:
                rates.append(float(self._raw(t)[1] @ step / (step @ step)))
        if len(rates) < 3:
            return
        rate = float(np.median(rates))
        if abs(rate / CONTROL_HZ - 1.0) > _RATE_TOLERANCE:
            raise self._file.error(
                f"expected a motion at {CONTROL_HZ:g} frames a second inside, but its joint speeds are those of "
                f"{rate:.3g} frames a second; policy and motion must be made for {CONTROL_HZ:g} Hz"
            )

    def _check_bodies(self, joint_pos_file: Array, quats: Array) -> None:
        """Compare the orientations in the file with those of the robot at the file's joint angles."""
        names = self._bodies.body_names
        frames = len(joint_pos_file)
        upright = np.tile([1.0, 0.0, 0.0, 0.0], (frames, 1))
        joint_pos_hw = joint_pos_file[:, self.contract.joints.file_index_of_hw]
        _, robot = forward_kinematics(np.zeros((frames, 3)), upright, joint_pos_hw)
        robot = robot[:, [g1.BODY_NAMES.index(name) for name in names]]
        error = quat_multiply(quat_conjugate(_seen_from_first(quats)), _seen_from_first(robot))
        angles = np.linalg.norm(axis_angle_from_quat(error), axis=-1).mean(axis=0)
        worst = int(angles.argmax())
        if angles[worst] > _FK_TOLERANCE_RAD:
            raise self._file.error(
                f"the motion inside contradicts itself: at its joint angles, in the order of joint_names, the robot's "
                f"{names[worst]} is {angles[worst]:.2f} rad away from {self._bodies.output} (as wxyz, in the order of "
                f"body_names; seen from {names[0]}); joint order, body order or quaternion order are not what they "
                "should be"
            )


def _seen_from_first(quats: Array) -> Array:
    first = np.broadcast_to(quats[:, :1], quats.shape)
    return quat_multiply(quat_conjugate(first), quats)
