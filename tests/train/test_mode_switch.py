"""The joined graph runs one branch, the one that the first input value names."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

import onnxruntime  # noqa: E402

from sonic_train.networks.mode_switch import switch_by_mode  # noqa: E402


def times(factor, path):
    """Write a graph (1, 3) -> (1, 3) that multiplies by a constant."""
    helper, kind = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "factor"], ["y"])],
        "times",
        [helper.make_tensor_value_info("x", kind.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", kind.FLOAT, [1, 3])],
        [helper.make_tensor("factor", kind.FLOAT, [], [factor])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


@pytest.mark.parametrize("count", [2, 3, 4])
def test_each_mode_runs_its_branch(tmp_path, count):
    branches = [times(10.0 ** (i + 1), tmp_path / f"{i}.onnx") for i in range(count)]
    switch_by_mode(branches, tmp_path / "joined.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "joined.onnx"))
    assert [i.name for i in session.get_inputs()] == ["x"] and [o.name for o in session.get_outputs()] == ["y"]
    assert session.get_outputs()[0].shape == [1, 3]
    for mode in range(count):
        x = np.array([[mode, 2.0, 3.0]], dtype=np.float32)
        np.testing.assert_allclose(session.run(None, {"x": x})[0], x * 10.0 ** (mode + 1), rtol=1e-6)


def test_an_unknown_mode_runs_the_last_branch(tmp_path):
    branches = [times(float(i + 1), tmp_path / f"{i}.onnx") for i in range(3)]
    switch_by_mode(branches, tmp_path / "joined.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "joined.onnx"))
    x = np.array([[7.0, 1.0, 1.0]], dtype=np.float32)
    np.testing.assert_allclose(session.run(None, {"x": x})[0], 3.0 * x)
