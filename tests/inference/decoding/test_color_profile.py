"""A row names an embedded colour profile that differs from sRGB; its text may be hostile."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from inference.decoding.color_profile import MAX_NAME_LENGTH, name_cicp, name_profile
from inference.decoding.header import read_header
from inference.limits import Limits
from tests.inference.decoding.image_samples import encode, encode_heif, scene

SCENE = Image.fromarray(scene())
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SRGB_COLORANTS = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
DISPLAY_P3_COLORANTS = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))


def curve(*values: int) -> bytes:
    """A ``curveType``: no value is linear, one is a gamma with eight bits behind the point, more are a table."""
    return b"curv" + struct.pack(f">4xI{len(values)}H", len(values), *values)


def text(name: str) -> bytes:
    coded = name.encode("utf-16-be", "surrogatepass")
    return b"mluc" + struct.pack(">4xII4sII", 1, 12, b"enUS", len(coded), 28) + coded


def old_text(name: bytes) -> bytes:
    return b"desc" + struct.pack(">4xI", len(name) + 1) + name + b"\0"


GAMMA_2_2 = curve(563)
PARAMETRIC = b"para" + struct.pack(">4xHHi", 0, 0, round(2.2 * 65_536))


def profile(
    colorants: tuple[tuple[float, ...], ...] = DISPLAY_P3_COLORANTS,
    *,
    space: bytes = b"RGB ",
    tone: bytes = GAMMA_2_2,
    description: bytes | None = text("Display P3"),
    more: dict[bytes, bytes] | None = None,
) -> bytes:
    tags = dict(more or {})
    if description is not None:
        tags[b"desc"] = description
    if space == b"RGB ":
        for tag, values in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants, strict=False):
            tags[tag] = b"XYZ " + struct.pack(">4x3i", *(round(value * 65_536) for value in values))
    tags[{b"RGB ": b"gTRC"}.get(space, b"kTRC")] = tone
    at = 132 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for tag, body in tags.items():
        table += struct.pack(">4sII", tag, at + len(data), len(body))
        data += body
    head = struct.pack(">I4sI4s4s4s", at + len(data), b"test", 0x02400000, b"mntr", space, b"XYZ ")
    return head.ljust(36, b"\0") + b"acsp".ljust(92, b"\0") + table + data


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(SRGB, id="of LittleCMS"),
        pytest.param(profile(SRGB_COLORANTS), id="with a gamma of 2.2"),
        pytest.param(profile(SRGB_COLORANTS, tone=curve(0, 14_033, 65_535)), id="with a table"),
        pytest.param(
            profile(SRGB_COLORANTS, tone=b"para" + struct.pack(">4xHHi", 0, 0, round(2.2 * 65_536))), id="para"
        ),
        pytest.param(profile(space=b"GRAY"), id="grey of that gamma"),
        pytest.param(b"", id="none"),
        pytest.param(None, id="nothing"),
        pytest.param(b"no profile " * 20, id="nonsense"),
        pytest.param(profile()[:150], id="cut in its table"),
    ],
)
def test_a_profile_like_srgb_and_what_is_no_profile_have_no_name(content: bytes | None) -> None:
    assert name_profile(content) is None


@pytest.mark.parametrize(
    ("content", "name"),
    [
        pytest.param(profile(), "Display P3", id="other colorants"),
        pytest.param(profile(description=old_text(b"Adobe RGB (1998)")), "Adobe RGB (1998)", id="version 2"),
        pytest.param(profile(SRGB_COLORANTS, tone=curve(461)), "Display P3", id="a gamma of 1.8"),
        pytest.param(profile(SRGB_COLORANTS, tone=curve()), "Display P3", id="linear"),
        pytest.param(profile(SRGB_COLORANTS, more={b"A2B0": bytes(40)}), "Display P3", id="a table of colours, as XYB"),
        pytest.param(profile(space=b"CMYK"), "Display P3", id="inks"),
        pytest.param(profile(space=b"GRAY", tone=curve()), "Display P3", id="linear grey"),
        pytest.param(profile(description=None), "unnamed profile", id="no description"),
        pytest.param(profile(description=text("\0hidden")), "unnamed profile", id="an empty one"),
        pytest.param(profile(description=b"odd!" + bytes(40)), "unnamed profile", id="one of another type"),
    ],
)
def test_a_profile_that_differs_from_srgb_is_named(content: bytes, name: str) -> None:
    assert name_profile(content) == name


@pytest.mark.parametrize(
    "name", ["a\r\nb\tc", "\x1b[2Jx", "\u202egnp.exe", "\ud800lone", "x" * 5_000, "a\u2028b\x00c", "\U000e0041tag"]
)
def test_hostile_text_is_one_short_printable_line(name: str) -> None:
    shown = name_profile(profile(description=text(name)))
    assert shown
    assert shown.isprintable()
    assert len(shown) <= MAX_NAME_LENGTH


def test_a_profile_cut_or_changed_anywhere_costs_nothing() -> None:
    content = profile()
    random = np.random.default_rng(3)
    for end in range(len(content)):
        name_profile(content[:end])
    for _ in range(2_000):
        damaged = bytearray(content)
        damaged[random.integers(128, len(content))] = random.integers(256)
        name = name_profile(bytes(damaged))
        assert name is None or (name.isprintable() and len(name) <= MAX_NAME_LENGTH)


FILES = {
    "jpeg": lambda icc: encode(SCENE, "JPEG", icc_profile=icc),
    "jpeg, in segments": lambda icc: encode(SCENE, "JPEG", icc_profile=icc + bytes(200_000)),
    "png": lambda icc: encode(SCENE, "PNG", icc_profile=icc),
    "webp": lambda icc: encode(SCENE, "WEBP", icc_profile=icc),
    "tiff": lambda icc: encode(SCENE, "TIFF", icc_profile=icc),
    "avif": lambda icc: encode(SCENE, "AVIF", icc_profile=icc),
    "heic": lambda icc: encode_heif(SCENE, icc_profile=icc),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_profile_of_a_file_is_named(kind: str) -> None:
    assert read_header(FILES[kind](profile()), Limits()).info.color_profile == "Display P3"
    assert read_header(FILES[kind](SRGB), Limits()).info.color_profile is None


def test_the_profile_of_a_jpeg_2000_is_named() -> None:
    content = encode(SCENE, "JPEG2000")
    at = content.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", content, at)
    box = struct.pack(">I4sBBB", 11 + len(profile()), b"colr", 2, 0, 0) + profile()
    tagged = (
        content[:at] + struct.pack(">I", size + len(box)) + content[at + 4 : at + size] + box + content[at + size :]
    )
    assert read_header(tagged, Limits()).info.color_profile == "Display P3"
    assert read_header(content, Limits()).info.color_profile is None


def test_code_points_are_named() -> None:
    assert name_cicp(1, 13) is None
    assert name_cicp(2, 2) is None
    assert name_cicp(12, 13) == "Display P3"
    assert name_cicp(9, 16) == "BT.2020 PQ"


@pytest.mark.parametrize("kind", FILES)
def test_a_broken_profile_costs_no_photo(kind: str) -> None:
    content = FILES[kind](profile())
    assert read_header(content.replace(b"acsp", b"XXXX"), Limits()).info.color_profile is None or kind == "png"
