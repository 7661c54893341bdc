"""Downloads over a bad line: whole and right, or not there at all."""

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
    with serving() as made:
        made.files["/a.onnx"] = CONTENT
        made.etags["/a.onnx"] = '"one"'
        yield made


def fetch(site: Site, target: Path, sha256: str | None = SHA256) -> str:
    return download(f"{site.url}/a.onnx", target, sha256=sha256, sleep=lambda _: None)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_and_leaves_nothing_beside_it(site: Site, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    target = tmp_path / "a"
    digest = download(f"{site.url}/a.onnx", target, tell=lambda *progress: told.append(progress))
    assert (digest, target.read_bytes(), left(tmp_path)) == (SHA256, CONTENT, ["a"])
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_a_broken_connection_is_gone_on_from(site: Site, tmp_path: Path) -> None:
    site.cuts = [4 * 65536, 2 * 65536]
    assert fetch(site, tmp_path / "a") == SHA256
    assert (tmp_path / "a").read_bytes() == CONTENT
    starts = [wanted for _, wanted, _ in site.asked]
    assert starts == [None, f"bytes={4 * 65536}-", f"bytes={6 * 65536}-"]
    assert site.asked[-1][2] == '"one"'


def test_what_came_before_the_program_died_is_kept_for_the_next_run(site: Site, tmp_path: Path) -> None:
    site.cuts = [400_000, *[0] * 20]
    with pytest.raises(TransientError, match="run the command again"):
        fetch(site, tmp_path / "a")
    assert left(tmp_path) == ["a.partial", "a.partial.json"]
    site.cuts, site.asked = [], []
    assert fetch(site, tmp_path / "a") == SHA256
    assert site.asked == [("/a.onnx", "bytes=393216-", '"one"')]


def test_a_file_that_changed_meanwhile_is_begun_anew(site: Site, tmp_path: Path) -> None:
    site.cuts = [400_000, *[0] * 20]
    with pytest.raises(TransientError):
        fetch(site, tmp_path / "a", None)
    site.cuts = []
    site.files["/a.onnx"], site.etags["/a.onnx"] = CONTENT[::-1], '"two"'
    fetch(site, tmp_path / "a", None)
    assert (tmp_path / "a").read_bytes() == CONTENT[::-1]


def test_a_server_that_ignores_ranges_is_read_from_the_start(site: Site, tmp_path: Path) -> None:
    site.cuts, site.ignores_range = [300_000], True
    assert fetch(site, tmp_path / "a") == SHA256
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_without_a_validator_nothing_is_glued_together(site: Site, tmp_path: Path) -> None:
    site.etags.clear()
    site.cuts = [300_000]
    assert fetch(site, tmp_path / "a") == SHA256
    assert [wanted for _, wanted, _ in site.asked] == [None, None]


def test_a_weak_etag_is_no_validator(site: Site, tmp_path: Path) -> None:
    site.etags["/a.onnx"] = 'W/"one"'
    site.cuts = [300_000]
    assert fetch(site, tmp_path / "a") == SHA256
    assert [wanted for _, wanted, _ in site.asked] == [None, None]


def test_a_partial_file_longer_than_the_whole_is_thrown_away(site: Site, tmp_path: Path) -> None:
    site.cuts = [400_000, *[0] * 20]
    with pytest.raises(TransientError):
        fetch(site, tmp_path / "a")
    with (tmp_path / "a.partial").open("ab") as file:
        file.write(CONTENT)
    site.cuts = []
    assert fetch(site, tmp_path / "a") == SHA256


def test_a_partial_file_that_was_damaged_is_fetched_once_more(site: Site, tmp_path: Path) -> None:
    site.cuts = [400_000, *[0] * 20]
    with pytest.raises(TransientError):
        fetch(site, tmp_path / "a")
    with (tmp_path / "a.partial").open("r+b") as file:
        file.write(b"\xff" * 100)
    site.cuts = []
    assert fetch(site, tmp_path / "a") == SHA256
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_another_file_is_refused_and_not_kept(site: Site, tmp_path: Path) -> None:
    site.files["/a.onnx"] = b"something else"
    with pytest.raises(ConfigurationError, match="another file"):
        fetch(site, tmp_path / "a")
    assert left(tmp_path) == []


def test_what_is_there_already_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    assert fetch(site, tmp_path / "a") == SHA256
    assert site.asked == []


def test_a_server_out_of_order_is_asked_again(site: Site, tmp_path: Path) -> None:
    site.statuses = [503, 429, 500]
    assert fetch(site, tmp_path / "a") == SHA256
    site.statuses = [503] * 20
    with pytest.raises(TransientError, match="503"):
        fetch(site, tmp_path / "b")
    assert len(site.asked) < 15


def test_a_refusal_is_not_asked_again(site: Site, tmp_path: Path) -> None:
    site.statuses = [403]
    with pytest.raises(ConfigurationError, match="403"):
        fetch(site, tmp_path / "a")
    assert (len(site.asked), left(tmp_path)) == (1, [])


def test_a_length_nobody_tells_is_no_error(site: Site, tmp_path: Path) -> None:
    site.chunked = True
    assert fetch(site, tmp_path / "a") == SHA256


def test_nobody_at_the_address_is_the_worlds_fault(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="connection failed"):
        download("http://127.0.0.1:9/a", tmp_path / "a", sleep=lambda _: None)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/a", "https://", "a.onnx"])
def test_only_the_web_is_read(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no web address"):
        download(url, tmp_path / "a")


def test_a_signature_is_neither_shown_nor_kept(site: Site, tmp_path: Path) -> None:
    site.cuts = [1000, *[0] * 20]
    with pytest.raises(TransientError) as raised:
        download(f"{site.url}/a.onnx?sig=hunter2", tmp_path / "a", sleep=lambda _: None)
    assert "hunter2" not in str(raised.value) + (tmp_path / "a.partial.json").read_text()
    assert without_secrets("https://me:hunter2@host/a?sig=hunter2#hunter2") == "https://host/a"


def test_the_proxy_of_the_environment_is_used(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", site.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    site.files["http://models.example/a.onnx"] = CONTENT  # a proxy is asked for the whole URL
    assert download("http://models.example/a.onnx", tmp_path / "a") == SHA256
