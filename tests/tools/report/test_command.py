"""``python -m tools report`` on Azurite."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from inference.errors import PermanentError, Reason
from inference.limits import Limits
from inference.resources.admission import Admission
from storage.blobs import SourceBlobs
from storage.pipeline.classify_blob import classify_blob
from storage.results.record import Image
from tests.inference.decoding.image_samples import encode
from tests.inference.model.model_folders import noise as random_picture
from tests.storage.samples import FixedClassifier
from tests.tools.report.reports import outcome
from tools.__main__ import main
from tools.report.thumbnails import MissingThumbnail, Thumbnailer, size_within

if TYPE_CHECKING:
    from pathlib import Path

    from tools.account import Account


GPS_INFO = 0x8825


def photo(colour: str, size: tuple[int, int] = (320, 240), orientation: int = 1) -> bytes:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(GPS_INFO)[1] = "N"
    file = io.BytesIO()
    Pillow.new("RGB", size, colour).save(file, "JPEG", exif=exif, icc_profile=b"a colour profile")
    return file.getvalue()


def upload(account: Account, name: str, content: bytes) -> None:
    account.clients.blobs.get_blob_client(account.settings.incoming_container, name).upload_blob(
        content, overwrite=True
    )


def classified(account: Account, name: str, content: bytes, label: str = "cat", error: Exception | None = None) -> None:
    upload(account, name, content)
    image = Image(account.settings.incoming_container, name)
    classify_blob(account.stores, FixedClassifier(label, error=error), image)


def gallery(path: Path) -> dict[str, dict[str, Any]]:
    """The gallery's images by name."""
    found = re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    block = json.loads(found[1])
    images = [dict(zip(block["columns"], image, strict=True)) for image in block["images"]]
    return {image["name"]: {**image, "label": block["labels"][image["label"]]} for image in images}


def thumbnail(image: dict[str, Any]) -> Pillow.Image:
    return Pillow.open(io.BytesIO(base64.b64decode(image["thumbnail"])))


