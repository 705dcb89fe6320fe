"""Pictures of the robot on a chequered floor, drawn by casting rays at its primitive shapes; needs no OpenGL.

One picture of 300 x 400 pixels takes about a quarter of a second on one core.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.messages import Array
from sonic_runtime.contract.rotations import quat_multiply, quat_rotate, rotation_matrix
from sonic_runtime.results.raycast import HIT_OF_TYPE
from sonic_runtime.robots.mjcf import VISUAL_GROUP, build_model

Image = npt.NDArray[np.uint8]

_SKY_TOP = np.array([0.80, 0.86, 0.93])
_SKY_HORIZON = np.array([0.95, 0.96, 0.98])
_TILE_LIGHT = np.array([0.86, 0.87, 0.89])
_TILE_DARK = np.array([0.77, 0.79, 0.82])
_TILE_M = 0.5
_GHOST_TINT = np.array([0.15, 0.62, 0.35])
_GHOST_OPACITY = 0.42
_TO_LIGHT = np.array([0.35, -0.45, 1.0]) / np.linalg.norm([0.35, -0.45, 1.0])
_SHADOW_CELL_M = 0.012
_SHADOW_HALF_M = 1.4
_SUPERSAMPLE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A pinhole camera: eye and target (3,) [m] in the world, vertical field of view [rad]."""

    eye_w: Array
    target_w: Array
    field_rad: float = 0.52


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rays:
    origin: Array  # (h, w, 3) or broadcastable
    direction: Array  # (h, w, 3) unit
    axes: Array  # (3, 3) rows: right, up, forward
    focal_px: float | None  # None: parallel rays

    @property
    def shape(self) -> tuple[int, int]:
        return self.direction.shape[:2]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Surface:
    distance: Array  # (h, w) infinite where nothing is
    normal_w: Array  # (h, w, 3)
    color: Array  # (h, w, 3)


