"""What tests of reviews share: an account with rows, imports into it, and a browser with a page without answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.programs import needed
from tests.storage.samples import record, write_results
from tests.tools.report.browser import browsing
from tests.tools.review.pages import photos, write_page
from tools.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.tools.report.browser import Page
    from tools.account import Account


class Importing:
    """Imports of one test, with the numbers that each printed."""

    def __init__(self, account: Account, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.account, self._folder, self._capsys = account, folder, capsys
        self.container = account.settings.incoming_container
        self.err = ""

    def rows(self, *names: str, **changes: Any) -> None:
        write_results(
            self.account.stores.results, *(record(name, container=self.container, **changes) for name in names)
        )

    def file(self, *reviews: Any, **changes: Any) -> Path:
        """Write a file of corrections."""
        document = {"version": 1, "container": self.container, "sample": "random", "reviews": list(reviews), **changes}
        return self.file_of(json.dumps(document).encode())

    def file_of(self, content: bytes) -> Path:
        path = self._folder / "corrections.json"
        path.write_bytes(content)
        return path

    def run(self, *reviews: Any, by: str = "Ana", code: int = 0, **changes: Any) -> dict[str, Any]:
        """Import reviews, and return the numbers that are not 0."""
        return self.run_file(self.file(*reviews, **changes), by=by, code=code)

    def run_file(self, path: Path, *options: str, by: str = "Ana", code: int = 0) -> dict[str, Any]:
        assert main(["review", "import", str(path), "--by", by, "--json", *options]) == code
        out, self.err = self._capsys.readouterr()
        summary = json.loads(out.splitlines()[-1]) if out else {}
        return {name: value for name, value in summary.items() if value and name != "event"}

    def queried(self, *options: str) -> list[dict[str, Any]]:
        """The answer of ``query --json``."""
        self._capsys.readouterr()
        assert main(["query", "--json", *options]) == 0
        return [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]

    def stored(self) -> list[dict[str, Any]]:
        table = self.account.clients.tables.get_table_client(self.account.settings.reviews_table)
        return [dict(entity) for entity in table.list_entities()]


@pytest.fixture
def importing(empty_account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Importing:
    return Importing(empty_account, tmp_path, capsys)


def review(name: str = "cat.jpg", reviewed: str | None = "cat", **changes: Any) -> dict[str, Any]:
    """One review of a file: of the content that ``samples.record`` is of."""
    at = "2026-11-20T12:00:00.250Z"
    return {"blob_name": name, "etag": "0x8DE1", "label": "cat", "reviewed_label": reviewed, "at": at, **changes}


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browsing(needed("chromium"), tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser: Page, tmp_path: Path) -> Page:
    """Twelve photos without answers."""
    path = write_page(tmp_path / "review.html", photos(12))
    browser.messages.clear()
    browser.requests.clear()
    browser.open(path)
    browser.value("localStorage.clear()")
    browser.open(path)
    return browser
