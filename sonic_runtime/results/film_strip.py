"""Rows of pictures of a run: the robot at chosen moments, its reference as a transparent ghost."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib.font_manager
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sonic_runtime.contract.messages import Array
from sonic_runtime.contract.rotations import quat_from_yaw, quat_rotate, yaw_of_quat
from sonic_runtime.results.picture import Camera, RobotPainter
from sonic_runtime.results.trace import Trace

WIDTH_PX, HEIGHT_PX = 270, 340
_GAP_PX = 4
_VIEW_B = np.array([2.35, -1.75, 0.55])
"""[m] From where the camera looks, seen from a robot that faces along x: ahead, from its right, a little above."""
_LOOK_AT_HEIGHT_M = 0.66


def evenly_spaced(frames: int, count: int) -> list[int]:
    """Return `count` frames from the first to the last (fewer where there are not so many)."""
    return sorted({round(frame) for frame in np.linspace(0, frames - 1, min(count, frames))})


def busiest_second(trace: Trace, count: int, seconds: float = 1.2) -> list[int]:
    """Return `count` frames from the stretch in which the feet of the robot move most: a stride, where it walks."""
    window = min(len(trace), round(seconds * trace.fps))
    if window < 2:
        return evenly_spaced(window, count)
    speed = np.linalg.norm(np.diff(trace.robot.pos_w[:, :, :2], axis=0), axis=-1).mean(axis=-1)
    moved = np.convolve(speed, np.ones(window - 1), mode="valid")
    start = int(moved.argmax())
    return [start + frame for frame in evenly_spaced(window, count)]


def film_strip(
    painter: RobotPainter, trace: Trace, frames: Sequence[int], *, columns: int = 4, follow: bool = True
) -> bytes:
    """Draw the robot at some frames.

    Args:
        painter: draws it.
        trace: the run.
        frames: which frames.
        columns: pictures in a row.
        follow: whether the camera goes with the robot; else it stands where the middle frame needs it.

    Returns:
        A PNG file.
    """
    rows = -(-len(frames) // columns)
    size = (columns * (WIDTH_PX + _GAP_PX) - _GAP_PX, rows * (HEIGHT_PX + _GAP_PX) - _GAP_PX)
    sheet = Image.new("RGB", size, "white")
    heading = float(yaw_of_quat(trace.robot.quat_wxyz[frames[0], 0]))
    still_camera = None if follow else _camera(trace.robot.pos_w[frames[len(frames) // 2], 0], heading)
    font = _font(15)
    for i, frame in enumerate(frames):
        robot, ghost = trace.robot, trace.reference
        picture = Image.fromarray(
            painter.paint(
                still_camera or _camera(robot.pos_w[frame, 0], heading),
                WIDTH_PX,
                HEIGHT_PX,
                robot.pos_w[frame],
                robot.quat_wxyz[frame],
                ghost=(ghost.pos_w[frame], ghost.quat_wxyz[frame]),
            )
        )
        ImageDraw.Draw(picture).text((8, 6), f"{frame / trace.fps:.2f} s", fill=(70, 76, 84), font=font)
        sheet.paste(picture, ((i % columns) * (WIDTH_PX + _GAP_PX), (i // columns) * (HEIGHT_PX + _GAP_PX)))
    return png(sheet)


def png(image: Image.Image) -> bytes:
    """Return an image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _camera(root_pos_w: Array, heading: float) -> Camera:
    target = np.array([root_pos_w[0], root_pos_w[1], _LOOK_AT_HEIGHT_M])
    return Camera(eye_w=target + quat_rotate(quat_from_yaw(np.array(heading)), _VIEW_B), target_w=target)


def _font(size: int) -> ImageFont.FreeTypeFont:
    # matplotlib brings this font; the built-in one of Pillow is a bitmap
    return ImageFont.truetype(matplotlib.font_manager.findfont("DejaVu Sans"), size)
