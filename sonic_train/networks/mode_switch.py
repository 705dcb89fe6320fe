"""One ONNX graph out of one for each encoder, of which only the chosen one runs.

A runtime at 50 Hz reads its weights cold from memory at every tick; those of two idle encoders would be most of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import GraphProto, ModelProto, TensorProto, helper


def switch_by_mode(branches: Sequence[Path], path: Path) -> None:
    """Join graphs that share their input into one that runs branch i where element 0 of the input is i.

    Args:
        branches: two or more ONNX files with the same single input (1, n) f32 and the same single output; the last
            one also runs for every other number.
        path: file to write.
    """
    models = [onnx.load(str(file)) for file in branches]
    first = models[0].graph
    source, result = first.input[0], first.output[0]
    nodes = [
        helper.make_node("Gather", [source.name, "mode_column"], ["mode_row"], axis=1),
        helper.make_node("Squeeze", ["mode_row"], ["mode"]),
    ]
    constants = [helper.make_tensor("mode_column", TensorProto.INT64, [1], [0])]
    graphs = [_branch(model, f"mode{i}/") for i, model in enumerate(models)]
    chosen = graphs[-1]
    for i in reversed(range(len(graphs) - 1)):
        constants.append(helper.make_tensor(f"number{i}", TensorProto.FLOAT, [], [float(i)]))
        test = helper.make_node("Equal", ["mode", f"number{i}"], [f"is{i}"])
        output = result.name if i == 0 else f"token_from_{i}"
        switch = helper.make_node("If", [f"is{i}"], [output], then_branch=graphs[i], else_branch=chosen)
        nodes.append(test)
        if i == 0:
            nodes.append(switch)
        else:
            value = helper.make_tensor_value_info(output, TensorProto.FLOAT, _shape(result))
            chosen = helper.make_graph([switch], f"else{i}", [], [value])
    graph = helper.make_graph(nodes, "encoder", [source], [result], constants)
    joined = helper.make_model(graph, opset_imports=models[0].opset_import, ir_version=models[0].ir_version)
    onnx.checker.check_model(joined, full_check=True)
    onnx.save(joined, str(path))


def _branch(model: ModelProto, prefix: str) -> GraphProto:
    """Return the graph as the body of an If: names of its own, and the input taken from the graph around it."""
    named = onnx.compose.add_prefix(model, prefix, rename_inputs=False).graph
    return helper.make_graph(list(named.node), prefix.rstrip("/"), [], list(named.output), list(named.initializer))


def _shape(value: onnx.ValueInfoProto) -> list[int]:
    return [d.dim_value for d in value.type.tensor_type.shape.dim]