class RobotPainter:
    """Draws the G1. Holds the shapes of the robot; each call to `paint` is independent of the others."""

    def __init__(self) -> None:
        model = build_model(floor=False, actuators=False)
        chosen = np.flatnonzero(np.asarray(model.geom_group) == VISUAL_GROUP)
        self._body = np.asarray(model.geom_bodyid)[chosen] - 1
        self._pos_b = np.array(model.geom_pos)[chosen]
        self._quat_b = np.array(model.geom_quat)[chosen]
        self._size = np.array(model.geom_size)[chosen]
        self._hit = [HIT_OF_TYPE[int(kind)] for kind in np.asarray(model.geom_type)[chosen]]
        self._bound_m = np.array(model.geom_rbound)[chosen]
        self._color = np.array(model.geom_rgba)[chosen, :3].astype(np.float64)

    def paint(
        self,
        camera: Camera,
        width_px: int,
        height_px: int,
        body_pos_w: Array,
        body_quat_wxyz: Array,
        ghost: tuple[Array, Array] | None = None,
    ) -> Image:
        """Draw one moment.

        Args:
            camera: where from.
            width_px: width of the picture.
            height_px: height of the picture.
            body_pos_w: (30, 3) [m] links of the robot.
            body_quat_wxyz: (30, 4).
            ghost: positions and orientations of a second robot, drawn transparent: the reference.

        Returns:
            (height, width, 3) u8.
        """
        rays = _camera_rays(camera, width_px * _SUPERSAMPLE, height_px * _SUPERSAMPLE)
        image = _floor_and_sky(rays)
        ground = _ground_distance(rays)
        self._shade_ground(image, rays, ground, body_pos_w, body_quat_wxyz)
        robot = self._cast(rays, body_pos_w, body_quat_wxyz)
        if ghost is not None:
            shadowy = self._cast(rays, *ghost)
            seen = np.isfinite(shadowy.distance)
            tint = _lit(_GHOST_TINT, shadowy.normal_w[seen], rays.direction[seen])
            image[seen] += _GHOST_OPACITY * (tint - image[seen])
        solid = np.isfinite(robot.distance)
        image[solid] = _lit(robot.color[solid], robot.normal_w[solid], rays.direction[solid])
        return _to_bytes(image)

    def _cast(self, rays: _Rays, body_pos_w: Array, body_quat_wxyz: Array) -> _Surface:
        distance = np.full(rays.shape, np.inf)
        normal_w = np.zeros((*rays.shape, 3))
        color = np.zeros((*rays.shape, 3))
        quat = body_quat_wxyz[self._body]
        pos = body_pos_w[self._body] + quat_rotate(quat, self._pos_b)
        rotation = rotation_matrix(quat_multiply(quat, self._quat_b))
        for i, hit in enumerate(self._hit):
            part = _part_of_picture(rays, pos[i], self._bound_m[i])
            if part is None:
                continue
            shape = distance[part].shape
            direction = rays.direction[part].reshape(-1, 3) @ rotation[i]
            origin = np.broadcast_to(rays.origin, (*rays.shape, 3))[part].reshape(-1, 3) - pos[i]
            found, normal = hit(origin @ rotation[i], direction, self._size[i])
            nearer = found.reshape(shape) < distance[part]
            distance[part][nearer] = found.reshape(shape)[nearer]
            normal_w[part][nearer] = (normal @ rotation[i].T).reshape(*shape, 3)[nearer]
            color[part][nearer] = self._color[i]
        return _Surface(distance=distance, normal_w=normal_w, color=color)

    def _shade_ground(self, image: Array, rays: _Rays, ground: Array, body_pos_w: Array, body_quat_wxyz: Array) -> None:
        """Darken the floor where the robot stands between it and the light, from its silhouette seen by the light."""
        center = np.array([*body_pos_w[0, :2], 0.0])
        light = _light_rays(center)
        silhouette = np.isfinite(self._cast(light, body_pos_w, body_quat_wxyz).distance).astype(np.float64)
        shadow = _blur(silhouette, 3)
        seen = np.isfinite(ground)
        point = (rays.origin + ground[..., None] * rays.direction)[seen] if seen.any() else np.zeros((0, 3))
        offset = point - center
        cell = np.stack([offset @ light.axes[0], -(offset @ light.axes[1])], axis=-1)
        cell = np.round((cell + _SHADOW_HALF_M) / _SHADOW_CELL_M).astype(int)
        inside = ((cell >= 0) & (cell < len(shadow))).all(axis=-1)
        depth = np.zeros(len(point))
        depth[inside] = shadow[cell[inside, 1], cell[inside, 0]]
        image[seen] *= (1.0 - 0.42 * depth)[:, None]


def _camera_rays(camera: Camera, width: int, height: int) -> _Rays:
    axes = _axes(camera.target_w - camera.eye_w)
    focal = 0.5 * height / np.tan(0.5 * camera.field_rad)
    right = np.arange(width) - 0.5 * (width - 1)
    up = 0.5 * (height - 1) - np.arange(height)
    direction = focal * axes[2] + right[None, :, None] * axes[0] + up[:, None, None] * axes[1]
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    return _Rays(origin=camera.eye_w, direction=direction, axes=axes, focal_px=float(focal))


def _light_rays(center: Array) -> _Rays:
    """Parallel rays from the light onto a square around `center`; pixel (row, column) looks along -up, +right."""
    axes = _axes(-_TO_LIGHT)
    cells = int(2 * _SHADOW_HALF_M / _SHADOW_CELL_M) + 1
    offset = np.arange(cells) * _SHADOW_CELL_M - _SHADOW_HALF_M
    origin = center + 5.0 * _TO_LIGHT + offset[None, :, None] * axes[0] - offset[:, None, None] * axes[1]
    return _Rays(origin=origin, direction=np.broadcast_to(axes[2], origin.shape), axes=axes, focal_px=None)


