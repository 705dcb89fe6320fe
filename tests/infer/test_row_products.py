"""Large perceptrons in products of rows: the numbers of ONNX Runtime, or ONNX Runtime."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.observation_yaml import read_observation_yaml
from sonic_runtime.infer import network, row_products
from sonic_runtime.infer.encoder_graphs import mode_vector
from sonic_runtime.infer.linear_chain import find_chain
from sonic_runtime.infer.onnx_graph import read_graph
from sonic_runtime.infer.onnx_policy import OnnxPolicy
from sonic_runtime.infer.released import CONTRACTS
from sonic_runtime.infer.row_products import Layer, RowProducts
from sonic_runtime.infer.sized_policy import PolicySize, write_sized_policy
from tests.infer.published import LAYOUTS

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

pytestmark = pytest.mark.skipif(not row_products.AVAILABLE, reason="numpy older than 2.0 has no products of rows")
CONTRACT = CONTRACTS["sonic_release"]
SIZE = PolicySize((48, 32), (64, 32))
ALL_ROWS = "g1: row by row, teleop: row by row, smpl: row by row, decoder: row by row"


@pytest.fixture(scope="module", params=LAYOUTS)
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    write_sized_policy(folder, read_observation_yaml(LAYOUTS[request.param]), SIZE, seed=1)
    shutil.copy(LAYOUTS[request.param], folder / "observation_config.yaml")
    return folder


@pytest.fixture
def rows_for_all(monkeypatch):
    monkeypatch.setattr(network, "ROWS_FROM_BYTES", 0)


def test_every_layout_and_mode_gives_the_numbers_of_onnx_runtime(folder, rows_for_all):
    rows, plain = OnnxPolicy(folder, CONTRACT), OnnxPolicy(folder, CONTRACT, products="onnxruntime")
    assert rows.origin["products"] == ALL_ROWS
    assert plain.origin["products"] == ALL_ROWS.replace("row by row", "ONNX Runtime")
    rng = np.random.default_rng(5)
    for _ in range(20):
        vector = rng.standard_normal((1, 994), np.float32)
        assert rows.decode(vector) == pytest.approx(plain.decode(vector), abs=1e-6)
        for encoder in rows.encoder.encoders:
            noise = rng.standard_normal((1, rows.encoder.input_dim), np.float32)
            vector = mode_vector(rows.encoder, encoder, noise)
            assert np.mean(rows.encode(vector) != plain.encode(vector)) <= 1 / 64  # a tie of the quantiser


def test_results_belong_to_the_caller(folder, rows_for_all):
    policy = OnnxPolicy(folder, CONTRACT)
    ones, zeros = np.ones((1, 994), np.float32), np.zeros((1, 994), np.float32)
    first = policy.decode(ones)
    kept = first.copy()
    policy.decode(zeros)
    assert np.array_equal(first, kept)
    assert np.array_equal(policy.decode(ones), kept)


@pytest.mark.parametrize("how", ["threads", "asked for", "small", "old numpy"])
def test_onnx_runtime_multiplies_where_rows_are_not_wanted(folder, monkeypatch, how):
    monkeypatch.setattr(network, "ROWS_FROM_BYTES", 0 if how != "small" else 10**9)
    monkeypatch.setattr(row_products, "AVAILABLE", how != "old numpy")
    products = "onnxruntime" if how == "asked for" else "auto"
    policy = OnnxPolicy(folder, CONTRACT, threads=2 if how == "threads" else 1, products=products)
    assert "row by row" not in policy.origin["products"]
    assert np.isfinite(policy.decode(np.ones((1, 994), np.float32))).all()


def test_wrong_products_are_found_out(folder, rows_for_all, monkeypatch):
    original = RowProducts.__call__
    monkeypatch.setattr(RowProducts, "__call__", lambda self, vector: original(self, vector) + np.float32(2e-3))
    origin = OnnxPolicy(folder, CONTRACT).origin["products"]
    assert origin.count("ONNX Runtime (products of rows differ from those of ONNX Runtime by 0.002") == 4


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="memory is read from /proc")
def test_the_weights_are_in_memory_once():
    code = """
import re
from sonic_runtime.infer.sized_policy import RELEASE_SIZE, sized_policy
def used_mb():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1000
before = used_mb()
with sized_policy(RELEASE_SIZE) as policy:
    pass
print(used_mb() - before)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 80 < float(result.stdout) < 1.6 * 90


