"""Pillow's TIFF reader, mended."""

from __future__ import annotations

from PIL import ExifTags, Image, TiffImagePlugin

from inference.decoding.exif import SWAPS_AXES
from inference.decoding.xmp import xmp_orientation


class TiffReader(TiffImagePlugin.TiffImageFile):
    """Pillow's own, but the process-wide limit and its warning have no say: the header has been checked by ours.

    It turns its pixels by itself, by XMP too; here, it knows its size before it does.
    """

    def _open(self) -> None:
        super()._open()
        packet = self.info.pop("xmp", None)
        if isinstance(packet, bytes):  # anything else stands for damage, on which it would fail
            self.info["xmp"] = packet
        if ExifTags.Base.Orientation not in self.tag_v2 and xmp_orientation(packet) >= SWAPS_AXES:
            self._size = self._tile_size[::-1]

    def load_prepare(self) -> None:  # noqa: D102 - documented by Pillow
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        super().load_prepare()
