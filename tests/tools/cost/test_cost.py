"""Billing rules as in Microsoft's own examples, the estimate, the measurement, and the numbers of the document."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import classifier
from storage.blobs import SourceBlobs
from storage.clients import connect
from storage.connection import Connection
from storage.http_session import PreparedRequestSession
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.stores import Stores
from storage.results.record import Image
from storage.results.store import Results
from tools.__main__ import main
from tools.cost.estimate import _APP_REQUESTS, CORES, LOG_BYTES, Job, bill
from tools.cost.measure import photo
from tools.cost.prices import price_list
from tools.cost.tables import DOCUMENT, STATED, rewritten

if TYPE_CHECKING:
    import requests

    from tests.conftest import Names
    from tools.azurite.azurite import Azurite

SHAPES = Path("models/shapes")
jobs = st.builds(
    Job,
    images=st.integers(1, 10**9),
    cpu_s=st.floats(0.001, 5),
    memory_mb=st.sampled_from(sorted(CORES)),
    cpu_factor=st.floats(0.2, 5),
    request_s=st.floats(0, 0.5),
)


def test_an_hour_of_one_busy_instance_costs_what_microsofts_example_says() -> None:
    job = Job(images=3600, cpu_s=1.0, client_cpu_s=0, host_cpu_s=0, request_s=0)
    assert job.gb_seconds(job.busy_s) == 7200
    assert price_list().rates["flex_gb_second"].cost(7200) == pytest.approx(0.1872)
    assert price_list().rates["flex_execution"].cost(144_000) == pytest.approx(0.0576)


def test_images_that_wait_for_storage_at_the_same_time_are_billed_once() -> None:
    one = Job(images=1, cpu_s=0.001, client_cpu_s=0, host_cpu_s=0, request_s=0.1)
    assert one.image_s == pytest.approx(0.601)
    assert one.busy_s == pytest.approx(0.601 / one.at_once)
    assert one.at_once == 5  # one CPU has five threads; the host receives eight messages


@pytest.mark.parametrize(
    ("image_s", "billed_s"),
    [(0.003, 1.0), (1.0, 1.0), (1.001, 1.1), (1.1, 1.1), (2.35, 2.4)],
    ids=["a moment", "a second", "just over", "a whole tenth", "between tenths"],
)
def test_a_single_image_is_billed_at_least_a_second_and_then_by_tenths(image_s: float, billed_s: float) -> None:
    assert Job(1, image_s, client_cpu_s=0, host_cpu_s=0, request_s=0).alone_s == pytest.approx(billed_s)


@given(jobs)
def test_many_at_once_never_cost_more_than_one_at_a_time(job: Job) -> None:
    assert bill(job, price_list()).alone_more_usd >= 0


@given(jobs, st.floats(1, 3))
def test_more_work_per_image_never_costs_less(job: Job, more: float) -> None:
    prices = price_list()
    assert bill(replace(job, cpu_s=job.cpu_s * more), prices).usd >= bill(job, prices).usd
    assert bill(replace(job, images=job.images * 2), prices).usd == pytest.approx(2 * bill(job, prices).usd)


def test_a_larger_instance_costs_no_more_while_the_cpu_is_the_limit() -> None:
    bills = [bill(Job(1000, 2.0, memory, request_s=0), price_list()).usd for memory in sorted(CORES)]
    assert bills == pytest.approx([bills[0]] * 3)


def test_known_grants_cover_at_most_what_was_used() -> None:
    prices = price_list()
    few = bill(Job(10, 0.01), prices)
    assert few.granted_usd == pytest.approx(
        sum(line.usd for line in few.lines if line.rate in {"event_grid", "logs_gb"})
    )
    many = bill(Job(10**7, 0.01), prices)
    assert many.granted_usd == pytest.approx(0.06 + 5 * 2.30)  # 100,000 operations, 5 GB


def test_the_share_of_the_host_is_billed_like_the_app() -> None:
    prices = price_list()
    with_host, without = (bill(Job(1_000_000, 0.05, host_cpu_s=host_s), prices) for host_s in (0.022, 0.0))
    assert with_host.usd - without.usd == pytest.approx(1e6 * 0.022 * 2 * prices.rates["flex_gb_second"].cost(1))


def test_the_bill_is_its_lines_and_covers_every_request() -> None:
    priced = bill(Job(1000, 0.01), price_list())
    assert priced.usd == pytest.approx(sum(line.usd for line in priced.lines))
    requests = sum(line.quantity for line in priced.lines if line.by in {"app", "host", "Event Grid"})
    assert requests == 1000 * sum(request.times for request in price_list().fresh_upload)
    assert priced.usd_per_1000 == pytest.approx(priced.usd)


def test_the_app_sends_the_requests_that_are_priced(
    azurite: Azurite, names: Names, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Counts the requests of a real classification, and measures the log line that the estimate assumes."""
    sent: list[tuple[str, str]] = []

    class Recording(PreparedRequestSession):
        def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
            sent.append((method, url))
            return super().request(method, url, **options)

    monkeypatch.setattr("storage.clients.PreparedRequestSession", Recording)
    clients = connect(Connection("ImageStorage", azurite.connection_string))
    results = Results(clients, table=names.table(), container=names.container("results"))
    stores = Stores(SourceBlobs(clients.blobs, 2**26), results)
    incoming = clients.blobs.create_container(names.container("incoming"))
    loaded = classifier.load(SHAPES)
    for name in ("IMG_0001.jpg", "IMG_0002.jpg"):  # the first one makes the tables
        incoming.upload_blob(f"holiday/{name}", photo(0.3))
        sent.clear()
        with caplog.at_level(logging.INFO, "storage.pipeline.outcome"):
            classify_blob(stores, loaded, Image(incoming.container_name, f"holiday/{name}"))
    clients.close()

    blob = f":{azurite.ports.blob}/"
    kinds = Counter(
        "table" if blob not in url else "blob_read" if method == "GET" else "blob_write" for method, url in sent
    )
    priced = Counter[str]()
    for request in price_list().fresh_upload:
        if request.by == "app":
            priced[request.rate] += request.times
    assert kinds == priced
    assert len(sent) == _APP_REQUESTS
    assert len(caplog.messages[-1]) == pytest.approx(LOG_BYTES - 4 * 700, abs=60)


