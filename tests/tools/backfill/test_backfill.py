"""``python -m tools backfill`` as a person runs it, on Azurite, with the model that comes with the app."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image as Picture

from storage.http_session import PreparedRequestSession
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.messages import QUEUE, Request
from storage.pipeline.retries import give_up
from storage.results.record import Image, Status
from tests.storage.samples import FixedClassifier
from tests.waiting import DEADLINE_SECONDS, until
from tools.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import requests

    from tools.account import Account
    from tools.azurite.azurite import Azurite

PHOTOS = ("site a/1.png", "site a/2.png", "site b/3.png")
Lines = list[dict[str, Any]]


def photo(shade: int = 0) -> bytes:
    picture = io.BytesIO()
    Picture.new("RGB", (32, 32), (shade % 256, 128, 64)).save(picture, "PNG")
    return picture.getvalue()


def upload(account: Account, **contents: bytes) -> None:
    container = account.clients.blobs.get_container_client(account.settings.incoming_container)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda item: container.upload_blob(item[0], item[1], overwrite=True), contents.items()))


def upload_photos(account: Account) -> None:
    upload(account, **{name: photo(number) for number, name in enumerate(PHOTOS)})


def image(account: Account, name: str) -> Image:
    return Image(account.settings.incoming_container, name)


def rows(account: Account) -> dict[str, tuple[str, datetime]]:
    """Status and time of every row, by blob name."""
    found = account.stores.results.row_reader().pages()
    return {row["blob_name"]: (row["status"], row["classified_at"]) for page in found for row in page}


def told(capsys: pytest.CaptureFixture[str]) -> Lines:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def counts(summary: dict[str, Any]) -> dict[str, int]:
    names = ("listed", "skipped", "classified", "rejected", "failed", "enqueued")
    return {name: summary[name] for name in names if summary[name]}


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every request of clients made after this that is more than a question."""
    seen: list[str] = []
    send = PreparedRequestSession.request

    def watched(self: PreparedRequestSession, method: str, url: str, **options: Any) -> requests.Response:
        if method not in {"GET", "HEAD"}:
            seen.append(f"{method} {url}")
        return send(self, method, url, **options)

    monkeypatch.setattr(PreparedRequestSession, "request", watched)
    return seen