def test_silu_neither_overflows_nor_loses_small_numbers():
    numbers = np.array([-1e4, -100.0, -20.0, -1.0, -1e-6, 0.0, 1e-6, 1.0, 20.0, 1e4], dtype=np.float32)
    with np.errstate(all="raise", under="ignore"):
        found = RowProducts([Layer(np.eye(10, dtype=np.float32), None, True)])(numbers)
    exact = numbers.astype(np.float64) / (1 + np.exp(np.minimum(-numbers.astype(np.float64), 700)))
    assert found == pytest.approx(exact, rel=1e-6, abs=2e-6)
    assert np.isnan(RowProducts([Layer(np.eye(1, dtype=np.float32), None, True)])(np.array([np.nan], np.float32)))


node = helper.make_node
RNG = np.random.default_rng(3)
W1, B1, W2 = (RNG.normal(size=s).astype(np.float32) for s in ((8, 5), (8,), (8, 3)))
SILU = [node("Sigmoid", ["h"], ["gate"]), node("Mul", ["gate", "h"], ["a"])]
GEMM = node("Gemm", ["x", "w1", "b1"], ["h"], transB=1)


LINEAR = node("Gemm", ["t", "w1", "b1"], ["z"], transB=1)


def model(nodes, shape=(1, 5), **constants):
    arrays = {"w1": W1, "b1": B1, "w2": W2, **constants}
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", "columns"])],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in arrays.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(made)
    return made.SerializeToString()


def chosen(data, shape=(1, 5)):
    session = network.open_model(data, Path())
    samples = [RNG.normal(size=shape).astype(np.float32) for _ in range(4)]
    plain = network.SessionNetwork(session, "x", "y")
    found, note = network.choose_network(plain, lambda: data, Path(), samples, rows=True)
    for sample in samples:
        assert np.ravel(found(sample)) == pytest.approx(np.ravel(plain(sample)), abs=1e-5)
    return found, note


CHAINS = {
    "one layer": [node("Gemm", ["x", "w1", "b1"], ["y"], transB=1)],
    "Gemm, SiLU, MatMul": [GEMM, *SILU, node("MatMul", ["a", "w2"], ["y"])],
    "bias in front": [
        node("MatMul", ["x", "w1t"], ["m"]),
        node("Add", ["b1", "m"], ["h"]),
        *SILU,
        node("MatMul", ["a", "w2"], ["y"]),
    ],
    "something behind": [GEMM, *SILU, node("MatMul", ["a", "w2"], ["z"]), node("Tanh", ["z"], ["y"])],
    "something before": [
        node("Tanh", ["x"], ["t"]),
        node("Gemm", ["t", "w1", "b1"], ["h"], transB=1),
        *SILU,
        node("MatMul", ["a", "w2"], ["y"]),
    ],
    "constants among what is moved": [
        node("Slice", ["x", "start", "end", "axis"], ["two"]),
        node("Concat", ["two", "three"], ["t"], axis=1),
        node("Gemm", ["t", "w1", "b1"], ["y"], transB=1),
    ],
    "another function after": [GEMM, node("Relu", ["h"], ["r"]), node("MatMul", ["r", "w2"], ["y"])],
}


@pytest.mark.parametrize("name", CHAINS)
def test_perceptrons_are_found(name, rows_for_all):
    constants = {
        "w1t": np.ascontiguousarray(W1.T),
        "three": np.array([[1, 2, 4]], np.float32),
        "start": np.array([3]),
        "end": np.array([5]),
        "axis": np.array([1]),
    }
    found, note = chosen(model(CHAINS[name], **constants))
    assert note == "row by row"
    assert isinstance(found, network.RowNetwork)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([node("Gemm", ["x", "w1", "b1"], ["y"], transB=1, alpha=0.5)], "found none"),
        ([node("Tanh", ["x"], ["t"]), LINEAR, node("Concat", ["z", "x"], ["y"], axis=1)], "alone"),
        ([GEMM, node("Concat", ["h", "x"], ["y"], axis=1)], "one reader of 'x'"),
        ([GEMM, node("ReduceSum", ["x"], ["s"]), node("Add", ["h", "s"], ["y"])], "one reader of 'x'"),
        ([node("Mul", ["x", "x"], ["y"])], "found none"),
    ],
)
def test_other_graphs_stay_in_onnx_runtime(nodes, expected, rows_for_all):
    _, note = chosen(model(nodes))
    assert note.startswith("ONNX Runtime (")
    assert expected in note


def test_weights_of_another_type_are_refused():
    graph = helper.make_graph(
        [node("MatMul", ["x", "w"], ["y"])],
        "doubles",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [1, 5])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, [1, 5])],
        [numpy_helper.from_array(np.eye(5), "w")],
    )
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString()
    with pytest.raises(ContractError, match="float32 values in the file"):
        find_chain(read_graph(data))