def test_the_page_shows_each_image_or_the_reason_for_its_absence(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("site/red.jpg", "deleted.jpg", "changed.jpg"):
        classified(account, name, photo("red"))
    classified(account, "upright.jpg", photo("navy", orientation=6), label="dog")
    classified(account, "letter.jpg", b"Dear Sir or Madam", label="dog")
    classified(account, "empty.jpg", b"", error=PermanentError(Reason.EMPTY, "The file has no content."))
    upload(account, "changed.jpg", photo("blue"))
    account.clients.blobs.get_blob_client(account.settings.incoming_container, "deleted.jpg").delete_blob()
    path = tmp_path / "report.html"

    assert main(["report", "-o", str(path)]) == 0

    output = capsys.readouterr()
    assert output.out == f"{path}\n"
    assert output.err.startswith("6 images, 5 in the gallery, 3 without a thumbnail (1 ")
    images = gallery(path)
    missing = {name: image["thumbnail"] for name, image in images.items() if len(image["thumbnail"]) < 20}
    assert missing == {"deleted.jpg": "deleted", "changed.jpg": "changed", "letter.jpg": "undecodable"}
    assert "The file has no content." in path.read_text(encoding="utf-8")
    red, upright = thumbnail(images["site/red.jpg"]), thumbnail(images["upright.jpg"])
    assert (red.format, red.size) == ("WEBP", (256, 192))
    assert upright.size == (192, 256)
    assert red.getpixel((5, 5))[0] > 240  # type: ignore[index]
    assert not {"exif", "icc_profile", "xmp"} & set(red.info)
    assert images["upright.jpg"]["label"] == "dog"
    assert list(tmp_path.iterdir()) == [path]


def test_the_page_shows_the_decoded_part_of_a_damaged_picture(account: Account, tmp_path: Path) -> None:
    content = encode(random_picture(256, 192), "PNG")
    upload(account, "cut.png", content[: len(content) // 2])
    image = Image(account.settings.incoming_container, "cut.png")
    classify_blob(account.stores, FixedClassifier(decoded_fraction=0.5), image)
    classified(account, "whole.png", content)
    path = tmp_path / "report.html"
    assert main(["report", "--damaged", "-o", str(path)]) == 0
    assert "Only damaged pictures." in path.read_text(encoding="utf-8")
    images = gallery(path)
    assert images.keys() == {"cut.png"}
    assert images["cut.png"]["decoded_fraction"] == 0.5
    pixels = np.asarray(thumbnail(images["cut.png"]), float)
    assert pixels[: pixels.shape[0] // 3].std() > 20
    assert np.abs(pixels[-pixels.shape[0] // 3 :] - 128).max() < 8


def test_the_filters_of_query_apply_and_the_page_states_them(account: Account, tmp_path: Path) -> None:
    classified(account, "a/cat.jpg", photo("red"))
    classified(account, "a/dog.jpg", photo("red"), label="dog")
    classified(account, "b/dog.jpg", photo("red"), label="dog")
    path = tmp_path / "dogs.html"
    assert main(["report", "--label", "dog", "--folder", "a", "--since", "1h", "-o", str(path)]) == 0
    assert list(gallery(path)) == ["a/dog.jpg"]
    assert re.search(r"Only folder a, label dog, since 20\d\d-\d\d-\d\d \d\d:\d\d\.", path.read_text(encoding="utf-8"))


def test_the_page_states_filters_of_capture_and_reason(account: Account, tmp_path: Path) -> None:
    path = tmp_path / "few.html"
    filters = ("--taken-since", "2026-01-02", "--taken-until", "2026-02-03", "--camera", "<b>X", "--reason", "empty")
    assert main(["report", *filters, "-o", str(path)]) == 0
    words = "Only captured since 2026-01-02 00:00, captured before 2026-02-03 00:00, camera &lt;b&gt;X, reason empty."
    assert words in path.read_text(encoding="utf-8")


def test_the_summary_as_json(account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classified(account, "a.jpg", photo("red"))
    classified(account, "b.jpg", b"no picture")
    path = tmp_path / "report.html"
    assert main(["report", "--json", "-o", str(path)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "event": "summary",
        "path": str(path),
        "images": 2,
        "pictures": 2,
        "without_thumbnail": {"undecodable": 1},
        "bytes": path.stat().st_size,
        "compared": None,
    }


def test_an_empty_account_is_a_page_and_nothing_is_created(account: Account, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    assert main(["report", "-o", str(path)]) == 0
    assert gallery(path) == {}
    assert account.settings.results_table not in {table.name for table in account.clients.tables.list_tables()}


@pytest.mark.parametrize("where", ["folder", "missing/report.html"])
def test_an_unwritable_path_is_reported_before_storage_is_read(
    where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ImageStorage", "no connection at all")
    (tmp_path / "folder").mkdir()
    assert main(["report", "-o", str(tmp_path / where)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert str(tmp_path / where) in output.err
    assert output.err.count("\n") == 1


def test_a_report_that_fails_leaves_the_old_page_as_it_was(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("yesterday's")
    monkeypatch.setenv("RESULTS_CONTAINER", "No Such Name")
    assert main(["report", "-o", str(path)]) == 2
    assert path.read_text() == "yesterday's"
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_without_access_to_blobs_has_no_thumbnails(account: Account) -> None:
    """An identity that may read tables but not blobs gets a report without thumbnails."""
    shop = thumbnailer(account, max_bytes=1000)
    records = [replace(outcome("a.jpg"), container="Not-A-Container-Name"), outcome("no such.jpg")]
    assert list(shop.thumbnails(records)) == [MissingThumbnail.UNREACHABLE, MissingThumbnail.DELETED]


def thumbnailer(account: Account, max_bytes: int, limits: Limits | None = None) -> Thumbnailer:
    source = SourceBlobs(account.clients.blobs, 1_000_000)
    size = size_within(max_bytes, images=1)
    return Thumbnailer(source, limits or Limits(), Admission(256 * 1024 * 1024), size)


@pytest.mark.parametrize(("max_bytes", "side"), [(20_000, 256), (5_000, 160), (1_425, 112)])
def test_thumbnails_shrink_with_the_bytes_allowed(account: Account, max_bytes: int, side: int) -> None:
    classified(account, "noise.png", noise())
    row = account.stores.results.read_row(Image(account.settings.incoming_container, "noise.png"))
    assert row
    assert row.record
    (made,) = thumbnailer(account, max_bytes).thumbnails([row.record])
    assert isinstance(made, bytes)
    assert len(made) <= max_bytes
    assert side // 2 <= max(Pillow.open(io.BytesIO(made)).size) <= side
    refused = thumbnailer(account, max_bytes, Limits(max_pixels=100))
    assert list(refused.thumbnails([row.record])) == [MissingThumbnail.UNDECODABLE]


def noise() -> bytes:
    """An image that compresses badly."""
    file = io.BytesIO()
    Pillow.effect_noise((300, 300), 120).save(file, "PNG")
    return file.getvalue()


def test_thumbnails_are_in_order_and_closing_the_iterator_stops_the_work(account: Account) -> None:
    for at in range(30):
        classified(account, f"{at:02d}.jpg", photo("red", (40 + at, 40)))
    container = account.settings.incoming_container
    rows = [account.stores.results.read_row(Image(container, f"{at:02d}.jpg")) for at in range(30)]
    records = [row.record for row in rows if row and row.record]
    widths = [
        Pillow.open(io.BytesIO(made)).width
        for made in thumbnailer(account, 5000).thumbnails(records)
        if isinstance(made, bytes)
    ]
    assert widths == [40 + at for at in range(30)]
    started = thumbnailer(account, 5000).thumbnails(records)
    next(started)
    started.close()  # type: ignore[attr-defined]
