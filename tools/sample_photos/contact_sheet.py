"""A picture of results: each image as a tile, with what was said of it below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from inference.decoding.decode import decode, read_header
from inference.errors import PermanentError
from inference.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

_TILE_PX = 150
_TEXT_PX = 46
_GAP_PX = 10
_COLUMNS = 6
_PAPER, _INK, _QUIET, _BAD, _EMPTY = "#ffffff", "#1b1f24", "#57606a", "#b35900", "#eaeef2"


@dataclass(frozen=True, slots=True)
class Tile:
    """One image of the sheet.

    Attributes:
        content: The encoded image; what cannot be decoded is shown as an empty tile.
        title: First line below it, such as the label.
        note: Second line, such as the file's name.
        good: False colours the title as a problem.
    """

    content: bytes
    title: str
    note: str
    good: bool


def contact_sheet(tiles: Sequence[Tile]) -> Image.Image:
    """Lay the tiles out in rows of six; an RGB image on white."""
    rows = -(-len(tiles) // _COLUMNS)
    width = _COLUMNS * (_TILE_PX + _GAP_PX) + _GAP_PX
    sheet = Image.new("RGB", (width, rows * (_TILE_PX + _TEXT_PX + _GAP_PX) + _GAP_PX), _PAPER)
    draw = ImageDraw.Draw(sheet)
    bold, plain = ImageFont.load_default(15), ImageFont.load_default(11)
    for number, tile in enumerate(tiles):
        left = _GAP_PX + number % _COLUMNS * (_TILE_PX + _GAP_PX)
        top = _GAP_PX + number // _COLUMNS * (_TILE_PX + _TEXT_PX + _GAP_PX)
        sheet.paste(_thumbnail(tile.content), (left, top))
        draw.text((left, top + _TILE_PX + 5), tile.title, _INK if tile.good else _BAD, bold)
        draw.text((left, top + _TILE_PX + 26), _shortened(tile.note, plain), _QUIET, plain)
    return sheet


def _thumbnail(content: bytes) -> Image.Image:
    tile = Image.new("RGB", (_TILE_PX, _TILE_PX), _EMPTY)
    try:
        header = read_header(content, Limits())
        image = decode(content, header, needed=lambda _width, _height: (_TILE_PX, _TILE_PX)).image
    except PermanentError:
        return tile
    image.thumbnail((_TILE_PX, _TILE_PX), Image.Resampling.LANCZOS)
    tile.paste(image, ((_TILE_PX - image.width) // 2, (_TILE_PX - image.height) // 2))
    return tile


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    while font.getlength(text) > _TILE_PX and len(text) > 1:
        text = "…" + text.lstrip("…")[1:]
    return text
