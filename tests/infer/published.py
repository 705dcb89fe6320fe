"""The published observation layouts, as their tables give them: offsets, and which encoder reads what."""

from pathlib import Path

LAYOUTS = {name: Path(__file__).parent / "layouts" / f"{name}.yaml" for name in ("release", "low_latency", "v1_1")}
ENCODER_DIMS = {"release": 1762, "low_latency": 1247, "v1_1": 1751}
LOOK_AHEAD = {
    "release": {"g1": 46, "teleop": 46, "smpl": 10},
    "low_latency": {"g1": 10, "teleop": 10, "smpl": 4},
    "v1_1": {"g1": 46, "teleop": 46, "smpl": 10},
}
"""Frames: (10 - 1) * 5 + 1, (10 - 1) * 1 + 1, (4 - 1) * 1 + 1."""
OFFSETS = {
    "release": [0, 4, 294, 584, 594, 595, 601, 661, 781, 901, 910, 922, 1642, 1702],
    "low_latency": [0, 4, 294, 584, 644, 650, 770, 890, 899, 911, 1199, 1223],
    "v1_1": [0, 4, 294, 584, 644, 650, 770, 890, 899, 911, 1631, 1691],
}
