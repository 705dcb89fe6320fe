"""Writes a policy folder whose networks have random small weights: the right shapes and manifest, no skill."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from sonic_runtime.contract import layout
from sonic_runtime.contract.manifest import MANIFEST_KEY, PolicyManifest, TermSpec, manifest_json
from sonic_runtime.contract.observation_yaml import FILE_NAME, observation_yaml
from sonic_runtime.robots import g1

Part = Literal["encoder", "decoder"]
ENCODER_HIDDEN = (512, 256)
DECODER_HIDDEN = (1024, 512, 256)


@dataclasses.dataclass
class Graph:
    """Nodes and weights of an MLP under construction; `value` is the name of the newest tensor."""

    rng: np.random.Generator
    value: str
    nodes: list[onnx.NodeProto] = dataclasses.field(default_factory=list)
    weights: list[onnx.TensorProto] = dataclasses.field(default_factory=list)

    def constant(self, name: str, array: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def add(self, op: str, *inputs: str, **attributes) -> str:
        out = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [out], **attributes))
        self.value = out
        return out

    def layer(self, size_in: int, size_out: int, gain: float) -> None:
        i = len(self.weights)
        weight = self.rng.normal(0.0, gain / np.sqrt(size_in), (size_in, size_out))
        self.add("Gemm", self.value, self.constant(f"w{i}", weight), self.constant(f"b{i}", np.zeros(size_out)))

    def silu(self) -> None:
        x = self.value
        self.add("Mul", x, self.add("Sigmoid", x))


def _mlp(graph: Graph, sizes: tuple[int, ...], last_gain: float) -> None:
    for size_in, size_out in itertools.pairwise(sizes[:-1]):
        graph.layer(size_in, size_out, 1.0)
        graph.silu()
    graph.layer(sizes[-2], sizes[-1], last_gain)


def _quantise(graph: Graph) -> None:
    # 32 levels, multiples of 1/16 in [-1, 0.9375]
    graph.add("Tanh", graph.value)
    graph.add("Mul", graph.value, graph.constant("half", np.array(15.5155)))
    graph.add("Sub", graph.value, graph.constant("offset", np.array(0.5)))
    graph.add("Round", graph.value)
    graph.add("Div", graph.value, graph.constant("levels", np.array(16.0)))


def _model(graph: Graph, names: tuple[str, str], sizes: tuple[int, int]) -> onnx.ModelProto:
    graph.nodes[-1].output[0] = names[1]
    proto = helper.make_graph(
        graph.nodes,
        "policy",
        [helper.make_tensor_value_info(names[0], TensorProto.FLOAT, [1, sizes[0]])],
        [helper.make_tensor_value_info(names[1], TensorProto.FLOAT, [1, sizes[1]])],
        graph.weights,
    )
    return helper.make_model(proto, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def make_manifest(part: Part, inputs: tuple[TermSpec, ...], golden: tuple[np.ndarray, np.ndarray]) -> PolicyManifest:
    return PolicyManifest(
        part=part,
        robot=g1.ROBOT_NAME,
        pair_id="0123456789abcdef",
        joint_names_pol=g1.JOINT_NAMES_POL,
        joint_names_hw=g1.JOINT_NAMES_HW,
        default_joint_pos_pol=tuple(g1.to_policy_order(g1.DEFAULT_POS_HW).tolist()),
        action_scale_pol=tuple(g1.to_policy_order(g1.ACTION_SCALE_HW).tolist()),
        stiffness_pol=tuple(g1.to_policy_order(g1.STIFFNESS_HW).tolist()),
        damping_pol=tuple(g1.to_policy_order(g1.DAMPING_HW).tolist()),
        effort_limit_pol=tuple(g1.to_policy_order(g1.EFFORT_LIMIT_HW).tolist()),
        action_clip=20.0,
        control_hz=50.0,
        physics_hz=200.0,
        inputs=inputs,
        encoders=layout.RELEASE_ENCODERS if part == "encoder" else (),
        training_revision="random weights",
        golden_input=tuple(golden[0].astype(np.float32).tolist()),
        golden_output=tuple(golden[1].astype(np.float32).tolist()),
    )


def write_model(path: Path, model: onnx.ModelProto, manifest: PolicyManifest) -> None:
    """Write an ONNX file with a manifest, which may be wrong on purpose."""
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = MANIFEST_KEY, msgspec.json.encode(manifest).decode()
    onnx.save(model, path)


def _golden(model: onnx.ModelProto, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    vector = rng.normal(0.0, 1.0, (1, size)).astype(np.float32)
    return vector[0], np.asarray(session.run(None, {session.get_inputs()[0].name: vector})[0])[0]


def write_random_policy(
    folder: Path,
    *,
    seed: int = 0,
    action_gain: float = 0.01,
    encoder_hidden: tuple[int, ...] = ENCODER_HIDDEN,
    decoder_hidden: tuple[int, ...] = DECODER_HIDDEN,
) -> Path:
    """Write encoder.onnx, decoder.onnx and observation_config.yaml with consistent manifests; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    manifests = {}
    parts: tuple[tuple[Part, tuple[TermSpec, ...], int, tuple[int, ...], float, tuple[str, str]], ...] = (
        ("encoder", layout.RELEASE_ENCODER_INPUTS, 64, encoder_hidden, 1.0, ("obs_dict", "encoded_tokens")),
        ("decoder", layout.RELEASE_DECODER_INPUTS, 29, decoder_hidden, action_gain, ("obs_dict", "action")),
    )
    for part, inputs, size_out, hidden, gain, names in parts:
        size_in = sum(t.dim for t in inputs)
        graph = Graph(rng, names[0])
        _mlp(graph, (size_in, *hidden, size_out), gain)
        if part == "encoder":
            _quantise(graph)
        model = _model(graph, names, (size_in, size_out))
        manifests[part] = make_manifest(part, inputs, _golden(model, size_in, rng))
        manifest_json(manifests[part])
        write_model(folder / f"{part}.onnx", model, manifests[part])
    (folder / FILE_NAME).write_text(observation_yaml(manifests["encoder"], manifests["decoder"]))
    return folder
