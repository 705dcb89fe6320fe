"""What observations and networks cost by themselves, and the least that the networks can cost on this computer.

A network for one input reads each weight once. The time for that, at the speed at which one core reads memory, is a
floor below which no tick gets with weights of this size, whatever multiplies them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from controllers.track_motion import TrackMotion
from sonic_runtime.contract.messages import Goal, Reference, RobotState
from sonic_runtime.infer.onnx_policy import OnnxPolicy
from sonic_runtime.infer.sized_policy import SIZED_POLICIES, sized_policy
from sonic_runtime.observe.assemble import DecoderInput, EncoderInput
from sonic_runtime.robots import g1

_FRAMES = 200
_ROUNDS = 200
_TURNS = 8
_TICKS_A_TURN = 30
_UNCOUNTED = 6
"""Ticks of a turn before the count: the other variant's weights are still in the caches."""
_UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])


class NetworkBench(msgspec.Struct, frozen=True, kw_only=True):
    """Costs of the parts.

    Attributes:
        assemble_us_per_value: for each input vector, time of assembly by the number of values computed [us].
        read_mb: weights that a tick with the first encoder reads [MB].
        memory_gb_s: speed at which one core reads a block of that size [GB/s].
        products: what multiplies, as in `OnnxPolicy.origin`.
        variants: median time of encoder and decoder together in this run [ms], where variants were compared.
    """

    assemble_us_per_value: dict[str, float]
    read_mb: float
    memory_gb_s: float
    products: str
    variants: dict[str, float]

    @property
    def floor_ms(self) -> float:
        """Time to read the weights of a tick once [ms]."""
        return self.read_mb / self.memory_gb_s

    def table(self) -> str:
        """Return a table."""
        lines = ["", "", f"{'assembly':<24}{'us/value':>10}"]
        lines += [f"{name:<24}{us:>10.4f}" for name, us in self.assemble_us_per_value.items()]
        lines += ["", f"networks                {self.products}"]
        speed = f"({self.memory_gb_s:.1f} GB/s on one core)"
        lines += [f"weights of a tick       {self.read_mb:.1f} MB, read in {self.floor_ms:.2f} ms at best {speed}"]
        if self.variants:
            fastest = next(iter(self.variants.values()))
            lines += ["", f"{'in turns, in this run':<44}{'p50 ms':>10}{'ratio':>8}"]
            lines += [f"{name:<44}{ms:>10.4f}{ms / fastest:>8.2f}" for name, ms in self.variants.items()]
        return "\n".join(lines)

    def line(self) -> dict[str, Any]:
        """Return the numbers for one line of JSON; the ratios are to the first variant, as the policy is run."""
        content: dict[str, Any] = {
            "assemble_us_per_value": round(max(self.assemble_us_per_value.values()), 4),
            "assemble": {name: round(us, 4) for name, us in self.assemble_us_per_value.items()},
            "products": self.products,
            "weights_read_mb": round(self.read_mb, 1),
            "memory_gb_s": round(self.memory_gb_s, 1),
            "memory_floor_ms": round(self.floor_ms, 3),
        }
        if self.variants:
            first = next(iter(self.variants.values()))
            content["variants_p50_ms"] = {name: round(ms, 4) for name, ms in self.variants.items()}
            content["ratios"] = {name: round(ms / first, 2) for name, ms in self.variants.items()}
        return content


def measure_network(policy: OnnxPolicy, name: str, load: Callable[..., OnnxPolicy], *, compare: bool) -> NetworkBench:
    """Measure the parts of a policy.

    Args:
        policy: the policy as it is run.
        name: as in `BenchConfig.policy`.
        load: loads it anew, with the options of `OnnxPolicy`.
        compare: whether to run it in other ways too, in turns.
    """
    encoder = policy.encoder.encoders[0].name
    variants: dict[str, float] = {}
    if compare:
        variants = _in_turns(
            {
                "as run": policy,
                "ONNX Runtime": load(name, products="onnxruntime"),
                "ONNX Runtime, encoder file as it is": load(name, products="onnxruntime", whole_graph=True),
            },
            encoder,
        )
    size = policy.read_bytes(encoder)
    return NetworkBench(
        assemble_us_per_value=_assembly(policy),
        read_mb=size / 1e6,
        memory_gb_s=_memory_speed(size),
        products=policy.origin["products"],
        variants=variants,
    )


