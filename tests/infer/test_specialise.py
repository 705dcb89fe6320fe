"""Graphs in which a mode selects, in the ways in which exporters write that."""

from pathlib import Path

import numpy as np
import pytest

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.onnx_file import open_model
from sonic_runtime.infer.onnx_graph import read_graph
from sonic_runtime.infer.protobuf import read_fields, varint
from sonic_runtime.infer.specialise import Specialiser

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

INPUTS, WIDTH, MODES = 12, 6, 3
FIXED = np.arange(INPUTS)[None] == 0


def model(nodes, constants, opset=13):
    """Three encoders t0, t1, t2 of the columns behind the mode, and what is given to choose between them."""
    rng = np.random.default_rng(0)
    made = [helper.make_node("Gather", ["x", "columns"], ["terms"], axis=1)]
    weights: dict[str, np.ndarray] = {"columns": np.arange(1, INPUTS)}
    for i in range(MODES):
        weights[f"w{i}"] = rng.normal(size=(INPUTS - 1, WIDTH)).astype(np.float32)
        made += [
            helper.make_node("MatMul", ["terms", f"w{i}"], [f"m{i}"]),
            helper.make_node("Tanh", [f"m{i}"], [f"t{i}"]),
        ]
    graph = helper.make_graph(
        [*made, *nodes],
        "choice",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, INPUTS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, WIDTH])],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in {**weights, **constants}.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


node = helper.make_node
MODE = [node("Gather", ["x", "zero"], ["mode_f"], axis=1), node("Cast", ["mode_f"], ["mode"], to=TensorProto.INT64)]
STACK = node("Concat", ["t0", "t1", "t2"], ["stack"], axis=0)
ZERO = {"zero": np.array(0)}
CHOICES = {
    "gather by the index": ([*MODE, STACK, node("Gather", ["stack", "mode"], ["y"], axis=0)], ZERO),
    "one-hot product": (
        [
            *MODE,
            STACK,
            node("OneHot", ["mode", "depth", "off_on"], ["hot"]),
            node("Transpose", ["hot"], ["column"], perm=[1, 0]),
            node("Mul", ["column", "stack"], ["masked"]),
            node("ReduceSum", ["masked", "axis"], ["y"], keepdims=1),
        ],
        {**ZERO, "depth": np.array([MODES]), "off_on": np.array([0, 1], np.float32), "axis": np.array([0])},
    ),
    "a factor for each encoder": (
        [
            node("Slice", ["x", "start", "end", "one"], ["mode"]),
            *(node("Equal", ["mode", f"n{i}"], [f"is{i}"]) for i in range(MODES)),
            *(node("Cast", [f"is{i}"], [f"f{i}"], to=TensorProto.FLOAT) for i in range(MODES)),
            *(node("Mul", [f"t{i}", f"f{i}"], [f"p{i}"]) for i in range(MODES)),
            node("Add", ["p0", "p1"], ["p01"]),
            node("Add", ["p01", "p2"], ["y"]),
        ],
        {
            **{f"n{i}": np.array([i], np.float32) for i in range(MODES)},
            **{"start": np.array([0]), "end": np.array([1]), "one": np.array([1])},
        },
    ),
    "where": (
        [
            node("Split", ["x", "sizes"], ["mode", "unused"], axis=1),
            node("Equal", ["mode", "n0"], ["is0"]),
            node("Equal", ["mode", "n1"], ["is1"]),
            node("Where", ["is1", "t1", "t2"], ["other"]),
            node("Where", ["is0", "t0", "other"], ["y"]),
        ],
        {"sizes": np.array([1, INPUTS - 1]), "n0": np.array([0], np.float32), "n1": np.array([1], np.float32)},
    ),
}


def opened(data):
    session = open_model(data, Path(), optimise=False)
    return lambda vector, names: [np.asarray(v) for v in session.run(names, {"x": vector})]


def run(data, vector, names):
    return opened(data)(vector, names)


def inputs(mode, seed=0):
    vector = np.random.default_rng(seed).normal(size=(1, INPUTS)).astype(np.float32)
    vector[0, 0] = mode
    return vector


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("mode", range(MODES))
def test_only_the_chosen_encoder_is_left(choice, mode):
    data = model(*CHOICES[choice])
    part = Specialiser(read_graph(data), opened).specialise(inputs(mode), FIXED)
    smaller = onnx.load_from_string(part.data)
    onnx.checker.check_model(smaller, full_check=True)
    assert [i.name for i in smaller.graph.initializer if i.name.startswith("w")] == [f"w{mode}"]
    assert sum(n.op_type == "MatMul" for n in smaller.graph.node) == 1
    assert part.constant_bytes < 0.5 * Specialiser(read_graph(data), opened).constant_bytes
    for seed in range(5):
        vector = inputs(mode, seed)
        assert np.array_equal(run(part.data, vector, ["y"]), run(data, vector, ["y"]))


