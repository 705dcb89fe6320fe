"""ONNX files written without the onnx package: read by it, and computing what they should."""

import json
import sys

import numpy as np
import pytest

from sonic_runtime import cli
from sonic_runtime.contract.onnx_file import open_session
from sonic_runtime.infer.onnx_writer import OnnxGraph
from sonic_runtime.infer.sized_policy import (
    RELEASE_SIZE,
    SIZED_POLICIES,
    PolicySize,
    release_layout,
    sized_policy,
    write_sized_policy,
)
from tests.infer.published import ENCODER_DIMS

onnx = pytest.importorskip("onnx")
from onnx import numpy_helper  # noqa: E402

SMALL = PolicySize((24, 8), (16,))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    write_sized_policy(folder, release_layout(), SMALL, seed=3)
    return folder


def weights(path):
    return [numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer]


def number_of_weights(graph):
    return sum(int(np.prod(t.dims)) for t in graph.initializer if t.data_type == 1 and np.prod(t.dims) > 3)


@pytest.mark.parametrize("file", ["model_encoder.onnx", "model_decoder.onnx"])
def test_the_onnx_package_finds_nothing_wrong(small, file):
    model = onnx.load(small / file)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 13


def test_the_decoder_is_an_mlp_with_silu(small):
    w1, b1, w2, b2 = (a.astype(np.float64) for a in weights(small / "model_decoder.onnx") if a.dtype == np.float32)
    x = np.random.default_rng(0).normal(size=994).astype(np.float32)
    hidden = x @ w1 + b1
    expected = (hidden / (1 + np.exp(-hidden))) @ w2 + b2
    session = open_session(small / "model_decoder.onnx")
    (found,) = session.run(["action"], {"obs_dict": x[None]})
    assert np.asarray(found)[0] == pytest.approx(expected, abs=1e-5)


def test_an_encoder_reads_its_own_columns_and_quantises(small):
    session = open_session(small / "model_encoder.onnx")
    x = np.random.default_rng(1).normal(size=(1, 1762)).astype(np.float32)
    x[0, 0] = 0

    def encode(vector):
        return np.asarray(session.run(["encoded_tokens"], {"obs_dict": vector})[0])[0]

    token = encode(x)
    other = x.copy()
    other[0, 661:] = 5.0  # legs, VR points and SMPL are the other encoders'
    other[0, 584:601] = 5.0  # heights, and the single anchor
    assert np.array_equal(encode(other), token)
    other[0, 300] = 5.0
    assert np.any(encode(other) != token)
    assert np.array_equal(token * 16, np.round(token * 16))
    assert token.min() >= -1.0
    assert token.max() <= 0.9375


def test_positions_and_velocities_are_one_block_of_frames(small):
    """The block of 580 is cut into ten rows of 58, each with six values of the anchor behind it."""
    graph = onnx.load(small / "model_encoder.onnx").graph
    blocks = {i.name: numpy_helper.to_array(i).tolist() for i in graph.initializer if list(i.dims) == [4]}
    assert sorted(blocks.values()) == [[1, 1, 10, 6]] * 3 + [[1, 1, 10, 58], [1, 1, 10, 72]]


def test_release_size_has_the_published_layers(tmp_path):
    write_sized_policy(tmp_path, release_layout(), RELEASE_SIZE)
    encoder, decoder = (onnx.load(tmp_path / f"model_{part}.onnx").graph for part in ("encoder", "decoder"))
    shapes = [tuple(t.dims) for t in encoder.initializer if len(t.dims) == 2 and t.dims[0] > 1]
    published = [
        s for size_in in (640, 267, 840) for s in ((2048, size_in), (1024, 2048), (512, 1024), (512, 512), (64, 512))
    ]
    assert shapes == published
    shapes = [tuple(t.dims) for t in decoder.initializer if len(t.dims) == 2]
    assert shapes == [(994, 2048), (2048, 2048), (2048, 1024), (1024, 1024), (1024, 512), (512, 512), (512, 29)]
    # the published parameter counts
    assert number_of_weights(decoder) == 10_184_221
    assert number_of_weights(encoder) == 4_231_232 + 3_467_328 + 4_640_832
    # the published downloads have 50 100 513 and 40 900 688 bytes
    assert 0.98 < (tmp_path / "model_encoder.onnx").stat().st_size / 50_100_513 < 1.0
    assert 0.98 < (tmp_path / "model_decoder.onnx").stat().st_size / 40_900_688 < 1.0


def test_the_temporary_files_go_and_the_policy_stays():
    with sized_policy(SMALL) as policy:
        folder = policy.folder
        assert folder.is_dir()
    assert not folder.exists()
    assert policy.encoder.input_dim == ENCODER_DIMS["release"]
    assert np.isfinite(policy.decode(np.ones((1, 994), dtype=np.float32))).all()


def test_the_writer_writes_long_numbers_and_both_kinds_of_constants(tmp_path):
    graph = OnnxGraph("x", 300)
    columns = graph.constant(np.array([299, 0], dtype=np.int64))
    graph.node(
        "Add", graph.node("Gather", "x", columns, axis=1), graph.constant(np.array([[1, 2]], np.float32)), output="y"
    )
    (tmp_path / "m.onnx").write_bytes(graph.model("y", 2))
    onnx.checker.check_model(onnx.load(tmp_path / "m.onnx"), full_check=True)
    (y,) = open_session(tmp_path / "m.onnx").run(["y"], {"x": np.arange(300, dtype=np.float32)[None]})
    assert np.asarray(y).tolist() == [[300, 2]]


def bench(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["sonic-bench", "tick", *arguments])
    assert cli.bench() == 0
    lines = capsys.readouterr().out.splitlines()
    return "\n".join(lines[:-1]), json.loads(lines[-1])


def test_bench_of_the_release_size_ends_in_json(monkeypatch, capsys):
    table, result = bench(monkeypatch, capsys, "policy=release_size", "ticks=20", "warm_up_ticks=2")
    assert result["policy"] == "release_size"
    assert result["tick_p99_ms"] >= result["tick_p50_ms"] > 0
    assert set(result["assemble"]) == {f"encoder input, {e}" for e in ("g1", "teleop", "smpl")} | {"decoder input"}
    assert 0 < result["assemble_us_per_value"] == max(result["assemble"].values())
    assert result["weights_read_mb"] == pytest.approx((4_231_232 + 10_184_221) * 4e-6, abs=0.1)
    assert result["memory_floor_ms"] == pytest.approx(result["weights_read_mb"] / result["memory_gb_s"], rel=0.02)
    assert "us/value" in table
    assert "MB, read in" in table


def test_bench_compares_the_ways_to_run_the_networks(monkeypatch, capsys):
    monkeypatch.setitem(SIZED_POLICIES, "small", SMALL)
    table, result = bench(monkeypatch, capsys, "policy=small", "ticks=5", "warm_up_ticks=0", "compare=true")
    assert list(result["ratios"]) == ["as run", "ONNX Runtime", "ONNX Runtime, encoder file as it is"]
    assert result["ratios"]["as run"] == 1.0
    assert all(ms > 0 for ms in result["variants_p50_ms"].values())
    assert "ratio" in table
