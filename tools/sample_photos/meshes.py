"""Meshes of the ten labelled objects and of clutter, made of small quads.

Every mesh is closed (except for a spring's wire ends and a leaf), is centred at the origin and has a radius of about
one unit. Quads wind anticlockwise seen from outside, so that normals point outwards and back faces can be culled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Surface = Callable[[Floats, Floats], tuple[Floats, Floats, Floats]]


@dataclass(frozen=True, slots=True)
class Mesh:
    """A surface of quads.

    Attributes:
        quads: Corners, float64, shape (N, 4, 3), in x, y, z; z points up.
    """

    quads: Floats

    def transformed(self, rotation: Floats, offset: Floats | float = 0.0) -> Mesh:
        """Rotate by a 3 x 3 matrix, then translate by a vector of x, y, z."""
        return Mesh(self.quads @ rotation.T + offset)

    def on_ground(self, x: float = 0.0, y: float = 0.0) -> Mesh:
        """Translate to x, y, with the lowest corner at z = 0."""
        return Mesh(self.quads + np.array([x, y, -self.quads[:, :, 2].min()]))

    @property
    def centroids(self) -> Floats:
        """Centroid of each quad, shape (N, 3)."""
        centroids: Floats = self.quads.mean(axis=1)
        return centroids

    @property
    def normals(self) -> Floats:
        """Outward unit normal of each quad, shape (N, 3); from the diagonals, so a quad may be a triangle."""
        normals: Floats = np.cross(self.quads[:, 2] - self.quads[:, 0], self.quads[:, 3] - self.quads[:, 1])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        return normals


def shape(label: str, rng: np.random.Generator) -> Mesh:
    """Build one labelled object with random proportions.

    Args:
        label: One of ``LABELS``.
        rng: Source of the proportions.
    """
    mesh = SHAPES[label](rng)
    return Mesh(mesh.quads * rng.uniform(0.92, 1.08, 3)) if label != "ball" else mesh


def box(width: float, depth: float, height: float, cells: int = 6) -> Mesh:
    """Build a box centred at the origin."""
    half = np.array([width, depth, height]) / 2
    sides = []
    for axis in range(3):
        for sign in (-1.0, 1.0):

            def side(u: Floats, v: Floats, axis: int = axis, sign: float = sign) -> tuple[Floats, Floats, Floats]:
                corners = [np.full_like(u, sign)] * 3
                corners[(axis + 1) % 3] = (2 * u - 1) * sign
                corners[(axis + 2) % 3] = 2 * v - 1
                return corners[0] * half[0], corners[1] * half[1], corners[2] * half[2]

            sides.append(_grid(side, cells, cells))
    return _joined(*sides)


def cylinder(radius: float, height: float, *, top: float = 1.0, around: int = 96, along: int = 14) -> Mesh:
    """Build a cylinder or truncated cone about the z axis; ``top`` is the ratio of its upper to its lower radius."""

    def wall(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
        reach = radius * (1 + (top - 1) * v)
        return reach * np.cos(2 * np.pi * u), reach * np.sin(2 * np.pi * u), height * (v - 0.5)

    def foot(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
        reach = radius * v
        return reach * np.cos(2 * np.pi * u), reach * np.sin(2 * np.pi * u), np.full_like(u, -height / 2)

    def lid(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
        reach = radius * top * (1 - v)
        return reach * np.cos(2 * np.pi * u), reach * np.sin(2 * np.pi * u), np.full_like(u, height / 2)

    ends = [_grid(foot, around, 5)] + ([_grid(lid, around, 5)] if top > 0 else [])
    return _joined(_grid(wall, around, along), *ends)


def pebble(rng: np.random.Generator) -> Mesh:
    """Build a flat, irregular stone."""
    waves = rng.normal(0.0, 2.0, (4, 3))
    phases = rng.uniform(0.0, 2 * np.pi, 4)

    def stone(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
        points = np.stack(_sphere(u, v), axis=-1)
        swell = 1 + 0.09 * np.sin(points @ waves.T + phases).sum(axis=-1)
        return points[..., 0] * swell, points[..., 1] * swell * 0.7, points[..., 2] * swell * 0.4

    return _grid(stone, 32, 14)


def leaf(rng: np.random.Generator) -> Mesh:
    """Build a thin curled leaf."""
    curl = rng.uniform(0.1, 0.5)

    def upper(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
        reach = 0.45 * np.sin(np.pi * u) ** 0.8 * (2 * v - 1)
        return 2 * u - 1, reach, curl * (2 * u - 1) ** 2 + 0.5 * np.abs(reach) + 0.02

    return _grid(upper, 16, 6)


def _ball(_rng: np.random.Generator) -> Mesh:
    return _grid(_sphere, 96, 48)


def _cone(rng: np.random.Generator) -> Mesh:
    return cylinder(rng.uniform(0.62, 0.85), rng.uniform(1.5, 1.9), top=0.0, along=20)


def _cross(rng: np.random.Generator) -> Mesh:
    arm = rng.uniform(0.24, 0.36)
    corner = [(1.0, -arm), (1.0, arm), (arm, arm)]
    turned = [corner, [(-y, x) for x, y in corner], [(-x, -y) for x, y in corner], [(y, -x) for x, y in corner]]
    return _plate(_outline([point for quarter in turned for point in quarter]), rng.uniform(0.2, 0.32), bulge=0.0)


def _cube(rng: np.random.Generator) -> Mesh:
    edge = rng.uniform(1.25, 1.45)
    return box(edge, edge, edge, cells=13)


def _cylinder(rng: np.random.Generator) -> Mesh:
    return cylinder(rng.uniform(0.5, 0.68), rng.uniform(1.35, 1.8))


def _heart(rng: np.random.Generator) -> Mesh:
    # The usual parametric heart, shifted so that its outline is star-shaped about the origin.
    t = np.linspace(0.0, 2 * np.pi, 120, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    outline = np.stack([-x, y + 3], axis=1) / 16
    return _plate(outline, rng.uniform(0.25, 0.4), bulge=rng.uniform(0.3, 0.9))


def _pyramid(rng: np.random.Generator) -> Mesh:
    base, height = rng.uniform(0.75, 0.9), rng.uniform(1.2, 1.6)
    corners = [np.array([x, y, 0.0]) * base for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    apex = np.array([0.0, 0.0, height])

    def flank(start: Floats, end: Floats, peak: Floats) -> Mesh:
        def surface(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
            foot = start + (end - start) * u[..., None]
            points = foot + (peak - foot) * v[..., None]
            return points[..., 0], points[..., 1], points[..., 2]

        return _grid(surface, 14, 14)

    flanks = [flank(corners[side], corners[(side + 1) % 4], apex) for side in range(4)]
    floor = [flank(corners[(side + 1) % 4], corners[side], np.zeros(3)) for side in range(4)]
    return _joined(*flanks, *floor)


def _ring(rng: np.random.Generator) -> Mesh:
    thickness = rng.uniform(0.18, 0.29)

    def torus(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
        reach = 0.75 + thickness * np.cos(2 * np.pi * v)
        return (
            reach * np.cos(2 * np.pi * u),
            reach * np.sin(2 * np.pi * u),
            thickness * np.sin(2 * np.pi * v),
        )

    return _grid(torus, 120, 30)


def _spring(rng: np.random.Generator) -> Mesh:
    turns, height = rng.uniform(3.5, 5.5), rng.uniform(1.7, 2.3)
    reach, wire = rng.uniform(0.5, 0.65), rng.uniform(0.085, 0.13)

    def coil(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
        angle, around = 2 * np.pi * turns * u, 2 * np.pi * v
        radius = reach + wire * np.cos(around)
        return radius * np.cos(angle), radius * np.sin(angle), height * (u - 0.5) + wire * np.sin(around)

    return _grid(coil, int(40 * turns), 14)


def _star(rng: np.random.Generator) -> Mesh:
    notch = rng.uniform(0.4, 0.52)
    angles = np.pi / 2 + np.pi * np.arange(10) / 5
    reach = np.where(np.arange(10) % 2 == 0, 1.0, notch)
    points = list(zip(reach * np.cos(angles), reach * np.sin(angles), strict=True))
    return _plate(_outline(points), rng.uniform(0.2, 0.32), bulge=rng.uniform(0.0, 0.9))


SHAPES: dict[str, Callable[[np.random.Generator], Mesh]] = {
    "ball": _ball,
    "cone": _cone,
    "cross": _cross,
    "cube": _cube,
    "cylinder": _cylinder,
    "heart": _heart,
    "pyramid": _pyramid,
    "ring": _ring,
    "spring": _spring,
    "star": _star,
}
LABELS = tuple(SHAPES)


def _sphere(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
    across, up = 2 * np.pi * u, np.pi * (v - 0.5)
    return np.cos(up) * np.cos(across), np.cos(up) * np.sin(across), np.sin(up)


def _plate(outline: Floats, thickness: float, *, bulge: float) -> Mesh:
    """Extrude an anticlockwise outline in the x-z plane along y; ``bulge`` in [0, 1] curves the two faces outwards."""
    closed = np.concatenate([outline, outline[:1]])
    steps = np.arange(len(closed)) / (len(closed) - 1)

    def face(sign: float) -> Surface:
        def surface(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
            reach = 1 - v if sign < 0 else v
            x, z = np.interp(u, steps, closed[:, 0]) * reach, np.interp(u, steps, closed[:, 1]) * reach
            return x, sign * thickness * (1 + bulge * (1 - reach**3)), z

        return surface

    def rim(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
        return np.interp(u, steps, closed[:, 0]), thickness * (1 - 2 * v), np.interp(u, steps, closed[:, 1])

    around = len(outline)
    return _joined(_grid(face(-1.0), around, 14), _grid(face(1.0), around, 14), _grid(rim, around, 4))


def _outline(corners: list[tuple[float, float]], per_edge: int = 6) -> Floats:
    """Sample ``per_edge`` points on each edge of a closed polygon; shape (corners x per_edge, 2)."""
    points = np.array(corners)
    share = (np.arange(per_edge) / per_edge)[:, None]
    edges = [start + (end - start) * share for start, end in zip(points, np.roll(points, -1, axis=0), strict=True)]
    return np.concatenate(edges)


def _grid(surface: Surface, across: int, along: int) -> Mesh:
    """Sample a surface over u, v in [0, 1] as ``across`` x ``along`` quads."""
    u, v = np.meshgrid(np.linspace(0, 1, across + 1), np.linspace(0, 1, along + 1), indexing="ij")
    points = np.stack(surface(u, v), axis=-1)
    corners = [points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]]
    return Mesh(np.stack(corners, axis=2).reshape(-1, 4, 3))


def _joined(*meshes: Mesh) -> Mesh:
    return Mesh(np.concatenate([mesh.quads for mesh in meshes]))
