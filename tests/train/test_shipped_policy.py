"""The shipped weights against the shipped ONNX files, on observations recorded in training."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the trained model needs torch (the train extra)")

import onnx  # noqa: E402

from sonic_runtime.infer.onnx_policy import OnnxPolicy  # noqa: E402
from sonic_runtime.infer.policy_folder import find_policy  # noqa: E402
from sonic_train.checkpoint import find_checkpoint, load_model, read_checkpoint  # noqa: E402
from sonic_train.networks.deploy_graphs import encoder_input  # noqa: E402
from sonic_train.networks.quantizer import bound_latents, quantize_exactly  # noqa: E402
from sonic_train.networks.token_inputs import ENCODER_NAMES  # noqa: E402

TOLERANCE = 1e-4
TIE = 1e-3
"""A latent this close to the border of two levels may be rounded either way."""
LEVEL = 1 / 16
LAYER_TENSORS = (".weight", ".bias")


@pytest.fixture(scope="module")
def shipped():
    model, content = load_model(find_checkpoint("default"))
    samples = content["samples"]
    assert samples["policy"].shape[0] >= 16
    # recorded, not drawn: sensor noise and histories of real rollouts differ from row to row
    assert (samples["policy"].std(dim=0) > 0).float().mean() > 0.9
    return model, samples, OnnxPolicy(find_policy("default"))


@pytest.mark.parametrize("mode", range(len(ENCODER_NAMES)), ids=ENCODER_NAMES)
def test_torch_and_onnx_agree_on_recorded_observations(shipped, mode):
    model, samples, policy = shipped
    module = model.actor.actor_module
    with torch.no_grad():
        latents = module.encode(model.normalizers["tokenizer"](samples["tokenizer"]))[ENCODER_NAMES[mode]]
        expected_tokens = quantize_exactly(latents)
        bounded = bound_latents(latents)
        tie = ((bounded - bounded.floor() - 0.5).abs() < TIE).numpy()
        inputs = encoder_input(samples["tokenizer"], mode).numpy()
        tokens = np.stack([policy.encode(row[None]) for row in inputs])
        # both decoders read the same token, so that a tie does not count twice
        proprioception = model.normalizers["policy"](samples["policy"])
        expected = module.decode_action(expected_tokens, proprioception).numpy()
        decoder_inputs = torch.cat([expected_tokens, samples["policy"]], dim=-1).numpy()
    actions = np.stack([policy.decode(row[None]) for row in decoder_inputs])
    np.testing.assert_allclose(actions, expected, atol=TOLERANCE, rtol=0)
    error = np.abs(tokens - expected_tokens.numpy())
    assert error[~tie].max() < TOLERANCE
    assert error.max() < 1.5 * LEVEL
    assert tie.mean() < 0.01
    assert np.ptp(expected) > 0.5 and len(np.unique(tokens)) > 8


def test_all_three_files_have_the_same_float16_numbers():
    path = find_checkpoint("default")
    stored = {name: value for name, value in read_checkpoint(path)["model"].items() if name.endswith(LAYER_TENSORS)}
    assert {value.dtype for value in stored.values()} == {torch.float16, torch.bfloat16}
    assert path.stat().st_size < 12.5e6
    exported = {}
    for part in ("encoder", "decoder"):
        proto = onnx.load(str(find_policy("default") / f"{part}.onnx"))
        exported |= {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in _initializers(proto.graph)}
    layers = [value.float().numpy() for name, value in stored.items() if ".encoders." in name or ".g1_dyn." in name]
    weights = [value for name, value in exported.items() if name.endswith(LAYER_TENSORS)]
    assert len(weights) == len(layers) > 20
    assert sorted(value.tobytes() for value in weights) == sorted(value.tobytes() for value in layers)


def _initializers(graph):
    """All stored tensors of a graph and of the branches in it."""
    yield from graph.initializer
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        if attribute.HasField("g"):
            yield from _initializers(attribute.g)
