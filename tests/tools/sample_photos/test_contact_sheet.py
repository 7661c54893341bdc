"""The picture of the demo: every blob name is legible, in the committed picture too."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageChops

from tools.sample_photos.contact_sheet import TILE_PX, Tile, contact_sheet, font, name_lines
from tools.sample_photos.samples import render_samples

DEMO_PICTURE = Path(__file__).resolve().parents[3] / "docs" / "img" / "demo.png"
NOT_A_CHARACTER = "\U0010ffff"  # drawn as .notdef, the empty box


@pytest.fixture(scope="module")
def blob_names() -> list[str]:
    return [sample.name for sample in render_samples()]


def test_the_font_has_a_glyph_for_every_character_of_every_name(blob_names: list[str]) -> None:
    characters = set("".join(blob_names)) - {" "}
    assert {"ü", "ö", "星", "心"} <= characters
    box = bytes(font(24).getmask(NOT_A_CHARACTER))
    assert [each for each in characters if bytes(font(24).getmask(each)) == box] == []


def test_every_name_fits_below_its_tile(blob_names: list[str]) -> None:
    for name in blob_names:
        lines = name_lines(name)
        assert "".join(lines) == name
        assert len(lines) <= 2
        assert max(font(12).getlength(line) for line in lines) <= TILE_PX


def test_an_undecodable_image_leaves_its_tile_empty() -> None:
    sheet = contact_sheet([Tile(b"no image", "not_an_image", "letter.jpg", is_problem=True)])
    colours = sheet.crop((10, 10, 10 + TILE_PX, 10 + TILE_PX)).getcolors()
    assert colours == [(TILE_PX * TILE_PX, (234, 238, 242))]


def test_the_committed_picture_shows_every_name(blob_names: list[str]) -> None:
    """Drawn by ``python -m tools demo --picture docs/img/demo.png``. Only the names are compared: scores may change."""
    expected = contact_sheet([Tile(b"", "", name, is_problem=False) for name in blob_names])
    with Image.open(DEMO_PICTURE) as file:
        committed = file.convert("RGB")
    assert committed.size == expected.size
    row_px = (expected.height - 10) // -(-len(blob_names) // 6)
    for number, name in enumerate(blob_names):
        left, top = 10 + number % 6 * (TILE_PX + 10), 10 + number // 6 * row_px
        names_only = (left, top + TILE_PX + 26, left + TILE_PX, top + row_px)
        difference = ImageChops.difference(committed.crop(names_only), expected.crop(names_only))
        assert difference.getbbox() is None, f"{name} is not printed as the font draws it"
