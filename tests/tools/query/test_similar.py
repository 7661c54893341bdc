"""``query --duplicates`` and ``query --like`` from the command line."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from azure.data.tables import UpdateMode
from PIL import Image as Pictures

from inference import classifier
from storage.pipeline.classify_blob import classify_blob
from storage.results.record import Image
from storage.settings import APP_ROOT
from tools.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

    from tools.account import Account


def picture(seed: int, side: int = 400, quality: int = 90) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Pictures.fromarray(coarse).resize((side, side), Pictures.Resampling.BICUBIC).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.fixture
def account(empty_account: Account) -> Account:
    container = empty_account.settings.incoming_container
    empty_account.clients.blobs.create_container(container)
    model = classifier.load(APP_ROOT / "models/shapes")
    photos = {
        "fox.jpg": picture(1),
        "b/copy.jpg": picture(1),
        "small.jpg": picture(1, 300, 60),
        "other.jpg": picture(2),
    }
    for name, content in photos.items():
        empty_account.clients.blobs.get_blob_client(container, name).upload_blob(content)
        classify_blob(empty_account.stores, model, Image(container, name))
    return empty_account


def test_equal_and_similar_images_are_found(
    account: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def lines(*options: str) -> list[dict[str, object]]:
        assert main(["query", *options, "--json"]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [(line["group"], line["blob_name"]) for line in lines("--duplicates")] == [(1, "b/copy.jpg"), (1, "fox.jpg")]
    near = lines("--like", "fox.jpg")
    assert [line["blob_name"] for line in near[:2]] == ["b/copy.jpg", "fox.jpg"]
    assert [line["distance"] for line in near[:2]] == [0, 0]
    assert {line["blob_name"] for line in near} == {"b/copy.jpg", "fox.jpg", "small.jpg"}
    assert len(lines("--like", "fox.jpg", "--within", "64", "--status", "classified")) == 4
    local = tmp_path / "local.jpg"
    local.write_bytes(picture(2, 800))
    assert [line["blob_name"] for line in lines("--like", str(local))] == ["other.jpg"]

    assert main(["query", "--duplicates", "--format", "csv", "--explain"]) == 0
    out, err = capsys.readouterr()
    assert [row["group"] for row in csv.DictReader(io.StringIO(out, newline=""))] == ["1", "1"]
    assert json.loads(err)["explain"]["kind"] == "scan"
    assert main(["query", "--like", "fox.jpg"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].startswith("distance  classified at")
    assert table[1].startswith("       0  2")
    assert main(["query", "--duplicates", "--count"]) == 0
    assert capsys.readouterr().out == "2\n"

    assert main(["query", "--like", "missing.jpg"]) == 2
    assert "neither an image with a row" in capsys.readouterr().err
    assert main(["query", "--within", "3"]) == 2
    assert "add --like" in capsys.readouterr().err


def test_images_whose_rows_have_no_hash_are_counted(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows of an earlier version have neither hash: without a word, an answer would seem complete."""
    table = account.clients.tables.get_table_client(account.settings.results_table)
    for entity in list(table.query_entities("blob_name eq 'b/copy.jpg' or blob_name eq 'other.jpg'")):
        for column in ("content_md5", "phash"):
            entity.pop(column)
        table.update_entity(entity, mode=UpdateMode.REPLACE)

    assert main(["query", "--duplicates", "--count"]) == 0
    out, err = capsys.readouterr()
    assert out == "0\n"
    assert "2 images were not compared" in err
    assert "backfill --force" in err
    assert main(["query", "--like", "fox.jpg", "--json"]) == 0
    assert "2 images were not compared" in capsys.readouterr().err
    assert main(["query", "--like", "missing.jpg"]) == 2
    assert capsys.readouterr().out == "", "an answer that cannot be given has no header"
