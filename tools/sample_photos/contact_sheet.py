"""Draws a contact sheet: images as tiles, with result and blob name below each.

The labels use Noto Sans JP from the package ``pylopdf-fonts-jp``, which has Latin and CJK glyphs. No system font is
needed, and the same tiles give the same pixels everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont
from pylopdf_fonts_jp import sans_path

from inference.decoding.decode import decode
from inference.decoding.header import read_header
from inference.decoding.plan import plan_decode
from inference.errors import PermanentError
from inference.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

TILE_PX = 156
_LABEL_PX = 62
_GAP_PX = 10
_COLUMNS = 6
_TITLE_PX, _NAME_PX = 16, 12
_PAPER, _INK, _MUTED, _PROBLEM, _EMPTY = "#ffffff", "#1b1f24", "#57606a", "#b35900", "#eaeef2"


@dataclass(frozen=True, slots=True)
class Tile:
    """One image of the sheet.

    Attributes:
        content: The encoded image; an undecodable one leaves the tile empty.
        title: Its result, such as label and score.
        blob_name: Printed below the title; a long name is split after its last folder.
        is_problem: Whether the title has the colour of a problem.
    """

    content: bytes
    title: str
    blob_name: str
    is_problem: bool


def contact_sheet(tiles: Sequence[Tile]) -> Image.Image:
    """Lay out tiles in rows of six; returns an RGB image on white."""
    row_px = TILE_PX + _LABEL_PX + _GAP_PX
    rows = -(-len(tiles) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * (TILE_PX + _GAP_PX) + _GAP_PX, rows * row_px + _GAP_PX), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, tile in enumerate(tiles):
        left = _GAP_PX + number % _COLUMNS * (TILE_PX + _GAP_PX)
        top = _GAP_PX + number // _COLUMNS * row_px
        sheet.paste(_thumbnail(tile.content), (left, top))
        draw.text((left, top + TILE_PX + 2), tile.title, _PROBLEM if tile.is_problem else _INK, font(_TITLE_PX))
        draw.text((left, top + TILE_PX + 25), "\n".join(name_lines(tile.blob_name)), _MUTED, font(_NAME_PX), spacing=2)
    return sheet


def name_lines(blob_name: str) -> list[str]:
    """Return the name in one line if it fits below a tile, else folder and file name in two."""
    if font(_NAME_PX).getlength(blob_name) <= TILE_PX:
        return [blob_name]
    folder, slash, file_name = blob_name.rpartition("/")
    return [folder + slash, file_name]


@cache
def font(size_px: int) -> ImageFont.FreeTypeFont:
    """Load the labels' font; basic layout, because Raqm is not available on every machine."""
    return ImageFont.truetype(sans_path(), size_px, layout_engine=ImageFont.Layout.BASIC)


def _thumbnail(content: bytes) -> Image.Image:
    tile = Image.new("RGB", (TILE_PX, TILE_PX), _EMPTY)
    try:
        header = read_header(content, Limits())
        image = decode(content, plan_decode(header, (TILE_PX, TILE_PX))).image
    except PermanentError:
        return tile
    image.thumbnail((TILE_PX, TILE_PX), Image.Resampling.LANCZOS)
    tile.paste(image, ((TILE_PX - image.width) // 2, (TILE_PX - image.height) // 2))
    return tile
