"""Policies of whole_body_tracking (BeyondMimic), as its exporter writes them, and of mjlab before its own metadata.

Source of keys, shapes and formulas: github.com/HybridRobotics/whole_body_tracking, utils/exporter.py and
tasks/tracking/mdp, commit cd65172. Lists are comma-separated, numbers rounded to three decimals, per-joint values in
the order of joint_names (Isaac Lab's breadth-first order, but matched by name). Quaternions are wxyz. Actions are not
clipped. Histories begin with copies of the first sample, as Isaac Lab fills them.
"""

from __future__ import annotations

from sonic_runtime.infer.imported_contract import known_terms
from sonic_runtime.infer.imported_mimic import mimic_policy, whole_numbers
from sonic_runtime.infer.imported_onnx import ImportedFile
from sonic_runtime.infer.imported_tracker import ImportedTracker
from sonic_runtime.observe.imported_terms import MIMIC_TERMS, ImportedTerm

KEYS = ("joint_names", "observation_names")
"""Metadata keys by which such a file is known."""
_WITHOUT_ESTIMATION = "train and export the task without state estimation, Tracking-Flat-G1-Wo-State-Estimation-v0"


class BeyondMimic(ImportedTracker):
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
        frames = _history_lengths(file, len(names))
        terms = tuple(
            ImportedTerm(name=name, known=term, frames=count)
            for name, term, count in zip(names, known, frames, strict=True)
        )
        super().__init__(mimic_policy(file, "beyondmimic", terms))


def _history_lengths(file: ImportedFile, terms: int) -> list[int]:
    key = "observation_history_lengths"
    if key not in file.metadata:
        # exporters before this key knew no histories; the size of the graph's input is checked against that
        return [1] * terms
    return whole_numbers(file, key, terms, lowest=1)
