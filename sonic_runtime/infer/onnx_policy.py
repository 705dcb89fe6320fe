"""The two networks of a policy in ONNX Runtime, checked before the first tick.

Part of the act stage: encoder input -> token -> action, on one thread unless told otherwise. Everything that can be
wrong with the files is found when they are loaded; after that, a call takes two matrix-vector chains and nothing else:
of the encoders in the file, only the one that the mode selects (see `encoder_graphs.py`).
"""

from __future__ import annotations

import ctypes
import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.layout import DECODER_INPUT, DECODER_OUTPUT, ENCODER_INPUT, ENCODER_OUTPUT
from sonic_runtime.contract.manifest import MANIFEST_KEY, PolicyManifest, manifest_of_metadata
from sonic_runtime.contract.observation_yaml import FILE_NAME, read_observation_yaml, yaml_differences
from sonic_runtime.contract.onnx_file import open_session
from sonic_runtime.infer.encoder_graphs import mode_slots, mode_vector, random_inputs, take_apart, whole_encoder
from sonic_runtime.infer.expectations import manifest_problems, pair_problems
from sonic_runtime.infer.network import Network, Products, SessionNetwork, choose_network
from sonic_runtime.infer.policy_folder import onnx_files
from sonic_runtime.infer.released import ReleasedContract, released_manifests

Vector = npt.NDArray[np.float32]
_log = logging.getLogger(__name__)

GOLDEN_TOLERANCE = 1e-4
"""Allowed difference from the golden output: float32 sums in another order move it by 1e-6, a wrong graph by more."""
WARM_UP_RUNS = 20


