"""``python -m tools backfill`` on Azurite, with the model that ships with the app."""

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

from inference.limits import Limits
from storage.http_session import PreparedRequestSession
from storage.models.hot_swap import HotSwapModel
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.messages import QUEUE, Request
from storage.pipeline.retries import give_up
from storage.results.record import Image, Status
from tests.inference.decoding.image_samples import encode
from tests.inference.model.model_folders import noise
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


def events(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def counts(summary: dict[str, Any]) -> dict[str, int]:
    names = ("listed", "skipped", "classified", "rejected", "failed", "enqueued")
    return {name: summary[name] for name in names if summary[name]}


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every request that could change something, of clients created after this."""
    sent_requests: list[str] = []
    send = PreparedRequestSession.request

    def recorded(self: PreparedRequestSession, method: str, url: str, **options: Any) -> requests.Response:
        if method not in {"GET", "HEAD"}:
            sent_requests.append(f"{method} {url}")
        return send(self, method, url, **options)

    monkeypatch.setattr(PreparedRequestSession, "request", recorded)
    return sent_requests


def test_existing_images_are_classified(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    upload_photos(account)
    assert main(["backfill", "--json"]) == 0
    *_, summary = events(capsys)
    assert summary["event"] == "summary"
    assert counts(summary) == {"listed": 3, "classified": 3}
    assert summary["seconds"] > 0
    assert summary["images_per_s"] > 0
    assert {name: status for name, (status, _) in rows(account).items()} == dict.fromkeys(PHOTOS, "classified")
    for name in PHOTOS:
        row, sidecar = (
            account.stores.results.read_row(image(account, name)),
            account.stores.results.read_sidecar(image(account, name)),
        )
        assert row is not None
        assert sidecar is not None
        assert row.record == sidecar.record


def test_a_second_run_writes_nothing(account: Account, capsys: pytest.CaptureFixture[str], writes: list[str]) -> None:
    upload_photos(account)
    main(["backfill", "--json"])
    before = rows(account)
    events(capsys)
    writes.clear()
    assert main(["backfill", "--json"]) == 0
    assert counts(events(capsys)[-1]) == {"listed": 3, "skipped": 3}
    assert writes == []
    assert rows(account) == before


def test_only_what_changed_is_classified_again(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    upload_photos(account)
    classify_blob(account.stores, FixedClassifier(), image(account, PHOTOS[0]))  # by another model
    main(["backfill", "--json"])
    before = rows(account)
    events(capsys)
    upload(account, **{PHOTOS[1]: photo(99)})
    assert main(["backfill", "--json"]) == 0
    assert counts(events(capsys)[-1]) == {"listed": 3, "skipped": 2, "classified": 1}
    after = rows(account)
    assert {name for name in PHOTOS if before[name] != after[name]} == {PHOTOS[1]}


def test_rejected_images_do_not_stop_the_run_and_decide_the_exit_code(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    upload_photos(account)
    upload(account, **{"site a/empty.jpg": b"", "site a/text\u202e.jpg": b"no image", "no.json": b"{}"})
    assert main(["backfill", "--json"]) == 1
    *problems, summary = events(capsys)
    assert counts(summary) == {"listed": 6, "classified": 3, "rejected": 3}
    rejected = [event for event in problems if event["event"] == "rejected"]
    assert {(event["image"], event["reason"]) for event in rejected} == {
        ("site a/empty.jpg", "empty"),
        ("site a/text\u202e.jpg", "not_an_image"),
        ("no.json", "not_an_image"),
    }
    assert main(["backfill", "--json"]) == 1, "rejected in an earlier run"
    assert counts(events(capsys)[-1]) == {"listed": 6, "skipped": 6}
    assert main(["backfill", "--prefix", "site b/", "--json"]) == 0, "not in this selection"
    events(capsys)

    assert main(["backfill"]) == 1
    output = capsys.readouterr()
    assert "6 listed, 6 skipped, 0 classified, 0 rejected, 0 failed" in output.out
    assert "rejected  site a/empty.jpg  empty: " in output.out
    assert "site a/text\\u202e.jpg" in output.out
    assert "3 rejected, 3 of them in earlier runs: python -m tools query --status rejected" in output.out


def cut_photo(seed: int = 1) -> bytes:
    """A JPEG that ends in the middle."""
    content = encode(noise(256, 192, seed), "JPEG", quality=90)
    return content[: len(content) // 2]


def test_damaged_pictures_are_rejected_or_classified_as_the_setting_says(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_photos(account)
    upload(account, **{"cut.jpg": cut_photo(), "blank.jpg": cut_photo()[:640]})
    assert main(["backfill", "--json"]) == 1
    summary = events(capsys)[-1]
    assert counts(summary) == {"listed": 5, "classified": 3, "rejected": 2}
    assert summary["damaged"] == 0

    monkeypatch.setenv("DAMAGED_IMAGES", "classify")
    assert main(["backfill", "--json"]) == 1, "an outcome stays until a person asks for another one"
    assert counts(events(capsys)[-1]) == {"listed": 5, "skipped": 5}
    assert main(["backfill", "--force", "--json"]) == 1, "nothing of blank.jpg can be decoded"
    summary = events(capsys)[-1]
    assert counts(summary) == {"listed": 5, "classified": 4, "rejected": 1}
    assert summary["damaged"] == 1
    row = account.stores.results.read_row(image(account, "cut.jpg"))
    sidecar = account.stores.results.read_sidecar(image(account, "cut.jpg"))
    assert row is not None
    assert sidecar is not None
    assert row.record is not None
    assert row.record == sidecar.record
    assert row.record.damaged
    assert row.record.decoded_fraction == pytest.approx(0.5, abs=0.2)

    assert main(["backfill", "--force", "--prefix", "cut"]) == 0
    assert "1 classified by a part of the picture: python -m tools query --damaged" in capsys.readouterr().out


def test_failed_images_are_classified_again(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    upload_photos(account)
    give_up(account.stores, image(account, PHOTOS[0]), "storage was away")
    assert main(["backfill", "--json"]) == 0
    assert counts(events(capsys)[-1]) == {"listed": 3, "classified": 3}


def test_force_classifies_again_and_continues_from_its_time(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    upload_photos(account)
    main(["backfill", "--json"])
    between = datetime.now(UTC)
    events(capsys)
    assert main(["backfill", "--json", "--force", "--limit", "1"]) == 0
    assert counts(events(capsys)[-1]) == {"listed": 1, "classified": 1}
    assert main(["backfill", "--json", "--force", between.isoformat()]) == 0
    assert counts(events(capsys)[-1]) == {"listed": 3, "skipped": 1, "classified": 2}
    assert all(at >= between for _, at in rows(account).values())


def test_a_dry_run_lists_images_and_reasons_and_writes_nothing(
    account: Account, capsys: pytest.CaptureFixture[str], writes: list[str]
) -> None:
    upload_photos(account)
    classify_blob(account.stores, FixedClassifier(), image(account, PHOTOS[1]))
    writes.clear()
    for more in ([], ["--enqueue"]):
        assert main(["backfill", "--dry-run", "--json", *more]) == 0
        *images, summary = events(capsys)
        assert [(event["image"], event["why"]) for event in images] == [
            (PHOTOS[0], "new"),
            (PHOTOS[1], "model"),
            (PHOTOS[2], "new"),
        ]
        assert counts(summary) == {"listed": 3}
        assert summary["to_do"] == {"new": 2, "model": 1}
    assert main(["backfill", "--dry-run", "--glob", "*/3.png"]) == 0
    assert capsys.readouterr().out.startswith("new      site b/3.png\n1 listed, 0 skipped, 1 to do; ")
    assert writes == []


def test_an_empty_selection_is_no_error(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    container = account.settings.incoming_container
    assert main(["backfill"]) == 0
    assert f"contains no image of the container {container}." in capsys.readouterr().out
    account.clients.blobs.delete_container(container)
    assert main(["backfill"]) == 0
    printed = capsys.readouterr()
    assert "contains no image" not in printed.out
    assert printed.err.splitlines()[-1].startswith(f"The container {container} does not exist: ")


# --- by the app ------------------------------------------------------------------------------------------------------


def sent(account: Account) -> list[Request]:
    """The requests for this test's container, which are removed from the queue."""
    queue = account.clients.queues.get_queue_client(QUEUE)
    requests = []
    for message in queue.receive_messages(visibility_timeout=1):
        request = Request.from_body(b64decode(message.content))
        if request.container == account.settings.incoming_container:
            requests.append(request)
            queue.delete_message(message)
    return requests


def test_enqueue_sends_requests_of_bounded_size(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{number:03}.png" for number in range(70)]
    upload(account, **dict.fromkeys(names, b"x"))
    classify_blob(account.stores, FixedClassifier(), image(account, names[0]))
    assert main(["backfill", "--enqueue", "--json", "--limit", "69"]) == 0
    assert counts(events(capsys)[-1]) == {"listed": 69, "enqueued": 69}
    requests = sent(account)
    assert sorted(len(request.blobs) for request in requests) == [5, 32, 32]
    assert sorted(name for request in requests for name in request.blobs) == names[:69]
    assert {request.redo_before for request in requests} == {None}
    assert rows(account).keys() == {names[0]}, "the command itself classifies none"

    began = datetime.now(UTC)
    assert main(["backfill", "--enqueue", "--force", "--json", "--prefix", "000"]) == 0
    events(capsys)
    (request,) = sent(account)
    assert request.redo_before is not None
    assert timedelta() <= request.redo_before - began < timedelta(seconds=30)


class App:
    """Serves this test's requests, as the app would."""

    def __init__(self, account: Account, serve: Callable[[Image], object]) -> None:
        self._account = account
        self._serve = serve
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(0.1):
            try:
                requests = sent(self._account)
            except Exception:  # noqa: BLE001 - the queue is yet to be made
                continue
            for request in requests:
                for each in request.images:
                    self._serve(each)


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.backfill.queue._FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr("tools.backfill.queue._LAST_PAUSE_SECONDS", 0.2)


@pytest.mark.usefixtures("short_pauses")
def test_watch_waits_until_the_app_has_finished(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from inference import classifier

    upload_photos(account)
    upload(account, **{"text.jpg": b"no image", "lost.jpg": b"x", "old cut.jpg": cut_photo(1), "cut.jpg": cut_photo(2)})
    model = classifier.load(account.settings.model_dirs[0], limits=Limits(accept_damaged=True))
    classify_blob(account.stores, model, image(account, "old cut.jpg"))

    def serve(each: Image) -> None:
        if each.blob_name == "lost.jpg":
            give_up(account.stores, each, "The world was away.")
        else:
            classify_blob(account.stores, model, each)

    with App(account, serve):
        assert main(["backfill", "--enqueue", "--watch", "--json"]) == 1
    output = capsys.readouterr()
    summary = json.loads(output.out.splitlines()[-1])
    expected = {"listed": 7, "skipped": 1, "classified": 4, "rejected": 1, "failed": 1, "enqueued": 6}
    assert counts(summary) == expected
    assert summary["damaged"] == 1
    assert "6 of 6 done, 1 rejected, 1 failed, 0 waiting" in output.err


@pytest.mark.usefixtures("short_pauses")
def test_watch_ends_if_the_app_does_not_work_on_the_rest(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app with another model gives results, but none that count here."""
    upload_photos(account)
    # Other tests use the queue, too.
    monkeypatch.setattr("storage.pipeline.queue.RequestQueue.approximate_message_count", lambda _self: 0)
    serve = partial(classify_blob, account.stores, FixedClassifier())
    with App(account, serve):
        assert main(["backfill", "--enqueue", "--watch"]) == 1
    error = capsys.readouterr().err
    assert "3 images have no result. Check that the app runs." in error
    assert "The app classified some with shapes 0123456789ab, but the settings here name shapes" in error


# --- misuse -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--watch"], "--watch needs --enqueue"),
        (["--enqueue", "--watch", "--limit", "3"], "neither --dry-run nor --limit"),
        (["--limit", "0"], "not a number of images"),
        (["--since", "yesterday"], "not a time"),
        (["--force", "soon"], "not a time"),
    ],
)
def test_misuse_is_reported_in_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: Any = main(["backfill", *arguments])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert sentence in capsys.readouterr().err


def test_a_model_that_is_refused_ends_the_command_at_its_start(
    account: Account,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    writes: list[str],
) -> None:
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    assert main(["backfill", "--json"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert "model" in output.err
    assert "Traceback" not in output.err
    assert writes == []


def test_a_wrong_key_is_reported_in_one_sentence(
    account: Account, azurite: Azurite, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = azurite.connection_string.partition("AccountKey=")[2].partition(";")[0]
    monkeypatch.setenv("ImageStorage", azurite.connection_string.replace(key, f"AAAA{key[4:]}"))
    assert main(["backfill", "--json"]) == 2
    output = capsys.readouterr()
    assert "was refused by storage (403" in output.err
    assert json.loads(output.out.splitlines()[-1])["complete"] is False


# --- interrupted ------------------------------------------------------------------------------------------------------


def test_after_an_interrupt_and_a_kill_every_image_is_classified_once(account: Account) -> None:
    upload(account, **{f"camera {number % 8}/{number:04}.png": photo(number) for number in range(240)})
    begin = partial(
        subprocess.Popen,
        [sys.executable, "-m", "tools", "backfill", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    run = begin()
    until(lambda: len(rows(account)) > 20, "rows")
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=DEADLINE_SECONDS)
    interrupted = rows(account)
    summary = json.loads(out.splitlines()[-1])
    assert run.returncode == 130
    assert summary["complete"] is False
    assert summary["classified"] == len(interrupted) < 240, "images in progress are finished, and no more begun"
    assert err.endswith("To continue, run the same command again: no image is classified twice.\n")

    run = begin()
    until(lambda: len(rows(account)) > len(interrupted) + 20, "more rows")
    run.kill()
    run.communicate(timeout=DEADLINE_SECONDS)
    killed = rows(account)

    run = begin()
    out, _ = run.communicate(timeout=DEADLINE_SECONDS)
    assert run.returncode == 0
    assert counts(json.loads(out.splitlines()[-1])) == {
        "listed": 240,
        "skipped": len(killed),
        "classified": 240 - len(killed),
    }
    final = rows(account)
    assert len(final) == 240
    assert {name: final[name] for name in killed} == killed
    assert {name: final[name] for name in interrupted} == interrupted
    assert {status for status, _ in final.values()} == {Status.CLASSIFIED}
    index = [row for page in account.stores.results.index_reader().pages() for row in page]
    assert len(index) == 480
    assert sum(len(page) for page in account.stores.results.sidecar_pages()) == 240


def test_another_model_published_during_the_run_is_reported(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its results are kept, so the selection is not all classified by the model that is current now."""
    upload_photos(account)
    monkeypatch.setattr(HotSwapModel, "is_current", lambda _self, _version: False)
    assert main(["backfill"]) == 1
    assert "Another version of the model was published" in capsys.readouterr().err
    monkeypatch.setattr(HotSwapModel, "is_current", lambda _self, _version: None)
    assert main(["backfill"]) == 0
