"""No decoder's own words reach a row: they change with its version, and may hold anything of the file."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import pillow_heif.as_plugin
import pytest
from PIL import Image, ImageFile, UnidentifiedImageError

from inference.decoding.decoder_errors import decoder_errors
from inference.errors import PermanentError, Reason, TransientError
from tests.inference.decoding.image_samples import decode_image, encode, encode_heif, scene

if TYPE_CHECKING:
    from collections.abc import Callable

SCENE = Image.fromarray(scene())
ODD_TEXTS = (
    "qzx 50013 \x1b[2J\r\nnot supported /tmp/qzx",
    "truncated qzx" * 500,
    "qzx %s {name} {0} {",
    "Invalid input: qzx: broken data stream",
    "qzx",
    "",
)
FAULTS: tuple[Callable[[str], BaseException], ...] = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, KeyError, IndexError, ZeroDivisionError, OverflowError,
    AttributeError, AssertionError, RuntimeError, RecursionError, struct.error, zlib.error, UserWarning,
    UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip
FILES = {
    "jpeg": encode(SCENE, "JPEG"),
    "png": encode(SCENE, "PNG"),
    "webp": encode(SCENE, "WEBP"),
    "gif": encode(SCENE.quantize(16), "GIF"),
    "bmp": encode(SCENE, "BMP"),
    "tiff": encode(SCENE, "TIFF", compression="tiff_lzw"),
    "avif": encode(SCENE, "AVIF"),
    "jpeg2000": encode(SCENE, "JPEG2000"),
    "ico": encode(SCENE, "ICO", sizes=[(48, 48)]),
    "heif": encode_heif(SCENE),
}


def check(error: PermanentError) -> None:
    assert isinstance(error.reason, Reason)
    assert error.detail.endswith(".")
    assert error.detail.isprintable()
    assert len(error.detail) < 200
    assert "qzx" not in error.detail


@pytest.mark.parametrize("text", ODD_TEXTS, ids=range(len(ODD_TEXTS)))
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_every_fault_of_a_decoder_has_our_own_words(fault: Callable[[str], BaseException], text: str) -> None:
    with pytest.raises(PermanentError) as caught, decoder_errors("png"):
        raise fault(text)
    check(caught.value)


@pytest.mark.parametrize("stage", ["open", "load"])
@pytest.mark.parametrize("name", FILES)
def test_no_words_of_a_library_reach_the_row(name: str, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ODD_TEXTS:

        def fail(*_arguments: Any, text: str = text, **_options: Any) -> None:
            raise OSError(text)

        def fail_as_simplejpeg(*_arguments: Any, text: str = text, **_options: Any) -> None:
            raise ValueError(text)

        with monkeypatch.context() as patch:
            if name == "jpeg":
                patch.setattr("simplejpeg.decode_jpeg", fail_as_simplejpeg)
            elif stage == "open":
                patch.setattr(ImageFile.ImageFile, "__init__", fail)
                patch.setattr(pillow_heif.as_plugin.HeifImageFile, "_open", fail)
            else:
                patch.setattr(ImageFile.ImageFile, "load", fail)
                patch.setattr(pillow_heif.as_plugin.HeifImageFile, "load", fail)
                patch.setattr(pillow_heif.as_plugin.HeifImageFile, "_open", fail)
            with pytest.raises(PermanentError) as caught:
                decode_image(FILES[name], (8, 8))
        check(caught.value)


def test_memory_that_runs_out_is_no_fault_of_the_image() -> None:
    with pytest.raises(TransientError), decoder_errors("png"):
        raise MemoryError("qzx")
