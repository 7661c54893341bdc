"""The renderer of the sample photos and its labelled shapes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from tools.sample_photos.photographs import EVALUATION, TRAINING, camera_jpeg, photograph
from tools.sample_photos.render import render
from tools.sample_photos.shapes import LABELS, shape


@pytest.mark.parametrize("label", LABELS)
def test_the_same_seed_gives_the_same_pixels(label: str) -> None:
    first, second = render(label, 7, 96, 64), render(label, 7, 96, 64)

    assert first.size == (96, 64)
    assert first.mode == "RGB"
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != render(label, 8, 96, 64).tobytes()


@pytest.mark.parametrize("label", LABELS)
def test_a_mesh_encloses_a_volume_and_its_normals_point_outwards(label: str) -> None:
    """By the divergence theorem; the renderer would cull a quad with the wrong winding."""
    mesh = shape(label, np.random.default_rng(3))
    diagonals = np.cross(mesh.quads[:, 2] - mesh.quads[:, 0], mesh.quads[:, 3] - mesh.quads[:, 1])
    volume = np.einsum("ij,ij->", mesh.centroids, diagonals / 2) / 3

    assert volume > 0.3
    if label != "spring":  # its wire is open at both ends
        assert np.abs(diagonals.sum(axis=0)).max() < 1e-6


@pytest.mark.parametrize("size", [(1, 1), (17, 400), (3000, 2000)], ids=["one pixel", "a strip", "six megapixels"])
def test_every_size_can_be_rendered(size: tuple[int, int]) -> None:
    assert render("ring", 1, *size).size == size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_jpeg_is_upright_once_its_orientation_is_applied(orientation: int) -> None:
    picture = render("cone", 2, 128, 96)

    with Image.open(io.BytesIO(camera_jpeg(picture, orientation=orientation, quality=95))) as file:
        upright = ImageOps.exif_transpose(file)

    assert upright.size == picture.size
    difference = np.abs(np.asarray(upright, dtype=int) - np.asarray(picture, dtype=int)).mean()
    assert difference < 8


def test_two_series_share_no_photograph() -> None:
    assert photograph(TRAINING, 5).content != photograph(EVALUATION, 5).content
