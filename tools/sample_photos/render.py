"""Renders a scene as a photograph. The same seed and size give the same pixels.

The steps run from back to front, each at the resolution it needs, so that 12 megapixels take about a second:

    ground, wall, shadows      at most 448 px, then enlarged: they are out of focus
    objects                    polygons on a canvas of twice the picture's size (at most 2000 px on the long side)
    foreground                 on that canvas
    lens, exposure             on the smaller of canvas and picture
    sensor noise               on the picture
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from tools.sample_photos.scene import Scene, compose
from tools.sample_photos.surfaces import colour

if TYPE_CHECKING:
    import numpy.typing as npt

    from tools.sample_photos.meshes import Mesh
    from tools.sample_photos.scene import Material

    Floats = npt.NDArray[np.float64]

_BACKDROP_PX = 448
_CANVAS_PX = 2000
_NOISE_TILE_PX = 256


def render(label: str, seed: int | tuple[int, ...], width: int, height: int) -> Image.Image:
    """Render one upright scene.

    Args:
        label: One of ``meshes.LABELS``.
        seed: Determines all other choices.
        width: Pixels.
        height: Pixels.

    Returns:
        An RGB image of that size.
    """
    rng = np.random.default_rng(seed)
    shrink = min(2.0, max(1.0, _CANVAS_PX / max(width, height)), _CANVAS_PX / max(width, height))
    frame = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    scene = compose(label, rng, frame)
    canvas = _backdrop(scene, rng, frame, max(width, height))
    draw = ImageDraw.Draw(canvas)
    for mesh, material in scene.objects:
        _draw_mesh(draw, mesh, scene, material)
    _add_foreground(canvas, rng)
    if shrink > 1:
        canvas = canvas.resize((width, height), Image.Resampling.BICUBIC)
    picture = _apply_lens(canvas, rng)
    return _add_noise(picture.resize((width, height), Image.Resampling.BICUBIC), rng)


def _backdrop(scene: Scene, rng: np.random.Generator, frame: tuple[int, int], long_side_px: int) -> Image.Image:
    """Draw ground, wall and shadows for a picture with this long side."""
    scale = min(_BACKDROP_PX, long_side_px) / max(frame)
    width, height = max(1, round(frame[0] * scale)), max(1, round(frame[1] * scale))
    x, y = np.meshgrid((np.arange(width) + 0.5) / scale, (np.arange(height) + 0.5) / scale)
    rays = scene.camera.rays(x, y)
    position = scene.camera.position
    to_wall = (scene.wall_distance - position[1]) / np.maximum(rays[..., 1], 1e-6)
    to_ground = np.where(rays[..., 2] < -1e-6, -position[2] / np.minimum(rays[..., 2], -1e-6), np.inf)
    on_ground = to_ground < to_wall
    hit = position + rays * np.minimum(to_wall, to_ground)[..., None].clip(0, 60)
    pixels = np.empty(hit.shape)
    pixels[on_ground] = scene.ground.colours(hit[on_ground][:, 0], hit[on_ground][:, 1])
    pixels[~on_ground] = scene.wall.colours(hit[~on_ground][:, 0], hit[~on_ground][:, 2]) * rng.uniform(0.6, 1.1)
    spot = np.exp(-((hit[..., 0] - rng.normal(0, 2)) ** 2 + (hit[..., 1] - rng.normal(0, 2)) ** 2) / 30)
    pixels *= (1 - rng.uniform(0, 0.45) * (1 - spot))[..., None]
    dark = np.asarray(_shadows(scene, rng, (width, height), scale), dtype=np.float64) / 255
    pixels *= (1 - scene.shadow * dark * on_ground)[..., None]
    image = Image.fromarray((pixels * 255).clip(0, 255).astype(np.uint8))
    _add_background_lights(image, rng, on_ground)
    blur = float(rng.choice([0.0, rng.uniform(0.3, 3.0)])) * max(width, height) / _BACKDROP_PX
    return image.filter(ImageFilter.GaussianBlur(blur)).resize(frame, Image.Resampling.BICUBIC)


def _shadows(scene: Scene, rng: np.random.Generator, size: tuple[int, int], scale: float) -> Image.Image:
    """Draw the shadows of all objects on the ground: mode L, 255 is full shadow."""
    mask = Image.new("L", size)
    draw = ImageDraw.Draw(mask)
    for mesh, _ in scene.objects:
        lit = mesh.quads[mesh.normals @ scene.light > 0]
        shadow = lit - lit[:, :, 2:] / scene.light[2] * scene.light
        projected, _ = scene.camera.project(shadow.reshape(-1, 3))
        for polygon in (projected.reshape(-1, 8) * scale).tolist():
            draw.polygon(polygon, fill=255)
    return mask.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 8) * max(size) / _BACKDROP_PX))


def _add_background_lights(image: Image.Image, rng: np.random.Generator, on_ground: npt.NDArray[np.bool_]) -> None:
    """Draw discs of light and bars above the horizon, as distant objects."""
    horizon = int((~on_ground).sum(axis=0).mean())
    if horizon < 8:
        return
    draw = ImageDraw.Draw(image, "RGBA")
    for _ in range(rng.integers(0, 14)):
        x, y = rng.uniform(0, image.width), rng.uniform(0, horizon)
        size = rng.uniform(0.01, 0.07) * max(image.size)
        red, green, blue = (colour(rng, saturation=(0.0, 0.8), value=(0.2, 1.0)) * 255).astype(int).tolist()
        fill = (red, green, blue, int(rng.integers(60, 200)))
        if rng.uniform() < 0.6:
            draw.ellipse((x - size, y - size, x + size, y + size), fill=fill)
        else:
            draw.rectangle((x - size * 0.3, y - size * 3, x + size * 0.3, horizon), fill=fill)


def _draw_mesh(draw: ImageDraw.ImageDraw, mesh: Mesh, scene: Scene, material: Material) -> None:
    """Draw the quads that face the camera, the farthest first."""
    camera = scene.camera
    centroids, normals = mesh.centroids, mesh.normals
    facing = np.einsum("ij,ij->i", normals, camera.position - centroids) > 0
    quads, centroids, normals = mesh.quads[facing], centroids[facing], normals[facing]
    corners, _ = camera.project(quads.reshape(-1, 3))
    order = np.argsort(-np.linalg.norm(centroids - camera.position, axis=1))
    fills = (_shade(centroids, normals, scene, material) * 255).astype(np.int64)[order].tolist()
    for polygon, fill in zip(corners.reshape(-1, 8)[order].tolist(), fills, strict=True):
        draw.polygon(polygon, fill=tuple(fill))


def _shade(centroids: Floats, normals: Floats, scene: Scene, material: Material) -> Floats:
    """Shade each quad with ambient light, Lambert and Blinn-Phong; RGB in [0, 1], shape (N, 3)."""
    wave = 0.5 + 0.5 * np.tanh(3 * np.sin(centroids @ material.direction))
    share = (material.contrast * wave)[:, None]
    base = material.base * (1 - share) + material.second * share
    to_eye = scene.camera.position - centroids
    to_eye /= np.linalg.norm(to_eye, axis=1, keepdims=True)
    half = to_eye + scene.light
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    # Ambient occlusion: near the ground less of the sky is visible.
    sky = scene.ambient * (0.7 + 0.3 * normals[:, 2]) * (0.6 + 0.4 * np.clip(centroids[:, 2], 0, 1))
    lambert = (1.05 - scene.ambient * 0.5) * np.clip(normals @ scene.light, 0, None)
    shine = material.gloss * np.clip(np.einsum("ij,ij->i", normals, half), 0, None) ** material.sharpness
    shaded: Floats = np.clip(base * (sky + lambert)[:, None] + shine[:, None], 0, 1)
    return shaded


def _add_foreground(canvas: Image.Image, rng: np.random.Generator) -> None:
    """In 30 % of pictures, draw an object out of focus in the foreground: a twig, a strap, a thumb on the lens."""
    if rng.uniform() > 0.3:
        return
    small = Image.new("L", (max(1, canvas.width // 8), max(1, canvas.height // 8)))
    draw = ImageDraw.Draw(small)
    width, height = small.size
    if rng.uniform() < 0.6:
        ends = [(rng.uniform(0, width), 0.0), (rng.uniform(0, width), float(height))]
        if rng.uniform() < 0.5:
            ends = [(0.0, rng.uniform(0, height)), (float(width), rng.uniform(0, height))]
        draw.line(ends, fill=255, width=max(1, round(rng.uniform(0.01, 0.04) * min(small.size))))
    else:
        x, y = rng.choice([0, width]), rng.choice([0, height])
        size = rng.uniform(0.1, 0.3) * min(small.size)
        draw.ellipse((x - size, y - size * 1.3, x + size, y + size * 1.3), fill=255)
    mask = small.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 2.5))).resize(canvas.size, Image.Resampling.BILINEAR)
    red, green, blue = (colour(rng, saturation=(0.0, 0.7), value=(0.05, 0.6)) * 255).astype(int).tolist()
    canvas.paste((red, green, blue), (0, 0), mask)


def _apply_lens(canvas: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Apply focus, vignetting, exposure and white balance; 6 % of pictures become black and white."""
    softness = float(rng.choice([0.7, rng.uniform(0.7, 4.0), rng.uniform(4.0, 10.0)], p=[0.5, 0.4, 0.1]))
    canvas = canvas.filter(ImageFilter.GaussianBlur(softness * max(canvas.size) / _CANVAS_PX))
    y, x = np.mgrid[-1:1:48j, -1:1:64j]
    falloff = 255 * (1 - rng.uniform(0.0, 0.45) * (x * x + y * y) / 2)
    vignette = Image.fromarray(falloff.astype(np.uint8)).resize(canvas.size, Image.Resampling.BICUBIC)
    canvas = ImageChops.multiply(canvas, Image.merge("RGB", [vignette] * 3))
    gamma, lift = rng.uniform(0.6, 1.2), rng.uniform(0, 0.08)
    levels = np.linspace(0, 1, 256) ** gamma
    gains = rng.uniform(0.85, 1.15) * rng.uniform(0.9, 1.1, 3)
    table = np.concatenate([(lift + (1 - lift) * levels * gain) * 255 for gain in gains])
    canvas = canvas.point(table.clip(0, 255).astype(int).tolist())
    return canvas.convert("L").convert("RGB") if rng.uniform() < 0.06 else canvas


def _add_noise(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Add sensor noise from a tile, shifted by a random distance in each row of tiles."""
    grain = rng.normal(0.0, rng.choice([rng.uniform(0, 5), rng.uniform(5, 13)], p=[0.8, 0.2]), (_NOISE_TILE_PX,) * 2)
    tint = rng.uniform(0.0, 0.6)
    noise = np.stack([grain + tint * np.roll(grain, (71 * band, 31 * band), (0, 1)) for band in range(3)], axis=-1)
    tile = np.rint(noise).astype(np.int16)
    pixels = np.asarray(picture).astype(np.int16)
    for top in range(0, picture.height, _NOISE_TILE_PX):
        tile = np.roll(tile, int(rng.integers(_NOISE_TILE_PX)), axis=1)
        strip = pixels[top : top + _NOISE_TILE_PX]
        repeats = -(-picture.width // _NOISE_TILE_PX)
        strip += np.tile(tile, (1, repeats, 1))[: strip.shape[0], : strip.shape[1]]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
