"""``python -m tools review import`` on Azurite: whose review counts, what a second import changes, hostile files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.storage.samples import AWKWARD_NAMES, record, write_results
from tools.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

    from tools.account import Account

ETAG = "0x8DE1"
AT = "2026-11-20T12:00:00.250Z"


@pytest.fixture
def account(empty_account: Account) -> Account:
    return empty_account


class Importing:
    """Runs imports of one test."""

    def __init__(self, account: Account, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.account, self._folder, self._capsys = account, folder, capsys
        self.container = account.settings.incoming_container
        self.err = ""

    def rows(self, *names: str, **changes: Any) -> None:
        write_results(
            self.account.stores.results, *(record(name, container=self.container, **changes) for name in names)
        )

    def run(self, *reviews: Any, by: str = "Ana", code: int = 0, **changes: Any) -> dict[str, Any]:
        """Import reviews, and return the numbers that are not 0."""
        document = {"version": 1, "container": self.container, "sample": "random", "reviews": list(reviews), **changes}
        return self.run_file(json.dumps(document).encode(), by=by, code=code)

    def run_file(self, content: bytes, *, by: str = "Ana", code: int = 0) -> dict[str, Any]:
        path = self._folder / "corrections.json"
        path.write_bytes(content)
        assert main(["review", "import", str(path), "--by", by, "--json"]) == code
        out, self.err = self._capsys.readouterr()
        summary = json.loads(out.splitlines()[-1]) if out else {}
        return {name: value for name, value in summary.items() if value and name != "event"}

    def stored(self) -> list[dict[str, Any]]:
        table = self.account.clients.tables.get_table_client(self.account.settings.reviews_table)
        return [dict(entity) for entity in table.list_entities()]


@pytest.fixture
def importing(account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Importing:
    return Importing(account, tmp_path, capsys)


def review(name: str = "cat.jpg", reviewed: str | None = "cat", **changes: Any) -> dict[str, Any]:
    return {"blob_name": name, "etag": ETAG, "label": "cat", "reviewed_label": reviewed, "at": AT, **changes}


def test_a_review_is_stored_with_what_the_reviewer_saw(importing: Importing) -> None:
    importing.rows("cat.jpg")
    assert importing.run(review(reviewed="dog")) == {"reviews": 1, "added": 1}
    (entity,) = importing.stored()
    assert {name: value for name, value in entity.items() if name not in {"PartitionKey", "RowKey", "reviewed_at"}} == {
        "container": importing.container,
        "blob_name": "cat.jpg",
        "etag": ETAG,
        "reviewed_label": "dog",
        "reviewed_by": "Ana",
        "label": "cat",
        "score": 0.875,
        "model": "shapes",
        "model_version": "0123456789ab",
        "sample": "random",
    }
    assert entity["reviewed_at"].isoformat() == "2026-11-20T12:00:00.250000+00:00"


@pytest.mark.parametrize("again", ["same file", "names in another order"])
def test_a_second_import_changes_nothing(importing: Importing, again: str) -> None:
    importing.rows(*AWKWARD_NAMES.values())
    reviews = [review(name) for name in AWKWARD_NAMES.values()]
    assert importing.run(*reviews) == {"reviews": len(reviews), "added": len(reviews)}
    before = importing.stored()
    ordered = reviews if again == "same file" else reviews[::-1]
    assert importing.run(*ordered) == {"reviews": len(reviews), "unchanged": len(reviews)}
    assert importing.stored() == before
    assert {entity["blob_name"] for entity in before} == set(AWKWARD_NAMES.values())
