"""The two networks of a policy in ONNX Runtime, checked before the first tick.

Part of the act stage: encoder input -> token -> action, on one thread. Everything that can be wrong with the files is
found when they are loaded; after that, a call takes two matrix-vector chains and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.layout import DECODER_INPUT, DECODER_OUTPUT, ENCODER_INPUT, ENCODER_OUTPUT
from sonic_runtime.contract.manifest import PolicyManifest, manifest_of_metadata
from sonic_runtime.contract.observation_yaml import FILE_NAME, read_observation_yaml, yaml_differences
from sonic_runtime.contract.onnx_file import open_session
from sonic_runtime.infer.expectations import manifest_problems, pair_problems
from sonic_runtime.infer.policy_folder import DECODER_FILE, ENCODER_FILE

Vector = npt.NDArray[np.float32]

GOLDEN_TOLERANCE = 1e-4
"""Allowed difference from the golden output: float32 sums in another order move it by 1e-6, a wrong graph by more."""
WARM_UP_RUNS = 20


class OnnxPolicy:
    """An encoder and a decoder that belong together and fit this runtime.

    Args:
        folder: folder with encoder.onnx, decoder.onnx and observation_config.yaml.

    Raises:
        ContractError: a file is missing or unreadable, or anything differs: the message lists every field.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._encoder = open_session(folder / ENCODER_FILE)
        self._decoder = open_session(folder / DECODER_FILE)
        self.encoder = _manifest(self._encoder, folder / ENCODER_FILE)
        self.decoder = _manifest(self._decoder, folder / DECODER_FILE)
        yaml_content = read_observation_yaml(folder / FILE_NAME)
        _refuse(
            folder,
            pair_problems(self.encoder, self.decoder)
            + manifest_problems(self.encoder)
            + manifest_problems(self.decoder)
            + _shape_problems(self._encoder, self.encoder, ENCODER_INPUT, ENCODER_OUTPUT)
            + _shape_problems(self._decoder, self.decoder, DECODER_INPUT, DECODER_OUTPUT)
            + yaml_differences(yaml_content, self.encoder, self.decoder),
        )
        _refuse(
            folder,
            _golden_problems(self.encode, self.encoder, ENCODER_FILE)
            + _golden_problems(self.decode, self.decoder, DECODER_FILE),
        )
        self._warm_up()

    def encode(self, vector: Vector) -> Vector:
        """Return the motion token (64,) f32 of an encoder input (1, encoder.input_dim) f32."""
        return np.asarray(self._encoder.run([ENCODER_OUTPUT], {ENCODER_INPUT: vector})[0])[0]

    def decode(self, vector: Vector) -> Vector:
        """Return the raw action (29,) f32, policy order, of a decoder input (1, decoder.input_dim) f32."""
        return np.asarray(self._decoder.run([DECODER_OUTPUT], {DECODER_INPUT: vector})[0])[0]

    def _warm_up(self) -> None:
        # the first runs allocate the arenas of ONNX Runtime
        for _ in range(WARM_UP_RUNS):
            self.encode(np.zeros((1, self.encoder.input_dim), dtype=np.float32))
            self.decode(np.zeros((1, self.decoder.input_dim), dtype=np.float32))


def _manifest(session: onnxruntime.InferenceSession, path: Path) -> PolicyManifest:
    return manifest_of_metadata(session.get_modelmeta().custom_metadata_map, str(path))


def _shape_problems(
    session: onnxruntime.InferenceSession, manifest: PolicyManifest, input_name: str, output_name: str
) -> list[str]:
    expected = {
        "inputs": [(input_name, [1, manifest.input_dim], "tensor(float)")],
        "outputs": [(output_name, [1, manifest.output_dim], "tensor(float)")],
    }
    found = {
        "inputs": [(n.name, list(n.shape), n.type) for n in session.get_inputs()],
        "outputs": [(n.name, list(n.shape), n.type) for n in session.get_outputs()],
    }
    return [
        f"{manifest.part}: graph {key}: expected {_nodes(expected[key])}, found {_nodes(found[key])}"
        for key in expected
        if expected[key] != found[key]
    ]


def _nodes(nodes: list[tuple[str, list[int], str]]) -> str:
    return ", ".join(f"{name} {shape} {kind}" for name, shape, kind in nodes)


def _golden_problems(run: Callable[[Vector], Vector], manifest: PolicyManifest, file: str) -> list[str]:
    output = run(np.array([manifest.golden_input], dtype=np.float32))
    expected = np.array(manifest.golden_output, dtype=np.float32)
    worst = float(np.max(np.abs(output - expected), initial=0.0))
    if worst <= GOLDEN_TOLERANCE:  # false for NaN too
        return []
    index = int(np.argmax(np.abs(output - expected)))
    return [
        f"{file}: golden output: expected {expected[index]:.6g} at element {index}, found {output[index]:.6g} "
        f"(difference {worst:.2g}, allowed {GOLDEN_TOLERANCE:g}); not the weights or not the ONNX Runtime of the export"
    ]


def _refuse(folder: Path, problems: list[str]) -> None:
    if not problems:
        return
    lines = "\n".join(f"  - {p}" for p in problems[:40])
    more = f"\n  ... and {len(problems) - 40} more" if len(problems) > 40 else ""
    raise ContractError(
        f"{folder}: this policy does not fit this runtime, which has not started. "
        f"Differences ({len(problems)}):\n{lines}{more}"
    )
