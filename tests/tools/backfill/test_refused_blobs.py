"""A backfill over single blobs that storage refuses, blobs in the archive tier, directory markers, and exclusions."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from PIL import Image

from storage.query.plan import Filter
from storage.query.query import Query
from tools.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.storage.pipeline.refusing import Refusals
    from tools.account import Account

pytest_plugins = ("tests.storage.pipeline.refusing",)


def photo() -> bytes:
    file = io.BytesIO()
    Image.effect_mandelbrot((64, 48), (-2, -1, 1, 1), 40).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def put(account: Account, *names: str, **options: Any) -> None:
    for name in names:
        blob = account.clients.blobs.get_blob_client(account.settings.incoming_container, name)
        blob.upload_blob(b"" if options else photo(), **options)


def archive(account: Account, name: str, tier: str = "Archive") -> None:
    account.clients.blobs.get_blob_client(account.settings.incoming_container, name).set_standard_blob_tier(tier)


def backfill(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["backfill", "--json", *options])
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def reasons(account: Account) -> dict[str, str | None]:
    query = Query(account.clients.tables, account.settings.results_table, Filter(account.settings.incoming_container))
    return {record.blob_name: record.reason or str(record.status) for record in query.records()}


def test_refused_and_archived_blobs_do_not_stop_the_others(
    account: Account, refusals: Refusals, capsys: pytest.CaptureFixture[str]
) -> None:
    put(account, "a/secret.jpg", "b/1.jpg", "b/2.jpg", "c/old.jpg")
    archive(account, "c/old.jpg")
    put(account, "b", metadata={"hdi_isfolder": "true"})
    refusals.concerns, refusals.status = lambda path: path.endswith("a/secret.jpg"), 403
    refusals.code = "AuthorizationPermissionMismatch"
    code, summary = backfill(capsys)
    assert code == 1
    assert (summary["listed"], summary["classified"], summary["failed"]) == (4, 2, 2)
    assert reasons(account) == {
        "a/secret.jpg": "unreadable",
        "b/1.jpg": "classified",
        "b/2.jpg": "classified",
        "c/old.jpg": "archived",
    }


def test_an_archived_blob_is_skipped_until_it_leaves_the_tier(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    put(account, "new.jpg", "old.jpg")
    archive(account, "old.jpg")
    assert backfill(capsys)[0] == 1
    code, summary = backfill(capsys)
    assert (code, summary["skipped"], summary["failed"], summary["failed_earlier"]) == (1, 2, 0, 1)
    archive(account, "old.jpg", "Hot")
    code, summary = backfill(capsys)
    assert (code, summary["classified"], summary["failed_earlier"]) == (0, 1, 0)
    assert reasons(account) == {"new.jpg": "classified", "old.jpg": "classified"}


def test_an_unreadable_blob_is_skipped_until_it_is_redriven_or_uploaded_again(
    account: Account, refusals: Refusals, capsys: pytest.CaptureFixture[str]
) -> None:
    put(account, "a/locked.jpg", "a/secret.jpg", "b/1.jpg")
    refusals.concerns, refusals.status = lambda path: "/a/" in path, 409
    refusals.code = "BlobUsesCustomerSpecifiedEncryption"
    assert backfill(capsys)[0] == 1
    refusals.count = 0
    code, summary = backfill(capsys)
    assert (code, summary["skipped"], summary["failed"], summary["failed_earlier"]) == (1, 3, 0, 2)
    assert refusals.count == 0, "storage was not asked again"
    assert main(["backfill"]) == 1
    assert "2 refused by storage: give the app access to them, then: python -m tools redrive --reason unreadable" in (
        " ".join(capsys.readouterr().out.split())
    )
    refusals.concerns = lambda path: path.endswith("secret.jpg")
    account.clients.blobs.get_blob_client(account.settings.incoming_container, "a/locked.jpg").upload_blob(
        photo(), overwrite=True
    )
    code, summary = backfill(capsys)
    assert (summary["classified"], summary["failed_earlier"]) == (1, 1)
    assert main(["redrive", "--reason", "unreadable", "--dry-run"]) == 0
    assert "a/secret.jpg" in capsys.readouterr().out
    refusals.concerns = lambda _path: False
    code, summary = backfill(capsys, "--force", "--prefix", "a/s")
    assert (code, summary["classified"], summary["failed_earlier"]) == (0, 1, 0)
    assert set(reasons(account).values()) == {"classified"}


def test_a_refusal_of_the_account_stops_at_once(
    account: Account, refusals: Refusals, capsys: pytest.CaptureFixture[str]
) -> None:
    put(account, *(f"{number}.jpg" for number in range(30)))
    refusals.concerns = lambda path: path.startswith(account.settings.incoming_container)
    refusals.status, refusals.code = 403, "AuthorizationPermissionMismatch"
    assert main(["backfill"]) == 2
    assert "AuthorizationPermissionMismatch" in capsys.readouterr().err
    assert reasons(account) == {}


def test_exclusions_are_left_out(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    put(account, "a/1.jpg", "a/thumbs/1.jpg", "b/note.txt")
    code, summary = backfill(capsys, "--exclude", "*/thumbs/*", "--exclude", "*.txt")
    assert (code, summary["listed"]) == (0, 1)
    assert reasons(account) == {"a/1.jpg": "classified"}


def test_a_download_goes_on_after_a_refused_blob(
    account: Account, refusals: Refusals, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    put(account, "1.jpg", "2.jpg", "3.jpg")
    assert backfill(capsys)[0] == 0
    refusals.concerns, refusals.status = lambda path: path.endswith("/1.jpg"), 409
    assert main(["query", "--download", str(tmp_path)]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.jpg", "3.jpg"]
    assert "1.jpg" in capsys.readouterr().err
