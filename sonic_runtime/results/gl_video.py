"""A video of a run through MuJoCo's own renderer, where OpenGL can draw without a screen.

Rendering happens in a process of its own: which OpenGL is used must be settled before MuJoCo is imported, and a broken
driver ends the process that asks it. Written as an animated WebP, which browsers play and which needs no video encoder.
"""

# MuJoCo's compiled modules carry no type stubs, so that pyright sees none of their names
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sonic_runtime.contract.messages import Array
from sonic_runtime.results.trace import Trace

BACKENDS = ("egl", "osmesa")
WIDTH_PX, HEIGHT_PX = 480, 400
_BUDGET_S = 20.0
"""Time for rendering; where OpenGL runs in software, fewer frames a second fit into it."""
_TIMEOUT_S = 90.0
_STRIDES = (2, 4, 5, 10, 25)
"""One of so many ticks is drawn: 25, 12.5, 10, 5, 2 frames a second."""
_WHERE_TO_LOOK = "install the package libegl1 or libosmesa6, or set MUJOCO_GL"


@dataclass(frozen=True, slots=True)
class VideoOutcome:
    """The file, or None where there is none, and a line that says what came of it."""

    path: Path | None
    line: str


def render_video(trace: Trace, path: Path) -> VideoOutcome:
    """Render a run; returns without a file, and says why, where no OpenGL can draw without a screen."""
    qpos = np.concatenate([trace.robot.pos_w[:, 0], trace.robot.quat_wxyz[:, 0], trace.joint_pos_hw], axis=-1)
    chosen = os.environ.get("MUJOCO_GL")
    reasons = []
    with tempfile.TemporaryDirectory() as folder:
        poses = Path(folder) / "qpos.npy"
        np.save(poses, qpos)
        for backend in (chosen,) if chosen else BACKENDS:
            problem = _render_in_process(backend, poses, path, trace.fps)
            if problem is None:
                return VideoOutcome(path, f"video: {path}")
            reasons.append(f"{backend}: {problem}")
    return VideoOutcome(None, f"no video: OpenGL cannot draw without a screen ({'; '.join(reasons)}); {_WHERE_TO_LOOK}")


def _render_in_process(backend: str, poses: Path, path: Path, fps: float) -> str | None:
    """Return None where the file was written, else why not."""
    command = [sys.executable, "-m", "sonic_runtime.results.gl_video", str(poses), str(path), str(fps)]
    environment = os.environ | {"MUJOCO_GL": backend, "PYTHONFAULTHANDLER": "0"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"no frame within {_TIMEOUT_S:g} s"
    # a driver may complain or crash while it is closed, after the file is complete
    if path.is_file():
        return None
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return lines[-1][:120] if lines else f"exit code {done.returncode}"


def _draw(qpos: Array, path: Path, fps: float) -> None:
    """Render in this process and write the file, whole or not at all."""
    import mujoco
    from PIL import Image

    from sonic_runtime.robots.mjcf import build_model

    model = build_model()
    data = mujoco.MjData(model)
    renderer = mujoco.Renderer(model, HEIGHT_PX, WIDTH_PX)

    def frame(row: Array) -> Image.Image:
        data.qpos[:] = row
        mujoco.mj_forward(model, data)
        renderer.update_scene(data, camera="tracking")
        return Image.fromarray(renderer.render())

    frame(qpos[0])
    start = time.perf_counter()
    frame(qpos[0])
    stride = _stride(len(qpos), time.perf_counter() - start)
    images = [frame(row) for row in qpos[::stride]]
    partial = path.with_name(path.name + ".partial")
    images[0].save(
        partial, "WEBP", save_all=True, append_images=images[1:], duration=round(1000 * stride / fps), loop=0, method=0
    )
    partial.replace(path)


def _stride(frames: int, seconds_per_frame: float) -> int:
    """Return the smallest step between drawn frames that fits the time."""
    fitting = [stride for stride in _STRIDES if frames / stride * seconds_per_frame <= _BUDGET_S]
    return fitting[0] if fitting else _STRIDES[-1]


if __name__ == "__main__":
    _draw(np.load(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