def test_what_was_there_before_the_app_came_is_classified(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    upload_photos(account)
    assert main(["backfill", "--json"]) == 0
    *_, summary = told(capsys)
    assert summary["event"] == "summary"
    assert counts(summary) == {"listed": 3, "classified": 3}
    assert summary["seconds"] > 0
    assert summary["images_per_s"] > 0
    assert {name: status for name, (status, _) in rows(account).items()} == dict.fromkeys(PHOTOS, "classified")
    for name in PHOTOS:
        row, beside = (
            account.stores.results.read_row(image(account, name)),
            account.stores.results.read_sidecar(image(account, name)),
        )
        assert row is not None
        assert beside is not None
        assert row.record == beside.record


def test_a_second_run_finds_nothing_to_do_and_writes_nothing(
    account: Account, capsys: pytest.CaptureFixture[str], writes: list[str]
) -> None:
    upload_photos(account)
    main(["backfill", "--json"])
    before = rows(account)
    told(capsys)
    writes.clear()
    assert main(["backfill", "--json"]) == 0
    assert counts(told(capsys)[-1]) == {"listed": 3, "skipped": 3}
    assert writes == []
    assert rows(account) == before


def test_only_what_changed_is_classified_again(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    upload_photos(account)
    classify_blob(account.stores, FixedClassifier(), image(account, PHOTOS[0]))  # by another model
    main(["backfill", "--json"])
    before = rows(account)
    told(capsys)
    upload(account, **{PHOTOS[1]: photo(99)})
    assert main(["backfill", "--json"]) == 0
    assert counts(told(capsys)[-1]) == {"listed": 3, "skipped": 2, "classified": 1}
    after = rows(account)
    assert {name for name in PHOTOS if before[name] != after[name]} == {PHOTOS[1]}


def test_bad_images_do_not_stop_the_run_and_are_remembered_by_the_exit_code(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    upload_photos(account)
    upload(account, **{"site a/empty.jpg": b"", "site a/text\u202e.jpg": b"no image", "no.json": b"{}"})
    assert main(["backfill", "--json"]) == 1
    *events, summary = told(capsys)
    assert counts(summary) == {"listed": 6, "classified": 3, "rejected": 3}
    rejected = [event for event in events if event["event"] == "rejected"]
    assert {(event["image"], event["reason"]) for event in rejected} == {
        ("site a/empty.jpg", "empty"),
        ("site a/text\u202e.jpg", "not_an_image"),
        ("no.json", "not_an_image"),
    }
    assert main(["backfill", "--json"]) == 1, "rejected in an earlier run"
    assert counts(told(capsys)[-1]) == {"listed": 6, "skipped": 6}
    assert main(["backfill", "--prefix", "site b/", "--json"]) == 0, "not in this selection"
    told(capsys)

    assert main(["backfill"]) == 1
    said = capsys.readouterr()
    assert "6 listed, 6 skipped, 0 classified, 0 rejected, 0 failed" in said.out
    assert "rejected  site a/empty.jpg  empty: " in said.out
    assert "site a/text\\u202e.jpg" in said.out
    assert "3 rejected, 3 of them in earlier runs: python -m tools query --status rejected" in said.out


def test_given_up_images_get_another_try(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    upload_photos(account)
    give_up(account.stores, image(account, PHOTOS[0]), "storage was away")
    assert main(["backfill", "--json"]) == 0
    assert counts(told(capsys)[-1]) == {"listed": 3, "classified": 3}


def test_force_judges_anew_and_goes_on_where_it_was_told_it_had_been(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    upload_photos(account)
    main(["backfill", "--json"])
    between = datetime.now(UTC)
    told(capsys)
    assert main(["backfill", "--json", "--force", "--limit", "1"]) == 0
    assert counts(told(capsys)[-1]) == {"listed": 1, "classified": 1}
    assert main(["backfill", "--json", "--force", between.isoformat()]) == 0
    assert counts(told(capsys)[-1]) == {"listed": 3, "skipped": 1, "classified": 2}
    assert all(at >= between for _, at in rows(account).values())


def test_a_dry_run_says_what_and_why_and_changes_nothing(
    account: Account, capsys: pytest.CaptureFixture[str], writes: list[str]
) -> None:
    upload_photos(account)
    classify_blob(account.stores, FixedClassifier(), image(account, PHOTOS[1]))
    writes.clear()
    for more in ([], ["--enqueue"]):
        assert main(["backfill", "--dry-run", "--json", *more]) == 0
        *events, summary = told(capsys)
        assert [(event["image"], event["why"]) for event in events] == [
            (PHOTOS[0], "new"),
            (PHOTOS[1], "model"),
            (PHOTOS[2], "new"),
        ]
        assert counts(summary) == {"listed": 3}
        assert summary["to_do"] == {"new": 2, "model": 1}
    assert main(["backfill", "--dry-run", "--glob", "*/3.png"]) == 0
    assert capsys.readouterr().out.startswith("new      site b/3.png\n1 listed, 0 skipped, 1 to do; ")
    assert writes == []


def test_an_empty_selection_is_said_and_no_error(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    account.clients.blobs.delete_container(account.settings.incoming_container)
    assert main(["backfill"]) == 0
    assert f"No image of the container {account.settings.incoming_container} is in the sel" in capsys.readouterr().out


# --- by the app ------------------------------------------------------------------------------------------------------


def sent(account: Account) -> list[Request]:
    """What is on the queue for this test's container; it is taken off."""
    queue = account.clients.queues.get_queue_client(QUEUE)
    taken = []
    for message in queue.receive_messages(visibility_timeout=1):
        request = Request.from_json(b64decode(message.content))
        if request.container == account.settings.incoming_container:
            taken.append(request)
            queue.delete_message(message)
    return taken


def test_requests_of_bounded_size_go_to_the_app(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{number:03}.png" for number in range(70)]
    upload(account, **dict.fromkeys(names, b"x"))
    classify_blob(account.stores, FixedClassifier(), image(account, names[0]))
    assert main(["backfill", "--enqueue", "--json", "--limit", "69"]) == 0
    assert counts(told(capsys)[-1]) == {"listed": 69, "enqueued": 69}
    taken = sent(account)
    assert sorted(len(request.blobs) for request in taken) == [5, 32, 32]
    assert sorted(name for request in taken for name in request.blobs) == names[:69]
    assert {request.redo_before for request in taken} == {None}
    assert rows(account).keys() == {names[0]}, "nothing is done here"

    began = datetime.now(UTC)
    assert main(["backfill", "--enqueue", "--force", "--json", "--prefix", "000"]) == 0
    told(capsys)
    (request,) = sent(account)
    assert request.redo_before is not None
    assert timedelta() <= request.redo_before - began < timedelta(seconds=30)


class App:
    """Serves this test's requests, as the app would."""

    def __init__(self, account: Account, serve: Callable[[Image], object]) -> None:
        self._wiring = account
        self._serve = serve
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.1):
            try:
                requests = sent(self._wiring)
            except Exception:  # noqa: BLE001 - the queue is yet to be made
                continue
            for request in requests:
                for each in request.images:
                    self._serve(each)


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.backfill.queue._FIRST_LOOK_SECONDS", 0.05)
    monkeypatch.setattr("tools.backfill.queue._LAST_LOOK_SECONDS", 0.2)


@pytest.mark.usefixtures("quick_looks")
def test_watching_follows_the_app_to_the_end(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from inference import classifier

    upload_photos(account)
    upload(account, **{"text.jpg": b"no image", "lost.jpg": b"x"})
    model = classifier.load(account.settings.model_dirs[0])

    def serve(each: Image) -> None:
        if each.blob_name == "lost.jpg":
            give_up(account.stores, each, "The world was away.")
        else:
            classify_blob(account.stores, model, each)

    with App(account, serve):
        assert main(["backfill", "--enqueue", "--watch", "--json"]) == 1
    said = capsys.readouterr()
    summary = json.loads(said.out.splitlines()[-1])
    assert counts(summary) == {"listed": 5, "classified": 3, "rejected": 1, "failed": 1, "enqueued": 5}
    assert "5 of 5 settled, 1 rejected, 1 failed, 0 to come" in said.err


@pytest.mark.usefixtures("quick_looks")
def test_watching_ends_when_nobody_is_at_work(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app with another model answers, but never as it is wanted here; and no app does not answer at all."""
    upload_photos(account)
    monkeypatch.setattr(
        "storage.pipeline.queue.RequestQueue.approximate_message_count", lambda _self: 0
    )  # other tests use the queue too
    serve = partial(classify_blob, account.stores, FixedClassifier())
    with App(account, serve):
        assert main(["backfill", "--enqueue", "--watch"]) == 1
    said = capsys.readouterr().err
    assert "3 images are still without a result: does the app run?" in said
    assert "Some were judged by shapes 0123456789ab, and the settings here name shapes" in said


# --- wrong from the start --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--watch"], "--watch follows what --enqueue sends"),
        (["--enqueue", "--watch", "--limit", "3"], "neither --dry-run nor --limit"),
        (["--limit", "0"], "no number of images"),
        (["--since", "yesterday"], "not a time"),
        (["--force", "soon"], "not a time"),
    ],
)
def test_misuse_is_a_sentence(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: Any = main(["backfill", *arguments])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert sentence in capsys.readouterr().err


def test_a_model_that_cannot_be_used_ends_the_run_before_it_begins(
    account: Account,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    writes: list[str],
) -> None:
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    assert main(["backfill", "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "model" in said.err
    assert "Traceback" not in said.err
    assert writes == []


def test_a_key_that_is_wrong_is_a_sentence(
    account: Account, azurite: Azurite, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = azurite.connection_string.partition("AccountKey=")[2].partition(";")[0]
    monkeypatch.setenv("ImageStorage", azurite.connection_string.replace(key, "d3Jvbmc="))
    assert main(["backfill", "--json"]) == 2
    said = capsys.readouterr()
    assert "was refused by storage (403" in said.err
    assert json.loads(said.out.splitlines()[-1])["complete"] is False


# --- ended on the way ------------------------------------------------------------------------------------------------


def test_interrupted_and_killed_and_run_again_nothing_is_done_twice_and_nothing_is_missing(account: Account) -> None:
    upload(account, **{f"camera {number % 8}/{number:04}.png": photo(number) for number in range(600)})
    begin = partial(
        subprocess.Popen,
        [sys.executable, "-m", "tools", "backfill", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    run = begin()
    until(lambda: len(rows(account)) > 50, "rows")
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=DEADLINE_SECONDS)
    interrupted = rows(account)
    summary = json.loads(out.splitlines()[-1])
    assert run.returncode == 130
    assert summary["complete"] is False
    assert summary["classified"] == len(interrupted) < 600, "what is in flight is finished, and no more begun"
    assert err.endswith("To go on, run the same command again: nothing is done twice.\n")

    run = begin()
    until(lambda: len(rows(account)) > len(interrupted) + 50, "more rows")
    run.kill()
    run.communicate(timeout=DEADLINE_SECONDS)
    killed = rows(account)

    run = begin()
    out, _ = run.communicate(timeout=DEADLINE_SECONDS)
    assert run.returncode == 0
    assert counts(json.loads(out.splitlines()[-1])) == {
        "listed": 600,
        "skipped": len(killed),
        "classified": 600 - len(killed),
    }
    final = rows(account)
    assert len(final) == 600
    assert {name: final[name] for name in killed} == killed
    assert {name: final[name] for name in interrupted} == interrupted
    assert {status for status, _ in final.values()} == {Status.CLASSIFIED}
    index = [row for page in account.stores.results.index_reader().pages() for row in page]
    assert len(index) == 1200
    assert sum(len(page) for page in account.stores.results.sidecar_pages()) == 600