def _axes(forward: Array) -> Array:
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(right, forward), forward])


def _part_of_picture(rays: _Rays, center: Array, radius: float) -> tuple[slice, slice] | None:
    """Return the rows and columns that a ball may cover, None where it is outside the picture."""
    height, width = rays.shape
    if rays.focal_px is None:
        right, up, _ = rays.axes @ (center - rays.origin[height // 2, width // 2])
        scale = 1.0 / _SHADOW_CELL_M
        reach = radius
    else:
        right, up, depth = rays.axes @ (center - rays.origin)
        if depth <= radius:
            return None
        scale = rays.focal_px / depth
        # a ball off the axis covers a little more than radius / depth
        reach = radius * depth / np.sqrt(depth**2 - radius**2) * 1.15
    columns = 0.5 * (width - 1) + scale * (right + np.array([-reach, reach]))
    rows = 0.5 * (height - 1) - scale * (up + np.array([reach, -reach]))
    left, end = max(0, int(columns[0]) - 1), min(width, int(columns[1]) + 2)
    top, bottom = max(0, int(rows[0]) - 1), min(height, int(rows[1]) + 2)
    return None if left >= end or top >= bottom else (slice(top, bottom), slice(left, end))


def _ground_distance(rays: _Rays) -> Array:
    down = rays.direction[..., 2]
    with np.errstate(divide="ignore"):
        distance = np.where(down < -1e-6, -rays.origin[2] / np.minimum(down, -1e-6), np.inf)
    return np.where(distance < 60.0, distance, np.inf)


def _floor_and_sky(rays: _Rays) -> Array:
    rise = np.clip(rays.direction[..., 2:], 0.0, 1.0)
    image = _SKY_HORIZON + np.minimum(1.0, 3.0 * rise) * (_SKY_TOP - _SKY_HORIZON)
    distance = _ground_distance(rays)
    seen = np.isfinite(distance)
    point = rays.origin + distance[seen][:, None] * rays.direction[seen]
    parity = np.floor(point[:, :2] / _TILE_M).astype(int).sum(axis=-1) % 2
    tiles = np.where(parity[:, None] == 0, _TILE_LIGHT, _TILE_DARK)
    # far tiles fade into the horizon, where they would flicker
    fade = np.clip((distance[seen][:, None] - 4.0) / 14.0, 0.0, 1.0)
    image[seen] = tiles + fade * (_SKY_HORIZON - tiles)
    return image


def _lit(color: Array, normal_w: Array, direction: Array) -> Array:
    """Colour (n, 3) of surface points: sky light from above, one lamp, a soft highlight and a brighter rim."""
    lamp = np.clip(normal_w @ _TO_LIGHT, 0.0, 1.0)[:, None]
    sky = 0.5 + 0.5 * normal_w[:, 2:]
    half = _TO_LIGHT - direction
    half /= np.linalg.norm(half, axis=-1, keepdims=True)
    gloss = np.clip((normal_w * half).sum(-1), 0.0, 1.0)[:, None] ** 40
    rim = (1.0 - np.clip(-(normal_w * direction).sum(-1), 0.0, 1.0))[:, None] ** 3
    return color * (0.30 + 0.32 * sky + 0.52 * lamp) + 0.22 * gloss + 0.10 * rim


def _blur(mask: Array, radius: int) -> Array:
    """Average over a square, twice: soft edges for shadows."""
    for _ in range(2):
        for axis in (0, 1):
            mask = np.mean([np.roll(mask, shift, axis) for shift in range(-radius, radius + 1)], axis=0)
    return mask


def _to_bytes(image: Array) -> Image:
    height, width, _ = image.shape
    blocks = image.reshape(height // _SUPERSAMPLE, _SUPERSAMPLE, width // _SUPERSAMPLE, _SUPERSAMPLE, 3)
    return np.clip(np.round(255.0 * blocks.mean(axis=(1, 3))), 0, 255).astype(np.uint8)
