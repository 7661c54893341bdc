"""Meshes of small quads: primitives for the labelled objects, and clutter.

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

            sides.append(grid(side, cells, cells))
    return joined(*sides)


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

    ends = [grid(foot, around, 5)] + ([grid(lid, around, 5)] if top > 0 else [])
    return joined(grid(wall, around, along), *ends)


def pebble(rng: np.random.Generator) -> Mesh:
    """Build a flat, irregular stone."""
    waves = rng.normal(0.0, 2.0, (4, 3))
    phases = rng.uniform(0.0, 2 * np.pi, 4)

    def stone(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
        points = np.stack(sphere(u, v), axis=-1)
        swell = 1 + 0.09 * np.sin(points @ waves.T + phases).sum(axis=-1)
        return points[..., 0] * swell, points[..., 1] * swell * 0.7, points[..., 2] * swell * 0.4

    return grid(stone, 32, 14)


def leaf(rng: np.random.Generator) -> Mesh:
    """Build a thin curled leaf."""
    curl = rng.uniform(0.1, 0.5)

    def upper(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
        reach = 0.45 * np.sin(np.pi * u) ** 0.8 * (2 * v - 1)
        return 2 * u - 1, reach, curl * (2 * u - 1) ** 2 + 0.5 * np.abs(reach) + 0.02

    return grid(upper, 16, 6)


def sphere(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
    """Return points of the unit sphere; u in [0, 1] is the longitude, v in [0, 1] the latitude."""
    across, up = 2 * np.pi * u, np.pi * (v - 0.5)
    return np.cos(up) * np.cos(across), np.cos(up) * np.sin(across), np.sin(up)


def plate(outline: Floats, thickness: float, *, bulge: float) -> Mesh:
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
    return joined(grid(face(-1.0), around, 14), grid(face(1.0), around, 14), grid(rim, around, 4))


def outline(corners: list[tuple[float, float]], per_edge: int = 6) -> Floats:
    """Sample ``per_edge`` points on each edge of a closed polygon; shape (corners x per_edge, 2)."""
    points = np.array(corners)
    share = (np.arange(per_edge) / per_edge)[:, None]
    edges = [start + (end - start) * share for start, end in zip(points, np.roll(points, -1, axis=0), strict=True)]
    return np.concatenate(edges)


def grid(surface: Surface, across: int, along: int) -> Mesh:
    """Sample a surface over u, v in [0, 1] as ``across`` x ``along`` quads."""
    u, v = np.meshgrid(np.linspace(0, 1, across + 1), np.linspace(0, 1, along + 1), indexing="ij")
    points = np.stack(surface(u, v), axis=-1)
    corners = [points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]]
    return Mesh(np.stack(corners, axis=2).reshape(-1, 4, 3))


def joined(*meshes: Mesh) -> Mesh:
    """Join meshes into one."""
    return Mesh(np.concatenate([mesh.quads for mesh in meshes]))
