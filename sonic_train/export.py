"""Export of a checkpoint to the two ONNX files that a robot runs, each with its manifest.

Nothing is put into the policy folder before ONNX Runtime has reproduced the trained model on observations.
"""

from __future__ import annotations

import errno
import hashlib
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn

from sonic_runtime.contract import layout
from sonic_runtime.contract.errors import ConfigError, ContractError
from sonic_runtime.contract.manifest import MANIFEST_KEY, PolicyManifest, manifest_json
from sonic_runtime.contract.observation_yaml import FILE_NAME as YAML_FILE
from sonic_runtime.contract.observation_yaml import observation_yaml
from sonic_runtime.contract.onnx_file import open_session
from sonic_runtime.robots import g1
from sonic_train.checkpoint import load_model
from sonic_train.env.layout import POLICY_DIM, TOKENIZER_DIM
from sonic_train.networks.actor_critic import ActorCritic
from sonic_train.networks.deploy_graphs import (
    DECODER_INPUT_DIM,
    ENCODER_INPUT_DIM,
    DecoderGraph,
    EncoderGraph,
    OneEncoderGraph,
    encoder_input,
)
from sonic_train.networks.mode_switch import switch_by_mode
from sonic_train.networks.normalizer import RunningNormalizer
from sonic_train.networks.quantizer import LEVELS, bound_latents
from sonic_train.networks.token_inputs import ENCODER_NAMES

OPSET = 17
TOLERANCE = 1e-4
"""Largest difference between the model and ONNX Runtime, in units of token and raw action."""

_TIE = 1e-3
"""A number this close to the border of two levels may round either way; one level of difference is then no error."""

_RANDOM_ROWS = 32

_RATES = {"action_clip": 20.0, "control_hz": 50.0, "physics_hz": 200.0}
"""Of checkpoints that do not tell: those of configs/train.yaml."""

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ExportedPolicy:
    """What an export wrote.

    Attributes:
        folder: holds encoder.onnx, decoder.onnx, observation_config.yaml and README.md.
        pair_id: hash shared by the two files.
        checked_rows: observations on which ONNX Runtime was compared with the model, each with all encoders.
        recorded: whether those came from training rather than from a random generator.
        max_error: largest difference found, ties of the quantiser aside.
        size_bytes: of both ONNX files.
    """

    folder: Path
    pair_id: str
    checked_rows: int
    recorded: bool
    max_error: float
    size_bytes: int


def export(checkpoint: Path | str, folder: Path | str, notes: str = "") -> ExportedPolicy:
    """Write the policy folder of a checkpoint.

    All files are made and checked in a temporary folder first, then moved into place one by one; should the last
    step be interrupted, the runtime refuses the mixed pair by its pair id.

    Args:
        checkpoint: full or weights only.
        folder: policy folder; made if absent, files of an earlier policy in it are replaced.
        notes: text for the policy card, e.g. measured results.

    Raises:
        CheckpointError: the checkpoint cannot be read.
        ConfigError: the folder cannot be written.
        ContractError: ONNX Runtime does not reproduce the model.
    """
    model, content = load_model(checkpoint)
    samples, recorded = _samples(model, content)
    folder = Path(folder).expanduser()
    pair_id = _pair_id(model)
    shared = _shared_fields(content) | {"pair_id": pair_id}
    with _draft_folder(folder) as name, torch.no_grad():
        draft = Path(name)
        encoder, error_encoder = _export_encoder(model, samples["tokenizer"], draft / "encoder.onnx", shared)
        decoder, error_decoder = _export_decoder(model, samples, draft / "decoder.onnx", shared)
        (draft / YAML_FILE).write_text(observation_yaml(encoder, decoder))
        (draft / "README.md").write_text(_policy_card(content, pair_id, notes))
        size = sum((draft / f"{part}.onnx").stat().st_size for part in ("encoder", "decoder"))
        folder.mkdir(exist_ok=True)
        for file in sorted(draft.iterdir()):
            file.replace(folder / file.name)
    rows = len(samples["tokenizer"])
    return ExportedPolicy(folder, pair_id, rows, recorded, max(error_encoder, error_decoder), size)


