"""Composes scenes: one labelled object, clutter, light and camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tools.sample_photos.meshes import Mesh, box, cylinder, leaf, pebble
from tools.sample_photos.shapes import shape
from tools.sample_photos.surfaces import Surface, colour

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

# Flat objects face the camera or lie on their back: from the edge they are not recognisable.
_FLAT = ("cross", "heart", "star")


@dataclass(frozen=True, slots=True)
class Material:
    """Colour and gloss of a mesh.

    Attributes:
        base: RGB in [0, 1].
        second: RGB in [0, 1] of the stripes or mottling.
        direction: Wave vector of the pattern, shape (3,), in radians per scene unit.
        contrast: Weight of the second colour, in [0, 1].
        gloss: Strength of the highlight, in [0, 1].
        sharpness: Exponent of the highlight.
    """

    base: Floats
    second: Floats
    direction: Floats
    contrast: float
    gloss: float
    sharpness: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Material:
        """Draw a material: plain as often as patterned, from grey metal to bright plastic."""
        return cls(
            base=colour(rng, saturation=(0.0, 1.0), value=(0.3, 1.0)),
            second=colour(rng, saturation=(0.0, 1.0), value=(0.15, 1.0)),
            direction=rng.normal(0.0, 1.0, 3) * rng.uniform(1.0, 6.0),
            contrast=float(rng.choice([0.0, rng.uniform(0.0, 0.3), rng.uniform(0.3, 1.0)], p=[0.5, 0.3, 0.2])),
            gloss=float(rng.uniform(0.0, 0.8)),
            sharpness=float(rng.uniform(6, 60)),
        )


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera aimed at the object.

    Attributes:
        position: Shape (3,), in scene units.
        axes: Rows are right, down and forward as unit vectors, shape (3, 3).
        focal_px: Focal length in pixels of the frame.
        centre_px: Principal point, x and y in pixels.
    """

    position: Floats
    axes: Floats
    focal_px: float
    centre_px: Floats

    @classmethod
    def framing(cls, mesh: Mesh, rng: np.random.Generator, frame: tuple[int, int], elevation: float) -> Camera:
        """Aim at a mesh so that it fills 32 to 72 % of the frame's short side and is completely inside the frame."""
        middle = mesh.quads.reshape(-1, 3).mean(axis=0)
        roll = rng.normal(0.0, np.radians(4))
        forward = np.array([0.0, np.cos(elevation), -np.sin(elevation)])
        right, down = np.array([1.0, 0.0, 0.0]), np.array([0.0, -np.sin(elevation), -np.cos(elevation)])
        right, down = right * np.cos(roll) + down * np.sin(roll), down * np.cos(roll) - right * np.sin(roll)
        aimed = cls(middle - forward * rng.uniform(4.5, 9.0), np.stack([right, down, forward]), 1.0, np.zeros(2))
        projected, _ = aimed.project(mesh.quads.reshape(-1, 3))
        low, high = projected.min(axis=0), projected.max(axis=0)
        focal_px = rng.uniform(0.32, 0.72) * min(frame) / float((high - low).max())
        half = (high - low) / 2 * focal_px
        margin = np.maximum(np.array(frame) / 2 - half, 0) * 0.9
        target = np.array(frame) / 2 + np.clip(rng.normal(0.0, 0.45, 2), -1, 1) * margin
        return cls(aimed.position, aimed.axes, focal_px, target - (low + high) / 2 * focal_px)

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Project points (N, 3) to pixels (N, 2); also returns their depths along the optical axis (N,)."""
        local = (points - self.position) @ self.axes.T
        depth = np.maximum(local[:, 2], 0.05)
        return local[:, :2] / depth[:, None] * self.focal_px + self.centre_px, depth

    def rays(self, x: Floats, y: Floats) -> Floats:
        """Return the viewing directions of pixels, not normalised; shape (..., 3)."""
        right = (x - self.centre_px[0]) / self.focal_px
        down = (y - self.centre_px[1]) / self.focal_px
        directions: Floats = np.stack([right, down, np.ones_like(right)], axis=-1) @ self.axes
        return directions


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene to render.

    Attributes:
        objects: Meshes with their materials, the farthest first.
        ground: Surface at z = 0.
        wall: Upright surface behind the objects.
        wall_distance: y of the wall.
        light: Unit vector from the scene to the light.
        ambient: Ambient light, in [0, 1].
        shadow: Darkness of shadows, in [0, 1].
        camera: Position and projection.
    """

    objects: list[tuple[Mesh, Material]]
    ground: Surface
    wall: Surface
    wall_distance: float
    light: Floats
    ambient: float
    shadow: float
    camera: Camera