class OnnxPolicy:
    """An encoder and a decoder that belong together and fit this runtime.

    Args:
        folder: folder with the two ONNX files and observation_config.yaml.
        contract: what to assume of files that carry no manifest, where the user asked for that; None reads manifests.
        threads: threads inside one operator of the networks; more than one rule out products of rows.
        products: what multiplies; see `network.Products`.
        whole_graph: run the encoder file as it is, with every encoder in it; to compare.

    Attributes:
        folder: the folder.
        contract: as given.
        encoder: manifest of the encoder: its own, or what is assumed.
        decoder: the same of the decoder.

    Raises:
        ContractError: a file is missing or unreadable, or anything differs: the message lists every field.
    """

    def __init__(
        self,
        folder: Path,
        contract: ReleasedContract | None = None,
        *,
        threads: int = 1,
        products: Products = "auto",
        whole_graph: bool = False,
    ) -> None:
        self.folder = folder
        self.contract = contract
        files = onnx_files(folder)
        whole, decoder = open_session(files[0], threads), open_session(files[1], threads)
        yaml_content = read_observation_yaml(folder / FILE_NAME)
        if contract is None:
            self.encoder, self.decoder = _manifest(whole, files[0]), _manifest(decoder, files[1])
            problems = pair_problems(self.encoder, self.decoder)
            problems += manifest_problems(self.encoder) + manifest_problems(self.decoder)
            problems += yaml_differences(yaml_content, self.encoder, self.decoder)
        else:
            _refuse_manifests((whole, decoder), files, contract)
            self.encoder, self.decoder, problems = released_manifests(yaml_content, contract)
        problems += _shape_problems(whole, self.encoder, ENCODER_INPUT, ENCODER_OUTPUT)
        problems += _shape_problems(decoder, self.decoder, DECODER_INPUT, DECODER_OUTPUT)
        _refuse(folder, problems)
        self._encoders = whole_encoder(files[0], whole, self.encoder, "as asked for")
        self._decoder: Network = SessionNetwork(decoder, DECODER_INPUT, DECODER_OUTPUT)
        self._products = "ONNX Runtime"
        self._decoder_bytes = files[1].stat().st_size
        self._mode_column = mode_slots(self.encoder)[0][0]
        if contract is None:
            encoder = SessionNetwork(whole, ENCODER_INPUT, ENCODER_OUTPUT)
            problems = _golden_problems(encoder, self.encoder, files[0].name)
            problems += _golden_problems(self._decoder, self.decoder, files[1].name)
        else:
            problems = self._trial_problems()
            _log.warning("%s: %s", folder, contract.note)
        _refuse(folder, problems)
        rows = products == "auto" and threads == 1
        if not whole_graph:
            self._encoders = take_apart(files[0], whole, self.encoder, threads, rows=rows)
        self._decoder, self._products = choose_network(
            self._decoder, files[1].read_bytes, folder, random_inputs(self.decoder), rows=rows
        )
        self._warm_up()
        del whole, decoder
        _return_freed_memory()

    @property
    def origin(self) -> dict[str, str]:
        """What the policy is and what is taken on trust, for the summary of a run."""
        products = {**self._encoders.products, "decoder": self._products}
        return {
            "folder": str(self.folder),
            "contract": "manifest" if self.contract is None else self.contract.name,
            "note": "" if self.contract is None else self.contract.note,
            "training_revision": self.decoder.training_revision,
            "history_fill": self.decoder.history_fill,
            "encoder_graph": self._encoders.note,
            "products": ", ".join(f"{network}: {how}" for network, how in products.items()),
        }

    def read_bytes(self, encoder: str) -> int:
        """Return how many bytes of weights a tick with this encoder reads; what that takes is the least it can take."""
        return self._encoders.size_bytes[encoder] + self._decoder_bytes

    def encode(self, vector: Vector) -> Vector:
        """Return the motion token (64,) f32 of an encoder input (1, encoder.input_dim) f32.

        Raises:
            ContractError: the policy has no encoder with the mode in the input.
        """
        network = self._encoders.by_mode.get(float(vector[0, self._mode_column]))
        if network is None:
            known = ", ".join(f"{e.mode_id} ({e.name})" for e in self.encoder.encoders)
            raise ContractError(
                f"encoder input: expected one of the modes {known} in element {self._mode_column}, "
                f"got {vector[0, self._mode_column]}"
            )
        return network(vector)

    def decode(self, vector: Vector) -> Vector:
        """Return the raw action (29,) f32, policy order, of a decoder input (1, decoder.input_dim) f32."""
        return self._decoder(vector)

    def _trial_problems(self) -> list[str]:
        """Run every encoder and the decoder once on zeros; the outputs of a sound file are finite."""
        problems = []
        zeros = np.zeros((1, self.encoder.input_dim), dtype=np.float32)
        for encoder in self.encoder.encoders:
            try:
                token = self.encode(mode_vector(self.encoder, encoder, zeros))
                action = self.decode(np.resize(token, (1, self.decoder.input_dim)))
            except Exception as error:  # noqa: BLE001  ONNX Runtime's errors share no base class
                problems.append(f"encoder {encoder.name!r}: the graph fails on zeros ({str(error).splitlines()[0]})")
                continue
            if not (np.isfinite(token).all() and np.isfinite(action).all()):
                problems.append(f"encoder {encoder.name!r}: expected finite tokens and actions, found NaN or infinity")
        return problems

    def _warm_up(self) -> None:
        # the first runs allocate the arenas of ONNX Runtime
        vectors = [
            mode_vector(self.encoder, encoder, np.zeros((1, self.encoder.input_dim), dtype=np.float32))
            for encoder in self.encoder.encoders
        ]
        for _ in range(WARM_UP_RUNS):
            for vector in vectors:
                self.encode(vector)
            self.decode(np.zeros((1, self.decoder.input_dim), dtype=np.float32))


def _return_freed_memory() -> None:
    # glibc keeps what loading has freed: several times the weights
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _manifest(session: onnxruntime.InferenceSession, path: Path) -> PolicyManifest:
    return manifest_of_metadata(session.get_modelmeta().custom_metadata_map, str(path))


def _refuse_manifests(
    sessions: tuple[onnxruntime.InferenceSession, ...], files: tuple[Path, ...], contract: ReleasedContract
) -> None:
    for session, file in zip(sessions, files, strict=True):
        if MANIFEST_KEY in session.get_modelmeta().custom_metadata_map:
            raise ContractError(
                f"{file}: policy={contract.name}:FOLDER is for files without a manifest, and this one carries one; "
                "say policy=FOLDER"
            )


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


def _golden_problems(network: Network, manifest: PolicyManifest, file: str) -> list[str]:
    output = network(np.array([manifest.golden_input], dtype=np.float32))
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
