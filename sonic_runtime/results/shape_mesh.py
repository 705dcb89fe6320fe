"""Triangle meshes of the robot's primitive shapes, for viewers that know triangles alone."""

# MuJoCo's compiled modules carry no type stubs, so that pyright sees none of their names
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.messages import Array
from sonic_runtime.contract.rotations import quat_rotate
from sonic_runtime.robots.mjcf import VISUAL_GROUP, build_model

_AROUND, _UP = 20, 13


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyMesh:
    """All shapes of one colour on one link.

    Attributes:
        body: index of the link in g1.BODY_NAMES.
        color: red, green, blue from 0 to 255.
        vertices_b: (V, 3) f32 [m] in the frame of the link.
        faces: (F, 3) u32 corners, anticlockwise seen from outside.
    """

    body: int
    color: tuple[int, int, int]
    vertices_b: npt.NDArray[np.float32]
    faces: npt.NDArray[np.uint32]


def robot_meshes() -> list[BodyMesh]:
    """Return the looks of the G1, one mesh for each link and colour."""
    model = build_model(floor=False, actuators=False)
    groups: dict[tuple[int, tuple[int, int, int]], list[tuple[Array, npt.NDArray[np.intp]]]] = {}
    for geom in np.flatnonzero(np.asarray(model.geom_group) == VISUAL_GROUP):
        vertices, faces = shape_mesh(int(model.geom_type[geom]), np.array(model.geom_size[geom]))
        quat = np.tile(np.array(model.geom_quat[geom]), (len(vertices), 1))
        placed = np.array(model.geom_pos[geom]) + quat_rotate(quat, vertices)
        red, green, blue = (round(255 * float(value)) for value in model.geom_rgba[geom, :3])
        groups.setdefault((int(model.geom_bodyid[geom]) - 1, (red, green, blue)), []).append((placed, faces))
    return [_joined(body, color, parts) for (body, color), parts in groups.items()]


def shape_mesh(kind: int, size: Array) -> tuple[Array, npt.NDArray[np.intp]]:
    """Return vertices (V, 3) and faces (F, 3) of a MuJoCo primitive of half sizes `size` (3,)."""
    types = mujoco.mjtGeom
    if kind == types.mjGEOM_BOX:
        corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float) * size
        quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
        return corners, np.array([tri for a, b, c, d in quads for tri in ((a, b, c), (a, c, d))])
    if kind == types.mjGEOM_CYLINDER:
        # rim rows twice, so that the edges stay sharp where a viewer smooths normals
        rings = [(0.0, -1.0), (1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (1.0, 1.0), (0.0, 1.0)]
        radius, height = np.array(rings).T
        return _lathe(size[0] * radius, size[1] * height)
    polar = np.linspace(-np.pi / 2, np.pi / 2, _UP)
    if kind == types.mjGEOM_CAPSULE:
        polar = np.concatenate([polar[: _UP // 2 + 1], polar[_UP // 2 :]])
        ends = np.where(np.arange(len(polar)) <= _UP // 2, -size[1], size[1])
        return _lathe(size[0] * np.cos(polar), size[0] * np.sin(polar) + ends)
    axes = np.full(3, size[0]) if kind == types.mjGEOM_SPHERE else size
    vertices, faces = _lathe(np.cos(polar), np.sin(polar))
    return vertices * axes, faces


def _lathe(radius: Array, height: Array) -> tuple[Array, npt.NDArray[np.intp]]:
    """Turn a profile, from below to above, about the z axis."""
    angle = np.linspace(0.0, 2 * np.pi, _AROUND, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(_AROUND)], axis=-1)
    vertices = radius[:, None, None] * ring + height[:, None, None] * np.array([0.0, 0.0, 1.0])
    row, column = np.meshgrid(np.arange(len(radius) - 1), np.arange(_AROUND), indexing="ij")
    a = row * _AROUND + column
    b = row * _AROUND + (column + 1) % _AROUND
    faces = np.stack([np.stack([a, b, b + _AROUND], -1), np.stack([a, b + _AROUND, a + _AROUND], -1)], 2)
    return vertices.reshape(-1, 3), faces.reshape(-1, 3)


def _joined(body: int, color: tuple[int, int, int], parts: list[tuple[Array, npt.NDArray[np.intp]]]) -> BodyMesh:
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
    return BodyMesh(
        body=body,
        color=color,
        vertices_b=np.concatenate([vertices for vertices, _ in parts]).astype(np.float32),
        faces=np.concatenate([faces + start for (_, faces), start in zip(parts, starts, strict=False)]).astype(
            np.uint32
        ),
    )
