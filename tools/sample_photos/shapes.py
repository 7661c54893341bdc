"""The ten labelled objects as meshes with random proportions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tools.sample_photos.meshes import Mesh, box, cylinder, grid, joined, outline, plate, sphere

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.sample_photos.meshes import Floats


def shape(label: str, rng: np.random.Generator) -> Mesh:
    """Build one labelled object with random proportions.

    Args:
        label: One of ``LABELS``.
        rng: Source of the proportions.
    """
    mesh = SHAPES[label](rng)
    return Mesh(mesh.quads * rng.uniform(0.92, 1.08, 3)) if label != "ball" else mesh


def _ball(_rng: np.random.Generator) -> Mesh:
    return grid(sphere, 96, 48)


def _cone(rng: np.random.Generator) -> Mesh:
    return cylinder(rng.uniform(0.62, 0.85), rng.uniform(1.5, 1.9), top=0.0, along=20)


def _cross(rng: np.random.Generator) -> Mesh:
    arm = rng.uniform(0.24, 0.36)
    corner = [(1.0, -arm), (1.0, arm), (arm, arm)]
    turned = [corner, [(-y, x) for x, y in corner], [(-x, -y) for x, y in corner], [(y, -x) for x, y in corner]]
    return plate(outline([point for quarter in turned for point in quarter]), rng.uniform(0.2, 0.32), bulge=0.0)


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
    return plate(outline, rng.uniform(0.25, 0.4), bulge=rng.uniform(0.3, 0.9))


def _pyramid(rng: np.random.Generator) -> Mesh:
    base, height = rng.uniform(0.75, 0.9), rng.uniform(1.2, 1.6)
    corners = [np.array([x, y, 0.0]) * base for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    apex = np.array([0.0, 0.0, height])

    def flank(start: Floats, end: Floats, peak: Floats) -> Mesh:
        def surface(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
            foot = start + (end - start) * u[..., None]
            points = foot + (peak - foot) * v[..., None]
            return points[..., 0], points[..., 1], points[..., 2]

        return grid(surface, 14, 14)

    flanks = [flank(corners[side], corners[(side + 1) % 4], apex) for side in range(4)]
    floor = [flank(corners[(side + 1) % 4], corners[side], np.zeros(3)) for side in range(4)]
    return joined(*flanks, *floor)


def _ring(rng: np.random.Generator) -> Mesh:
    thickness = rng.uniform(0.18, 0.29)

    def torus(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
        reach = 0.75 + thickness * np.cos(2 * np.pi * v)
        return (
            reach * np.cos(2 * np.pi * u),
            reach * np.sin(2 * np.pi * u),
            thickness * np.sin(2 * np.pi * v),
        )

    return grid(torus, 120, 30)


def _spring(rng: np.random.Generator) -> Mesh:
    turns, height = rng.uniform(3.5, 5.5), rng.uniform(1.7, 2.3)
    reach, wire = rng.uniform(0.5, 0.65), rng.uniform(0.085, 0.13)

    def coil(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
        angle, around = 2 * np.pi * turns * u, 2 * np.pi * v
        radius = reach + wire * np.cos(around)
        return radius * np.cos(angle), radius * np.sin(angle), height * (u - 0.5) + wire * np.sin(around)

    return grid(coil, int(40 * turns), 14)


def _star(rng: np.random.Generator) -> Mesh:
    notch = rng.uniform(0.4, 0.52)
    angles = np.pi / 2 + np.pi * np.arange(10) / 5
    reach = np.where(np.arange(10) % 2 == 0, 1.0, notch)
    points = list(zip(reach * np.cos(angles), reach * np.sin(angles), strict=True))
    return plate(outline(points), rng.uniform(0.2, 0.32), bulge=rng.uniform(0.0, 0.9))


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