def compose(label: str, rng: np.random.Generator, frame: tuple[int, int]) -> Scene:
    """Compose a scene around one object.

    Args:
        label: Label of the object.
        rng: Source of every choice.
        frame: Width and height of the picture in pixels.
    """
    lying = bool(rng.uniform() < 0.35)
    elevation = float(np.radians(rng.uniform(45, 75) if lying and label in (*_FLAT, "ring") else rng.uniform(12, 48)))
    labelled = shape(label, rng).transformed(_pose(label, rng, lying=lying)).on_ground()
    camera = Camera.framing(labelled, rng, frame, elevation)
    radius = float(np.linalg.norm(labelled.quads[:, :, :2], axis=-1).max())
    clutter = [_clutter(rng, radius) for _ in range(rng.integers(0, 9))]
    objects = [(mesh, Material.random(rng)) for mesh in [*clutter, labelled]]
    objects.sort(key=lambda pair: -float(camera.project(pair[0].centroids)[1].mean()))
    height, side = rng.uniform(0.5, 1.2), rng.uniform(-np.pi, np.pi)
    light = np.array([np.cos(height) * np.cos(side), np.cos(height) * np.sin(side), np.sin(height)])
    ground = Surface(rng)
    return Scene(
        objects=objects,
        ground=ground,
        # In 15 % of scenes ground and wall are one surface, as in a photo studio.
        wall=ground if rng.uniform() < 0.15 else Surface(rng),
        wall_distance=float(rng.uniform(2.0, 9.0)),
        light=light,
        ambient=float(rng.uniform(0.3, 0.65)),
        shadow=float(rng.uniform(0.25, 0.7)),
        camera=camera,
    )


def rotation(axis: str, angle: float) -> Floats:
    """Return the 3 x 3 rotation matrix about an axis; the angle in radians, anticlockwise."""
    cos, sin = np.cos(angle), np.sin(angle)
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = cos
    matrix[first, second], matrix[second, first] = -sin, sin
    return matrix


def _pose(label: str, rng: np.random.Generator, *, lying: bool) -> Floats:
    """Draw an orientation in which the object is recognisable."""
    spin = rotation("z", rng.uniform(0, 2 * np.pi))
    aside = rotation("z", np.radians(rng.uniform(-42, 42)))
    tilt = rotation("x", rng.normal(0, 0.07)) @ rotation("y", rng.normal(0, 0.07))
    if label == "ball":
        return spin @ rotation("x", rng.uniform(0, np.pi))
    if label in _FLAT:
        in_plane = rotation("y", np.radians(rng.uniform(-25, 25)))
        back = rotation("x", np.radians(-90.0 if lying else rng.uniform(-25, 5)))
        return (rotation("z", np.radians(rng.uniform(-70, 70))) if lying else aside) @ back @ in_plane
    if label == "ring":
        return spin @ tilt if lying else aside @ rotation("x", np.radians(rng.uniform(65, 100))) @ spin
    if label in ("cone", "cylinder", "spring") and lying:
        # On its side, but never seen from its end: the end of a cone or cylinder is only a disc.
        heading = np.radians(rng.uniform(-50, 50)) + (np.pi if rng.uniform() < 0.5 else 0.0)
        return rotation("z", heading) @ rotation("y", np.pi / 2) @ spin
    if label == "cube" and lying:
        return spin @ rotation("x", rng.uniform(-0.6, 0.6)) @ rotation("y", rng.uniform(-0.6, 0.6))
    return tilt @ spin


def _clutter(rng: np.random.Generator, radius: float) -> Mesh:
    """Create an object without a label: a book, a stone, a pencil or a leaf, at a distance from the labelled object."""
    size = rng.uniform(0.25, 0.7)
    kind = rng.choice(["book", "stone", "pencil", "leaf"])
    if kind == "book":
        mesh = box(2.0 * size, 1.4 * size, rng.uniform(0.1, 0.3) * size, cells=4)
    elif kind == "stone":
        mesh = Mesh(pebble(rng).quads * size * 0.7)
    elif kind == "pencil":
        mesh = cylinder(0.07 * size, 3.2 * size, around=10, along=4).transformed(rotation("y", np.pi / 2))
    else:
        mesh = Mesh(leaf(rng).quads * size)
    mesh = mesh.transformed(rotation("z", rng.uniform(0, 2 * np.pi)))
    bearing, distance = rng.uniform(0, 2 * np.pi), radius + size * 1.3 + rng.exponential(0.9)
    # Less clutter in front of the labelled object than beside and behind it, so that it hides little.
    return mesh.on_ground(distance * np.cos(bearing) * 1.2, distance * np.sin(bearing) + 0.3)
