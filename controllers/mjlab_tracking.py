"""Tracking policies of mjlab, as its exporter writes them.

Source of keys, shapes and formulas: mjlab 1.6.0, rl/exporter_utils.py, tasks/tracking/rl/runner.py, tasks/tracking/mdp
and managers/observation_manager.py. As whole_body_tracking, with MuJoCo's joint order and four more lists about the
observation terms; entries of their own are separated by semicolons:

    observation_terms_scale               a factor, or one for each value of the term
    observation_terms_clip                low;high, applied before the factor
    observation_terms_history_length      0 for no history
    observation_terms_flatten_history_dim 1.000 or 0.000

Quaternions are wxyz. Actions are not clipped. Histories begin with copies of the first sample, oldest first.
"""

from __future__ import annotations

import numpy as np

from sonic_runtime.infer.imported_contract import known_terms
from sonic_runtime.infer.imported_mimic import mimic_policy, whole_numbers
from sonic_runtime.infer.imported_onnx import ImportedFile
from sonic_runtime.infer.imported_tracker import ImportedTracker
from sonic_runtime.observe.imported_terms import MIMIC_TERMS, ImportedTerm, KnownTerm

KEY_PREFIX = "observation_term"
"""Metadata keys that begin so are mjlab's alone."""
_WITHOUT_ESTIMATION = (
    "train and export the task without state estimation, Mjlab-Tracking-Flat-Unitree-G1-No-State-Estimation"
)


class MjlabTracking(ImportedTracker):
    """Tracks the motion inside the file.

    Args:
        file: the ONNX file.

    Raises:
        ContractError: the file is not one of these, or does not fit the robot.
    """

    def __init__(self, file: ImportedFile) -> None:
        file.check_motion_inside()
        names = file.names("observation_names")
        known = known_terms(file, names, MIMIC_TERMS, _WITHOUT_ESTIMATION)
        super().__init__(mimic_policy(file, "mjlab", _terms(file, names, known)))


def _terms(file: ImportedFile, names: list[str], known: list[KnownTerm]) -> tuple[ImportedTerm, ...]:
    count = len(names)
    lengths = whole_numbers(file, "observation_terms_history_length", count, lowest=0)
    flattened = whole_numbers(file, "observation_terms_flatten_history_dim", count, lowest=0)
    scales = _entries(file, "observation_terms_scale", count)
    clips = _entries(file, "observation_terms_clip", count)
    terms = []
    for i, (name, term) in enumerate(zip(names, known, strict=True)):
        if lengths[i] > 0 and not flattened[i]:
            raise file.error(f"observation term {name!r}: expected a history that is flattened into the observation")
        scale = _scale(file, name, scales[i], term.dim)
        low, high = _bounds(file, name, clips[i], scale)
        terms.append(ImportedTerm(name=name, known=term, frames=max(1, lengths[i]), scale=scale, low=low, high=high))
    return tuple(terms)


def _entries(file: ImportedFile, key: str, count: int) -> list[list[float]]:
    entries = [
        [file.number(key, part, finite=False) for part in entry.split(";")] for entry in file.text(key).split(",")
    ]
    if len(entries) != count:
        raise file.error(
            f"metadata {key}: expected one entry for each of {count} observation terms, got {len(entries)}"
        )
    return entries


def _scale(file: ImportedFile, name: str, values: list[float], dim: int) -> np.ndarray:
    if len(values) not in (1, dim) or not np.isfinite(values).all():
        raise file.error(
            f"metadata observation_terms_scale: {name}: expected 1 or {dim} finite numbers, found {values}"
        )
    return np.array(values)


def _bounds(file: ImportedFile, name: str, clip: list[float], scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds behind the factor; a negative factor swaps them, and 0 leaves nothing to bound."""
    if len(clip) != 2 or clip[0] > clip[1]:
        raise file.error(f"metadata observation_terms_clip: {name}: expected low;high, found {clip}")
    factor = np.where(scale == 0.0, 1.0, scale)
    ends = np.array([clip[0] * factor, clip[1] * factor])
    return ends.min(axis=0), ends.max(axis=0)