def test_what_is_mixed_and_not_chosen_keeps_every_encoder():
    """exp(-(mode - i)^2) is small and not zero: no encoder may go."""
    nodes = [
        *MODE[:1],
        node("Unsqueeze", ["mode_f", "axis"], ["column"]),
        node("Sub", ["column", "numbers"], ["distance"]),
        node("Mul", ["distance", "distance"], ["square"]),
        node("Neg", ["square"], ["less"]),
        node("Exp", ["less"], ["weight"]),
        STACK,
        node("Mul", ["weight", "stack"], ["mixed"]),
        node("ReduceSum", ["mixed", "first"], ["y"], keepdims=1),
    ]
    constants = {
        **ZERO,
        "axis": np.array([1]),
        "first": np.array([0]),
        "numbers": np.arange(MODES, dtype=np.float32)[:, None],
    }
    data = model(nodes, constants)
    specialiser = Specialiser(read_graph(data), opened)
    for mode in range(MODES):
        part = specialiser.specialise(inputs(mode), FIXED)
        assert sum(n.op_type == "MatMul" for n in onnx.load_from_string(part.data).graph.node) == MODES
        vector = inputs(mode, 7)
        assert np.array_equal(run(part.data, vector, ["y"]), run(data, vector, ["y"]))


def test_an_index_that_other_inputs_move_keeps_every_encoder():
    """The place depends on a column that is not fixed, though it was the mode's in the probing run."""
    nodes = [
        node("Gather", ["x", "both"], ["pair"], axis=1),
        node("ReduceMax", ["pair"], ["largest"], axes=[1], keepdims=0),
        node("Cast", ["largest"], ["mode"], to=TensorProto.INT64),
        STACK,
        node("Gather", ["stack", "mode"], ["y"], axis=0),
    ]
    data = model(nodes, {"both": np.array([0, 1])})
    probe = inputs(1)
    probe[0, 1] = 0.0
    part = Specialiser(read_graph(data), opened).specialise(probe, FIXED)
    other = probe.copy()
    other[0, 1] = 2.0
    assert np.array_equal(run(part.data, other, ["y"]), run(data, other, ["y"]))


def test_random_numbers_are_not_fixed():
    nodes = [node("RandomUniform", [], ["noise"], shape=[1, WIDTH], dtype=1), node("Add", ["t0", "noise"], ["y"])]
    part = Specialiser(read_graph(model(nodes, {})), opened).specialise(inputs(0), FIXED)
    assert "RandomUniform" in [n.op_type for n in onnx.load_from_string(part.data).graph.node]


def test_an_output_that_is_the_mode_alone_is_refused():
    nodes = [node("Gather", ["x", "zeros"], ["y"], axis=1)]
    specialiser = Specialiser(read_graph(model(nodes, {"zeros": np.zeros(WIDTH, dtype=np.int64)})), opened)
    with pytest.raises(ContractError, match="expected an output that depends on more than the mode"):
        specialiser.specialise(inputs(0), FIXED)


def test_control_flow_is_not_judged():
    then = helper.make_graph(
        [node("Identity", ["t0"], ["a"])], "a", [], [helper.make_tensor_value_info("a", 1, [1, WIDTH])]
    )
    other = helper.make_graph(
        [node("Identity", ["t1"], ["b"])], "b", [], [helper.make_tensor_value_info("b", 1, [1, WIDTH])]
    )
    nodes = [
        *MODE[:1],
        node("Equal", ["mode_f", "n0"], ["is0"]),
        node("If", ["is0"], ["y"], then_branch=then, else_branch=other),
    ]
    graph = read_graph(model(nodes, {**ZERO, "n0": np.array([0], np.float32)}))
    with pytest.raises(ContractError, match="expected a graph without control flow"):
        Specialiser(graph, opened)


@pytest.mark.parametrize("length", [1, 7, 50, 300, 900])
def test_files_cut_short_give_one_plain_error(length):
    data = model(*CHOICES["where"])
    assert len(data) > 900
    with pytest.raises(ContractError):
        read_graph(data[:length])


def test_numbers_survive_the_wire():
    for number in (0, 1, 127, 128, 300, 2**31, 2**63 - 1, 2**64 - 1):
        ((field, found),) = read_fields(memoryview(varint(5 << 3) + varint(number)))
        assert (field, found) == (5, number)
    with pytest.raises(ContractError):
        list(read_fields(memoryview(b"\xff" * 12)))


def test_a_traced_export_of_pytorch_is_taken_apart(tmp_path):
    """The selection of the public exporter, as PyTorch's tracing exporter writes it today."""
    torch = pytest.importorskip("torch")
    import warnings

    class Choice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoders = torch.nn.ModuleList(torch.nn.Linear(INPUTS - 1, WIDTH) for _ in range(MODES))

        def forward(self, x):
            index = x[..., 0].long()
            hot = torch.zeros((index.shape[0], MODES))
            hot[torch.arange(index.shape[0]), index] = 1.0
            terms = x[..., 1:].unsqueeze(1)
            tokens = [torch.tanh(e(terms)).reshape(-1, 2, WIDTH // 2) for e in self.encoders]
            stack = torch.stack(tokens, dim=0)
            weights = hot.t()
            while weights.ndim < stack.ndim:
                weights = weights.unsqueeze(-1)
            return (stack * weights).sum(dim=0).flatten(start_dim=-2)

    path = tmp_path / "traced.onnx"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Choice(), (torch.zeros(1, INPUTS),), str(path), input_names=["x"], output_names=["y"], opset_version=13,
            dynamo=False,
        )  # fmt: skip
    data = path.read_bytes()
    assert sum(n.op_type == "ScatterND" for n in onnx.load_from_string(data).graph.node) == 1
    specialiser = Specialiser(read_graph(data), opened)
    for mode in range(MODES):
        part = specialiser.specialise(inputs(mode), FIXED)
        assert sum(n.op_type == "MatMul" for n in onnx.load_from_string(part.data).graph.node) == 1
        vector = inputs(mode, 3)
        assert np.allclose(run(part.data, vector, ["y"]), run(data, vector, ["y"]), atol=1e-6)
