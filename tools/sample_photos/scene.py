"""Where things stand: one object, the clutter about it, the light, and the camera that sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tools.sample_photos.meshes import Mesh, leaf, pebble, rod, shape, slab
from tools.sample_photos.surfaces import Surface, colour

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

# Labels that are flat: they face the camera or lie on their back, for from the edge nobody could name them.
_FLAT = ("cross", "heart", "star")


@dataclass(frozen=True, slots=True)
class Paint:
    """How a mesh is coloured and how it shines.

    Attributes:
        base: RGB in [0, 1].
        second: RGB in [0, 1] of the stripes or mottling.
        direction: Where the pattern runs, shape (3,), in radians per unit.
        contrast: How far the second colour comes through, in [0, 1].
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
    def drawn(cls, rng: np.random.Generator) -> Paint:
        """Draw a paint: plain as often as patterned, from grey metal to bright plastic."""
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
    """A pinhole camera that looks at the object.

    Attributes:
        place: Where it stands, shape (3,).
        axes: Rows are right, down and forward as unit vectors, shape (3, 3).
        focal_px: Focal length in pixels of the frame.
        centre_px: Where the optical axis meets the frame, x and y in pixels.
    """

    place: Floats
    axes: Floats
    focal_px: float
    centre_px: Floats

    @classmethod
    def framing(cls, mesh: Mesh, rng: np.random.Generator, frame: tuple[int, int], elevation: float) -> Camera:
        """Aim at a mesh so that it fills 32 to 72 % of the frame's short side, anywhere in the frame but whole."""
        middle = mesh.quads.reshape(-1, 3).mean(axis=0)
        roll = rng.normal(0.0, np.radians(4))
        forward = np.array([0.0, np.cos(elevation), -np.sin(elevation)])
        right, down = np.array([1.0, 0.0, 0.0]), np.array([0.0, -np.sin(elevation), -np.cos(elevation)])
        right, down = right * np.cos(roll) + down * np.sin(roll), down * np.cos(roll) - right * np.sin(roll)
        aimed = cls(middle - forward * rng.uniform(4.5, 9.0), np.stack([right, down, forward]), 1.0, np.zeros(2))
        seen, _ = aimed.project(mesh.quads.reshape(-1, 3))
        low, high = seen.min(axis=0), seen.max(axis=0)
        focal_px = rng.uniform(0.32, 0.72) * min(frame) / float((high - low).max())
        half = (high - low) / 2 * focal_px
        room = np.maximum(np.array(frame) / 2 - half, 0) * 0.9
        wanted = np.array(frame) / 2 + np.clip(rng.normal(0.0, 0.45, 2), -1, 1) * room
        return cls(aimed.place, aimed.axes, focal_px, wanted - (low + high) / 2 * focal_px)

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """See points (N, 3): pixels (N, 2) and distances along the optical axis (N,)."""
        seen = (points - self.place) @ self.axes.T
        depth = np.maximum(seen[:, 2], 0.05)
        return seen[:, :2] / depth[:, None] * self.focal_px + self.centre_px, depth

    def rays(self, x: Floats, y: Floats) -> Floats:
        """Directions (not unit) in which pixels look; shape (..., 3)."""
        right = (x - self.centre_px[0]) / self.focal_px
        down = (y - self.centre_px[1]) / self.focal_px
        directions: Floats = np.stack([right, down, np.ones_like(right)], axis=-1) @ self.axes
        return directions


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything there is to draw.

    Attributes:
        things: Meshes with their paints, the farthest first.
        ground: What the things stand on (z = 0).
        wall: What stands behind, upright.
        wall_distance: y of the wall.
        light: Unit vector from the scene to the light.
        ambient: Light that comes from everywhere, in [0, 1].
        shadow: How dark shadows are, in [0, 1].
        camera: Who looks.
    """

    things: list[tuple[Mesh, Paint]]
    ground: Surface
    wall: Surface
    wall_distance: float
    light: Floats
    ambient: float
    shadow: float
    camera: Camera


def compose(label: str, rng: np.random.Generator, frame: tuple[int, int]) -> Scene:
    """Set up a scene about one object.

    Args:
        label: What the picture shows.
        rng: Where every choice comes from.
        frame: Width and height of the picture in pixels.
    """
    lying = bool(rng.uniform() < 0.35)
    elevation = float(np.radians(rng.uniform(45, 75) if lying and label in (*_FLAT, "ring") else rng.uniform(12, 48)))
    thing = shape(label, rng).moved(_pose(label, rng, lying=lying)).resting()
    camera = Camera.framing(thing, rng, frame, elevation)
    reach = float(np.linalg.norm(thing.quads[:, :, :2], axis=-1).max())
    clutter = [_clutter(rng, reach) for _ in range(rng.integers(0, 9))]
    things = [(mesh, Paint.drawn(rng)) for mesh in [*clutter, thing]]
    things.sort(key=lambda pair: -float(camera.project(pair[0].centroids)[1].mean()))
    height, side = rng.uniform(0.5, 1.2), rng.uniform(-np.pi, np.pi)
    light = np.array([np.cos(height) * np.cos(side), np.cos(height) * np.sin(side), np.sin(height)])
    ground = Surface(rng)
    return Scene(
        things=things,
        ground=ground,
        # Now and then one sheet of paper serves as both, as in a photo studio.
        wall=ground if rng.uniform() < 0.15 else Surface(rng),
        wall_distance=float(rng.uniform(2.0, 9.0)),
        light=light,
        ambient=float(rng.uniform(0.3, 0.65)),
        shadow=float(rng.uniform(0.25, 0.7)),
        camera=camera,
    )


def turned(axis: str, angle: float) -> Floats:
    """Rotation matrix about one axis; the angle in radians, anticlockwise."""
    cos, sin = np.cos(angle), np.sin(angle)
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = cos
    matrix[first, second], matrix[second, first] = -sin, sin
    return matrix


def _pose(label: str, rng: np.random.Generator, *, lying: bool) -> Floats:
    """How the object stands or lies: always so that a person could name it."""
    spin = turned("z", rng.uniform(0, 2 * np.pi))
    aside = turned("z", np.radians(rng.uniform(-42, 42)))
    tilt = turned("x", rng.normal(0, 0.07)) @ turned("y", rng.normal(0, 0.07))
    if label == "ball":
        return spin @ turned("x", rng.uniform(0, np.pi))
    if label in _FLAT:
        in_plane = turned("y", np.radians(rng.uniform(-25, 25)))
        back = turned("x", np.radians(-90.0 if lying else rng.uniform(-25, 5)))
        return (turned("z", np.radians(rng.uniform(-70, 70))) if lying else aside) @ back @ in_plane
    if label == "ring":
        return spin @ tilt if lying else aside @ turned("x", np.radians(rng.uniform(65, 100))) @ spin
    if label in ("cone", "cylinder", "spring") and lying:
        # On its side, and never seen end-on: a cone's or a cylinder's end is just a disc.
        heading = np.radians(rng.uniform(-50, 50)) + (np.pi if rng.uniform() < 0.5 else 0.0)
        return turned("z", heading) @ turned("y", np.pi / 2) @ spin
    if label == "cube" and lying:
        return spin @ turned("x", rng.uniform(-0.6, 0.6)) @ turned("y", rng.uniform(-0.6, 0.6))
    return tilt @ spin


def _clutter(rng: np.random.Generator, reach: float) -> Mesh:
    """One thing that is none of the ten: a book, a stone, a pencil or a leaf, clear of the object."""
    size = rng.uniform(0.25, 0.7)
    kind = rng.choice(["book", "stone", "pencil", "leaf"])
    if kind == "book":
        mesh = slab(2.0 * size, 1.4 * size, rng.uniform(0.1, 0.3) * size, cells=4)
    elif kind == "stone":
        mesh = Mesh(pebble(rng).quads * size * 0.7)
    elif kind == "pencil":
        mesh = rod(0.07 * size, 3.2 * size, around=10, along=4).moved(turned("y", np.pi / 2))
    else:
        mesh = Mesh(leaf(rng).quads * size)
    mesh = mesh.moved(turned("z", rng.uniform(0, 2 * np.pi)))
    bearing, distance = rng.uniform(0, 2 * np.pi), reach + size * 1.3 + rng.exponential(0.9)
    # Less of it in front of the object than beside and behind it, so that little is hidden.
    return mesh.resting(distance * np.cos(bearing) * 1.2, distance * np.sin(bearing) + 0.3)