def _draft_folder(folder: Path) -> tempfile.TemporaryDirectory[str]:
    """Make a folder that goes away, beside the one to be written."""
    try:
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "there is a file of that name")
        folder.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.")
    except OSError as error:
        raise ConfigError(f"{folder}: expected a folder that can be written, found: {error.strerror}") from error


def _export_encoder(
    model: ActorCritic, tokenizer: Tensor, path: Path, shared: dict[str, Any]
) -> tuple[PolicyManifest, float]:
    graph = EncoderGraph(model).eval()
    branches = [path.with_name(f".{name}.onnx") for name in ENCODER_NAMES]
    for name, branch in zip(ENCODER_NAMES, branches, strict=True):
        one = OneEncoderGraph(graph, name).eval()
        _write_graph(one, ENCODER_INPUT_DIM, layout.ENCODER_INPUT, layout.ENCODER_OUTPUT, branch)
    switch_by_mode(branches, path)
    for branch in branches:
        branch.unlink()
    inputs = torch.cat([encoder_input(tokenizer, mode) for mode in range(len(ENCODER_NAMES))])
    expected = _run_torch(graph, inputs)
    margin = torch.cat([_tie_distance(graph.latent(row[None])) for row in inputs]).numpy()
    found = _run_onnx(path, inputs.numpy())
    error = np.abs(found - expected)
    ties = (margin < _TIE) & (error < 1.5 / (LEVELS // 2))
    max_error = float(np.where(ties, 0.0, error).max())
    _check(max_error, path, expected, found)
    # the golden row is the one farthest from any tie, so that every machine gets the same token
    golden = int(margin.min(axis=1).argmax())
    manifest = _manifest("encoder", shared, inputs[golden].numpy(), found[golden])
    _attach(manifest, path)
    return manifest, max_error


def _export_decoder(
    model: ActorCritic, samples: dict[str, Tensor], path: Path, shared: dict[str, Any]
) -> tuple[PolicyManifest, float]:
    graph = DecoderGraph(model).eval()
    _write_graph(graph, DECODER_INPUT_DIM, layout.DECODER_INPUT, layout.DECODER_OUTPUT, path)
    encoder = EncoderGraph(model).eval()
    tokens = torch.cat([encoder(encoder_input(row[None], i % 3)) for i, row in enumerate(samples["tokenizer"])])
    inputs = torch.cat([tokens, samples["policy"]], dim=-1)
    expected, found = _run_torch(graph, inputs), _run_onnx(path, inputs.numpy())
    max_error = float(np.abs(found - expected).max())
    _check(max_error, path, expected, found)
    manifest = _manifest("decoder", shared, inputs[0].numpy(), found[0])
    _attach(manifest, path)
    return manifest, max_error


def _write_graph(graph: nn.Module, input_dim: int, input_name: str, output_name: str, path: Path) -> None:
    with warnings.catch_warnings():
        # the tracing exporter is announced as old; it gives plain opset-17 graphs without dynamic shapes
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            (torch.zeros(1, input_dim),),
            str(path),
            input_names=[input_name],
            output_names=[output_name],
            opset_version=OPSET,
            dynamo=False,
        )
    onnx.checker.check_model(str(path), full_check=True)


def _attach(manifest: PolicyManifest, path: Path) -> None:
    proto = onnx.load(str(path))
    onnx.helper.set_model_props(proto, {MANIFEST_KEY: manifest_json(manifest)})
    onnx.save(proto, str(path))


def _run_torch(graph: nn.Module, inputs: Tensor) -> Rows:
    return torch.cat([graph(row[None]) for row in inputs]).numpy()


def _run_onnx(path: Path, inputs: Rows) -> Rows:
    session = open_session(path)
    name = session.get_inputs()[0].name
    return np.concatenate([np.asarray(session.run(None, {name: row[None]})[0]) for row in inputs])


def _tie_distance(latent: Tensor) -> Tensor:
    """Return how far (1, 64) each bounded latent is from the border between two levels, 0 to 0.5."""
    bounded = bound_latents(latent)
    return (bounded - bounded.floor() - 0.5).abs()


def _check(max_error: float, path: Path, expected: Rows, found: Rows) -> None:
    if not (max_error <= TOLERANCE and np.isfinite(found).all()):
        row = int(np.abs(found - expected).max(axis=1).argmax())
        raise ContractError(
            f"{path.name}: expected ONNX Runtime to agree with the trained model to {TOLERANCE}, found {max_error:.3g} "
            f"(row {row} of {len(found)}); nothing was exported"
        )


def _samples(model: ActorCritic, content: dict[str, Any]) -> tuple[dict[str, Tensor], bool]:
    """Return raw observations {policy (B, 930), tokenizer (B, 1761)}, and whether they were recorded in training."""
    if content.get("samples"):
        return content["samples"], True
    generator = torch.Generator().manual_seed(0)
    policy = _draw(model.normalizers["policy"], torch.randn(_RANDOM_ROWS, POLICY_DIM, generator=generator))
    tokenizer = _draw(model.normalizers["tokenizer"], torch.randn(_RANDOM_ROWS, TOKENIZER_DIM, generator=generator))
    return {"policy": policy, "tokenizer": tokenizer}, False


def _draw(normalizer: nn.Module, noise: Tensor) -> Tensor:
    if isinstance(normalizer, RunningNormalizer) and normalizer.enabled:
        return (normalizer.mean + normalizer.var.sqrt() * noise).float()
    return noise


def _shared_fields(content: dict[str, Any]) -> dict[str, Any]:
    def in_policy_order(values_hw: npt.NDArray[np.floating]) -> tuple[float, ...]:
        return tuple(g1.to_policy_order(values_hw).tolist())

    return {
        **content.get("rates", _RATES),
        "robot": g1.ROBOT_NAME,
        "joint_names_pol": g1.JOINT_NAMES_POL,
        "joint_names_hw": g1.JOINT_NAMES_HW,
        "default_joint_pos_pol": in_policy_order(g1.DEFAULT_POS_HW),
        "action_scale_pol": in_policy_order(g1.ACTION_SCALE_HW),
        "stiffness_pol": in_policy_order(g1.STIFFNESS_HW),
        "damping_pol": in_policy_order(g1.DAMPING_HW),
        "effort_limit_pol": in_policy_order(g1.EFFORT_LIMIT_HW),
        "training_revision": f"{content['revision'] or 'unknown'} iteration {content['iteration']}",
    }


def _manifest(
    part: Literal["encoder", "decoder"], shared: dict[str, Any], golden_input: Rows, golden_output: Rows
) -> PolicyManifest:
    is_encoder = part == "encoder"
    return PolicyManifest(
        part=part,
        inputs=layout.RELEASE_ENCODER_INPUTS if is_encoder else layout.RELEASE_DECODER_INPUTS,
        encoders=layout.RELEASE_ENCODERS if is_encoder else (),
        golden_input=tuple(golden_input.tolist()),
        golden_output=tuple(golden_output.tolist()),
        **shared,
    )


def _pair_id(model: ActorCritic) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _policy_card(content: dict[str, Any], pair_id: str, notes: str) -> str:
    networks = msgspec.json.encode(content["networks"]).decode()
    lines = [
        "# Policy",
        "",
        "Universal-token whole-body tracking policy of the Unitree G1 (29 joints), exported by sonic-export.",
        "",
        f"- pair id: {pair_id}",
        f"- training revision: {content['revision'] or 'unknown'}",
        f"- iterations: {content['iteration']}, environment steps: {content['env_steps']}",
        f"- networks: `{networks}`",
        "",
        "`encoder.onnx`: obs_dict [1, 1762] to encoded_tokens [1, 64]. `decoder.onnx`: obs_dict [1, 994] to action",
        "[1, 29]. Both carry their manifest under the metadata key `sonic_manifest`.",
    ]
    return "\n".join([*lines, *(["", notes.strip()] if notes.strip() else [])]) + "\n"
