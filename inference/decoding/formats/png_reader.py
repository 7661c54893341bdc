"""Pillow's PNG reader, mended."""

from __future__ import annotations

from PIL import PngImagePlugin

_GREY_FACTORS = {"L;2": 85, "L;4": 17}


class PngReader(PngImagePlugin.PngImageFile):
    """Pillow's own, but the transparent level of 2- and 4-bit grey is scaled as the pixels are."""

    def _open(self) -> None:
        super()._open()
        level = self.info.get("transparency")
        if self.tile and isinstance(level, int):
            self.info["transparency"] = level * _GREY_FACTORS.get(str(self.tile[0].args), 1)
