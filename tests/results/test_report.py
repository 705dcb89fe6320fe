"""Pictures, plots and pages of a run."""

import base64
import io
import re
from dataclasses import replace

import mujoco
import numpy as np
import pytest
from PIL import Image

from sonic_runtime.results import gl_video
from sonic_runtime.results.figures import errors_figure, joints_figure, path_figure, timing_figure
from sonic_runtime.results.film_strip import HEIGHT_PX, WIDTH_PX, busiest_second, evenly_spaced, film_strip
from sonic_runtime.results.gl_video import render_video
from sonic_runtime.results.page import Page
from sonic_runtime.results.picture import RobotPainter
from sonic_runtime.results.shape_mesh import robot_meshes, shape_mesh
from sonic_runtime.results.trace import Trace
from sonic_runtime.results.tracking import Bodies, tracking_errors
from tests.teleop.clips import turning_clip


@pytest.fixture(scope="module")
def trace() -> Trace:
    clip = turning_clip(120)
    reference = Bodies(pos_w=clip.body_pos_w, quat_wxyz=clip.body_quat_wxyz)
    robot = Bodies(pos_w=clip.body_pos_w + np.array([0.05, 0.0, 0.0]), quat_wxyz=clip.body_quat_wxyz)
    return Trace(
        fps=50.0,
        robot=robot,
        reference=reference,
        joint_pos_hw=clip.joint_pos_hw,
        reference_pos_hw=clip.joint_pos_hw,
        errors=tracking_errors(robot, reference),
        stage_ms=np.full((120, 6), 0.3),
        failure_s=1.5,
    )


def test_evenly_spaced():
    assert evenly_spaced(101, 5) == [0, 25, 50, 75, 100]
    assert evenly_spaced(3, 8) == [0, 1, 2]
    assert evenly_spaced(1, 8) == [0]


def test_busiest_second_is_where_the_links_move(trace):
    pos_w = np.repeat(trace.robot.pos_w[:1], 120, axis=0)
    pos_w[80:, :, 0] += np.arange(40)[:, None] * 0.02
    lively = replace(trace, robot=Bodies(pos_w=pos_w, quat_wxyz=trace.robot.quat_wxyz))
    frames = busiest_second(lively, 4, seconds=0.6)
    assert 78 <= frames[0] <= 90
    assert frames[-1] - frames[0] == 29


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_busiest_second_of_a_run_that_was_cut_short(trace, frames):
    short = replace(
        trace,
        joint_pos_hw=trace.joint_pos_hw[:frames],
        robot=Bodies(pos_w=trace.robot.pos_w[:frames], quat_wxyz=trace.robot.quat_wxyz[:frames]),
    )
    assert busiest_second(short, 8) == list(range(frames))


def test_film_strip_has_a_picture_for_each_frame(trace):
    image = Image.open(io.BytesIO(film_strip(RobotPainter(), trace, [0, 60, 119], columns=2)))
    assert image.size == (2 * WIDTH_PX + 4, 2 * HEIGHT_PX + 4)
    pixels = np.asarray(image.convert("RGB")).astype(int)
    first = pixels[:HEIGHT_PX, :WIDTH_PX]
    assert (first.sum(axis=-1) < 200).mean() > 0.01, "the dark parts of a robot"
    assert (pixels[HEIGHT_PX + 4 :, WIDTH_PX + 4 :] == 255).all(), "the fourth place stays empty"


@pytest.mark.parametrize("draw", [path_figure, joints_figure, errors_figure, timing_figure])
def test_plots_are_images_with_content(trace, draw):
    pixels = np.asarray(Image.open(io.BytesIO(draw(trace))).convert("L"))
    assert pixels.shape[0] > 200
    assert 0.001 < (pixels < 128).mean() < 0.5


def test_page_is_one_file_with_its_images_and_escapes_text(tmp_path):
    page = Page("A <run>", "lead & more")
    page.numbers([("survived", "yes", True), ("misses", "3", False)])
    page.images((b"not really an image", 'what "it" shows'))
    page.table(["clip", "mm"], [["<a>", "1.0"], ["b", "2.0"]], [False, True])
    path = page.write(tmp_path / "report.html")
    content = path.read_text()
    assert "A &lt;run&gt;" in content
    assert "<a>" not in content
    assert "http" not in content, "nothing is loaded from elsewhere"
    assert content.count("<tr class=bad>") == 1
    assert base64.b64decode(re.search(r"base64,([^\"]+)\"", content)[1]) == b"not really an image"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_no_opengl_is_a_line_and_no_file(trace, tmp_path, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "no_such_backend")
    outcome = render_video(trace, tmp_path / "video.webp")
    assert outcome.path is None
    assert re.match(r"no video: OpenGL cannot draw without a screen \(no_such_backend: .+\); install", outcome.line)
    assert list(tmp_path.iterdir()) == []


def test_slow_rendering_leaves_frames_out():
    assert gl_video._stride(1000, 0.001) == 2
    assert gl_video._stride(1000, 0.2) == 10
    assert gl_video._stride(100000, 1.0) == 25


VOLUMES = {
    mujoco.mjtGeom.mjGEOM_BOX: ([0.1, 0.2, 0.3], 8 * 0.006),
    mujoco.mjtGeom.mjGEOM_SPHERE: ([0.2, 0, 0], 4 / 3 * np.pi * 0.008),
    mujoco.mjtGeom.mjGEOM_ELLIPSOID: ([0.1, 0.2, 0.3], 4 / 3 * np.pi * 0.006),
    mujoco.mjtGeom.mjGEOM_CYLINDER: ([0.1, 0.2, 0], np.pi * 0.01 * 0.4),
    mujoco.mjtGeom.mjGEOM_CAPSULE: ([0.1, 0.2, 0], np.pi * 0.01 * 0.4 + 4 / 3 * np.pi * 0.001),
}


@pytest.mark.parametrize("kind", VOLUMES, ids=lambda kind: kind.name)
def test_meshes_are_closed_and_face_outward(kind):
    size, volume = VOLUMES[kind]
    vertices, faces = shape_mesh(int(kind), np.array(size, dtype=float))
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    # signed volume of the tetrahedra to the origin: negative where faces look inward
    assert (np.cross(a, b) * c).sum() / 6 == pytest.approx(volume, rel=0.06)


def test_robot_has_meshes_on_its_links():
    meshes = robot_meshes()
    assert {mesh.body for mesh in meshes} >= {0, 6, 12, 15}
    assert all(mesh.faces.max() < len(mesh.vertices_b) for mesh in meshes)
    assert sum(len(mesh.faces) for mesh in meshes) < 60_000