def test_every_figure_names_its_source_and_its_date() -> None:
    prices = price_list()
    for name, rate in prices.rates.items():
        assert rate.usd > 0, name
        assert rate.source.startswith("https://"), name
        assert rate.dated, name
        assert rate.where, name
    assert set(prices.grants) <= set(prices.rates)
    for other in prices.alternatives:
        assert other["source"].startswith("https://")
        assert (other["usd_per_1000"] is None) == (other["dated"] is None)
    assert {request.rate for request in prices.fresh_upload} <= set(prices.rates)


def test_an_override_replaces_the_published_rate_and_its_source() -> None:
    prices = price_list(["blob_write=0.1", "flex_gb_second=0"])
    assert prices.rates["blob_write"].cost(10_000) == 0.1
    assert prices.rates["blob_write"].dated == "given by --rate"
    assert bill(Job(1000, 1.0), prices).functions_usd == pytest.approx(0.0004)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--rate", "blob_writes=1"], "there is no rate 'blob_writes'"),
        (["--rate", "blob_write"], "give a price in US dollars"),
        (["--rate", "blob_write=-1"], "give a price in US dollars"),
        (["--rate", "blob_write=nan"], "give a price in US dollars"),
        (["--images", "0"], "--images is 0"),
        (["--megapixels", "1000"], "--megapixels is 1000"),
        (["--cpu-factor", "nan"], "--cpu-factor is nan"),
        (["--host-cpu-ms", "-1"], "--host-cpu-ms is -1"),
        (["--image", "nowhere.jpg"], "nowhere.jpg cannot be read"),
        (["--image", "README.md"], "README.md cannot be measured"),
        (["--model", "docs"], "docs"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_misuse_is_one_sentence_and_exit_2(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cost", "--megapixels", "0.3", *arguments]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert "Traceback" not in error


def test_it_measures_and_prices_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--images", "5000", "--megapixels", "0.3", "--cpu-factor", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    measured = document["measured"]
    assert measured["peak_mib"] is None or measured["peak_mib"] >= 0
    assert measured["cpu_s"] > 0
    assert measured["megapixels"] == pytest.approx(0.3, rel=0.01)
    assert measured["photo_bytes"] * 8 / 300_000 == pytest.approx(2.5, rel=0.2)
    assert [job["memory_mb"] for job in document["jobs"]] == sorted(CORES)
    for job in document["jobs"]:
        expected = Job(5000, measured["cpu_s"], job["memory_mb"], cpu_factor=2)
        assert job["usd"] == pytest.approx(bill(expected, price_list()).usd)


def test_the_last_line_of_a_bill_is_its_sum(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--images", "5000", "--megapixels", "0.3", "--memory", "2048"]) == 0
    amounts = [float(text) for text in re.findall(r" ([\d.]+) \|$", capsys.readouterr().out, re.MULTILINE)]
    assert sum(amounts[:-1]) == pytest.approx(amounts[-1], abs=0.005 * len(amounts))


def test_image_measures_with_the_given_photo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(photo(1.0, seed=5))
    assert main(["cost", "--image", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["measured"]["photo_bytes"] == file.stat().st_size


def test_the_rates_are_listed_without_measuring(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--rates", "--model", "nowhere"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in price_list().rates)
    assert all(rate.source in listed for rate in price_list().rates.values())


def test_the_document_has_the_numbers_that_the_tool_computes_and_their_inputs() -> None:
    """If this fails: python -m tools.cost.tables"""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert rewritten(text) == text
    for measured in STATED:
        assert f"{measured.cpu_s * 1000:.1f} ms" in text
        assert f"{measured.megapixels:g} MP ({measured.photo_bytes / 1e6:.2f} MB)" in text
    assert f"{LOG_BYTES:,} bytes per image" in text