def _in_turns(policies: Mapping[str, OnnxPolicy], encoder: str) -> dict[str, float]:
    """Return the median time of a tick of the controller [ms]; a slow minute of the computer falls on all."""
    state, goal = _standing_state(), _full_goal(encoder)
    controllers = {name: TrackMotion(policy) for name, policy in policies.items()}
    times: dict[str, list[float]] = {name: [] for name in policies}
    for _ in range(_TURNS):
        for name, controller in controllers.items():
            spent = [_timed(lambda c=controller: c.act(state, goal)) for _ in range(_TICKS_A_TURN)]
            times[name] += spent[_UNCOUNTED:]
    return {name: 1e3 * float(np.median(spent)) for name, spent in times.items()}


def _assembly(policy: OnnxPolicy) -> dict[str, float]:
    """Return time by number of values [us] of each encoder's input and of the decoder's."""
    state = _standing_state()
    encoder_input = EncoderInput(policy.encoder.inputs, policy.encoder.encoders)
    decoder_input = DecoderInput(policy.decoder.inputs, policy.decoder.history_fill)
    action = np.zeros(policy.decoder.action_dim, dtype=np.float32)
    token = np.zeros(policy.encoder.token_dim, dtype=np.float32)
    found = {}
    for spec in policy.encoder.encoders:
        goal = _full_goal(spec.name)
        values = sum(term.dim for term in policy.encoder.inputs if term.name in spec.required_terms)
        spent = [_timed(lambda g=goal: encoder_input.fill(state, g)) for _ in range(_ROUNDS)]
        found[f"encoder input, {spec.name}"] = 1e6 * float(np.median(spent)) / values
    goal = _full_goal(policy.encoder.encoders[0].name)
    spent = [_timed(lambda: decoder_input.fill(state, action, token, goal)) for _ in range(_ROUNDS)]
    found["decoder input"] = 1e6 * float(np.median(spent)) / policy.decoder.input_dim
    return found


def _memory_speed(size_bytes: int) -> float:
    """Return the best speed at which one core has read a block [GB/s]: a dot product of it with itself."""
    block = np.ones(max(1, size_bytes // 4), dtype=np.float32)
    return size_bytes / 1e9 / min(_timed(lambda: block.dot(block)) for _ in range(50))


def load_sized(name: str, **options: Any) -> OnnxPolicy:
    """Make a policy of `SIZED_POLICIES` and load it with options of `OnnxPolicy`."""
    with sized_policy(SIZED_POLICIES[name], **options) as policy:
        # the networks have been read; the files may go
        return policy


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _standing_state() -> RobotState:
    joints = len(g1.JOINT_NAMES_HW)
    return RobotState(
        stamp_ns=0,
        joint_pos_hw=g1.DEFAULT_POS_HW.copy(),
        joint_vel_hw=np.zeros(joints),
        base_quat_wxyz=_UPRIGHT.copy(),
        base_ang_vel_b=np.zeros(3),
        joint_torque_hw=np.zeros(joints),
    )


def _full_goal(encoder: str) -> Goal:
    """Return a playing reference with every track that any encoder may read."""
    joints = len(g1.JOINT_NAMES_POL)
    upright = np.tile(_UPRIGHT, (_FRAMES, 1))
    reference = Reference(
        joint_pos_pol=np.zeros((_FRAMES, joints)),
        joint_vel_pol=np.zeros((_FRAMES, joints)),
        root_quat_wxyz=upright,
        cursor=_FRAMES // 2,
        root_pos_w=np.zeros((_FRAMES, 3)),
        vr_pos_b=np.zeros((_FRAMES, 3, 3)),
        vr_quat_b_wxyz=np.tile(_UPRIGHT, (_FRAMES, 3, 1)),
        vr5_pos_b=np.zeros((_FRAMES, 5, 3)),
        vr5_quat_b_wxyz=np.tile(_UPRIGHT, (_FRAMES, 5, 1)),
        smpl_joints_b=np.zeros((_FRAMES, 24, 3)),
        smpl_root_quat_wxyz=upright,
        smpl_pose_rad=np.zeros((_FRAMES, 21, 3)),
    )
    return Goal(reference=reference, encoder=encoder, heading_quat_wxyz=_UPRIGHT, stamp_ns=0)
