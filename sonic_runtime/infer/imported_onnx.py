"""Reads ONNX files that other projects exported: their metadata as lists, and the shapes of their graphs.

Nothing here knows what a key means; that is the business of the controller of each kind.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.onnx_file import open_session


class ImportedFile:
    """An ONNX file, its session and its metadata.

    Args:
        path: the file.

    Attributes:
        path: as given.
        session: the ONNX Runtime session, on one thread.
        metadata: text of every key of metadata_props.

    Raises:
        ContractError: the file is missing or no ONNX model.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.session = open_session(path)
        self.metadata: dict[str, str] = dict(self.session.get_modelmeta().custom_metadata_map)

    def error(self, text: str) -> ContractError:
        """Return an error that begins with the name of the file."""
        return ContractError(f"{self.path}: {text}")

    def text(self, key: str) -> str:
        """Return the text of a key.

        Raises:
            ContractError: the file has no such key.
        """
        if key not in self.metadata:
            found = ", ".join(sorted(self.metadata)) or "no metadata at all"
            raise self.error(
                f"expected the metadata key {key!r}, found {found}; export the policy again with the exporter of its "
                "project, which writes it"
            )
        return self.metadata[key]

    def names(self, key: str) -> list[str]:
        """Return a comma-separated list of names, at least one; raises as `text`."""
        names = [name.strip() for name in self.text(key).split(",")]
        if not all(names):
            raise self.error(f"metadata {key}: expected names between commas, found {self.text(key)!r}")
        return names

    def numbers(self, key: str) -> list[float]:
        """Return a comma-separated list of finite numbers; raises as `text`, and where one is none."""
        return [self.number(key, entry) for entry in self.text(key).split(",")]

    def number(self, key: str, entry: str, *, finite: bool = True) -> float:
        """Return one entry of a list as a number.

        Raises:
            ContractError: it is no number, or not finite where it must be.
        """
        try:
            value = float(entry)
        except ValueError:
            value = math.nan
        if math.isnan(value) or (finite and math.isinf(value)):
            raise self.error(f"metadata {key}: expected numbers between commas, found {entry.strip()!r}")
        return value

    def json(self, key: str) -> Any:
        """Return the content of a key that holds JSON; raises as `text`, and where it is none."""
        try:
            return json.loads(self.text(key))
        except json.JSONDecodeError as error:
            raise self.error(f"metadata {key}: expected JSON ({error})") from error

    def check_motion_inside(self) -> None:
        """Look for the input that chooses the frame of the motion.

        Raises:
            ContractError: there is none.
        """
        inputs = [node.name for node in self.session.get_inputs()]
        if "time_step" not in inputs:
            raise self.error(
                f"expected a tracking policy with its motion inside, which takes obs and time_step; this graph takes "
                f"{', '.join(inputs)}"
            )

    def check_inputs(self, expected: dict[str, int], note: str = "") -> None:
        """Compare the graph's inputs with (1, size) float tensors by name.

        Raises:
            ContractError: a name, a size or a type differs.
        """
        found = {node.name: (list(node.shape), node.type) for node in self.session.get_inputs()}
        wanted = {name: ([1, size], "tensor(float)") for name, size in expected.items()}
        if found != wanted:
            raise self.error(f"graph inputs: expected {_nodes(wanted)}, found {_nodes(found)}{note}")

    def check_outputs(self, expected: dict[str, Sequence[int]]) -> None:
        """Look for float outputs by name and shape; there may be more.

        Raises:
            ContractError: one is missing, or has another shape or type.
        """
        found = {node.name: (list(node.shape), node.type) for node in self.session.get_outputs()}
        wanted = {name: ([*shape], "tensor(float)") for name, shape in expected.items()}
        if any(found.get(name) != node for name, node in wanted.items()):
            raise self.error(f"graph outputs: expected {_nodes(wanted)} among them, found {_nodes(found)}")


def _nodes(nodes: dict[str, tuple[list[int], str]]) -> str:
    return ", ".join(f"{name} {shape} {kind}" for name, (shape, kind) in nodes.items()) or "none"
