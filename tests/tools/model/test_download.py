"""Downloads over a failing connection: the file is complete and correct, or absent."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from inference.errors import ConfigurationError, TransientError
from tests.tools.model.flaky_server import Site, serving
from tools.model.download import download, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as running:
        running.files["/a.onnx"] = CONTENT
        running.etags["/a.onnx"] = '"one"'
        yield running


def fetch(site: Site, target: Path, sha256: str | None = SHA256) -> str:
    return download(f"{site.url}/a.onnx", target, sha256=sha256, sleep=lambda _: None)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_complete_download_leaves_no_other_file(site: Site, tmp_path: Path) -> None:
    progress: list[tuple[int, int | None]] = []
    target = tmp_path / "a"
    digest = download(f"{site.url}/a.onnx", target, on_progress=lambda *numbers: progress.append(numbers))
    assert (digest, target.read_bytes(), names_in(tmp_path)) == (SHA256, CONTENT, ["a"])
    assert progress[-1] == (len(CONTENT), len(CONTENT))


def test_a_broken_connection_is_continued(site: Site, tmp_path: Path) -> None:
    site.cuts = [4 * 65536, 2 * 65536]
    assert fetch(site, tmp_path / "a") == SHA256
    assert (tmp_path / "a").read_bytes() == CONTENT
    starts = [requested for _, requested, _ in site.requests]
    assert starts == [None, f"bytes={4 * 65536}-", f"bytes={6 * 65536}-"]
    assert site.requests[-1][2] == '"one"'


def test_received_bytes_are_kept_for_the_next_run(site: Site, tmp_path: Path) -> None:
    site.cuts = [400_000, *[0] * 20]
    with pytest.raises(TransientError, match="run the command again"):
        fetch(site, tmp_path / "a")
    assert names_in(tmp_path) == ["a.partial", "a.partial.json"]
    site.cuts, site.requests = [], []
    assert fetch(site, tmp_path / "a") == SHA256
    assert site.requests == [("/a.onnx", "bytes=393216-", '"one"')]


def test_a_file_that_changed_is_downloaded_from_the_start(site: Site, tmp_path: Path) -> None:
    site.cuts = [400_000, *[0] * 20]
    with pytest.raises(TransientError):
        fetch(site, tmp_path / "a", None)
    site.cuts = []
    site.files["/a.onnx"], site.etags["/a.onnx"] = CONTENT[::-1], '"two"'
    fetch(site, tmp_path / "a", None)
    assert (tmp_path / "a").read_bytes() == CONTENT[::-1]


def test_a_server_that_ignores_ranges_sends_the_whole_file(site: Site, tmp_path: Path) -> None:
    site.cuts, site.ignores_range = [300_000], True
    assert fetch(site, tmp_path / "a") == SHA256
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("etag", [None, 'W/"one"'], ids=["no ETag", "a weak ETag"])
def test_without_a_strong_validator_the_download_starts_again(site: Site, tmp_path: Path, etag: str | None) -> None:
    site.etags = {"/a.onnx": etag} if etag else {}
    site.cuts = [300_000]
    assert fetch(site, tmp_path / "a") == SHA256
    assert [requested for _, requested, _ in site.requests] == [None, None]


def test_a_partial_file_longer_than_the_file_is_deleted(site: Site, tmp_path: Path) -> None:
    site.cuts = [400_000, *[0] * 20]
    with pytest.raises(TransientError):
        fetch(site, tmp_path / "a")
    with (tmp_path / "a.partial").open("ab") as file:
        file.write(CONTENT)
    site.cuts = []
    assert fetch(site, tmp_path / "a") == SHA256


def test_a_damaged_partial_file_is_downloaded_again(site: Site, tmp_path: Path) -> None:
    site.cuts = [400_000, *[0] * 20]
    with pytest.raises(TransientError):
        fetch(site, tmp_path / "a")
    with (tmp_path / "a.partial").open("r+b") as file:
        file.write(b"\xff" * 100)
    site.cuts = []
    assert fetch(site, tmp_path / "a") == SHA256
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_another_sha256_is_refused_and_deleted(site: Site, tmp_path: Path) -> None:
    site.files["/a.onnx"] = b"something else"
    with pytest.raises(ConfigurationError, match="another file"):
        fetch(site, tmp_path / "a")
    assert names_in(tmp_path) == []


def test_a_file_that_exists_is_not_downloaded_again(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    assert fetch(site, tmp_path / "a") == SHA256
    assert site.requests == []


def test_a_failing_server_is_retried(site: Site, tmp_path: Path) -> None:
    site.statuses = [503, 429, 500]
    assert fetch(site, tmp_path / "a") == SHA256
    site.statuses = [503] * 20
    with pytest.raises(TransientError, match="503"):
        fetch(site, tmp_path / "b")
    assert len(site.requests) < 15


def test_a_refusal_is_not_retried(site: Site, tmp_path: Path) -> None:
    site.statuses = [403]
    with pytest.raises(ConfigurationError, match="403"):
        fetch(site, tmp_path / "a")
    assert (len(site.requests), names_in(tmp_path)) == (1, [])


def test_an_unknown_length_is_no_error(site: Site, tmp_path: Path) -> None:
    site.chunked = True
    assert fetch(site, tmp_path / "a") == SHA256


def test_a_refused_connection_is_a_transient_error(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="connection failed"):
        download("http://127.0.0.1:9/a", tmp_path / "a", sleep=lambda _: None)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/a", "https://", "a.onnx"])
def test_only_web_addresses_are_accepted(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a web address"):
        download(url, tmp_path / "a")


def test_a_signature_is_neither_printed_nor_stored(site: Site, tmp_path: Path) -> None:
    site.cuts = [1000, *[0] * 20]
    with pytest.raises(TransientError) as raised:
        download(f"{site.url}/a.onnx?sig=hunter2", tmp_path / "a", sleep=lambda _: None)
    assert "hunter2" not in str(raised.value) + (tmp_path / "a.partial.json").read_text()
    assert without_secrets("https://me:hunter2@host/a?sig=hunter2#hunter2") == "https://host/a"


def test_the_proxy_of_the_environment_is_used(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", site.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    site.files["http://models.example/a.onnx"] = CONTENT  # a proxy gets the whole URL
    assert download("http://models.example/a.onnx", tmp_path / "a") == SHA256
