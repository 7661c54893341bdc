"""Hostile blob names cannot forge fields of a log line: the queries of the repository still read it correctly."""

from __future__ import annotations

import json
import logging
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from azure.core.exceptions import HttpResponseError
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.errors import Reason
from storage.actions.after_commit import Actions
from storage.errors import translate
from storage.pipeline.messages import Request
from storage.pipeline.outcome import Finished, Outcome, Timings, log_finished
from storage.pipeline.retries import Retries
from storage.results.record import Image, Record, Status
from tests.operations.captured import HOSTILE, SEVERITY
from tests.operations.kusto import Insights, queries

if TYPE_CHECKING:
    from collections.abc import Iterator

# Pieces of log lines in any order, and other characters: the attacker knows the code.
_PIECES = st.sampled_from(
    [
        *('"', "\\", "'", " ", "=", "\n", "\r", "\t", "\u2028", "\x85", "\x00", "|", "(503 ServerBusy).", "🦊", "é"),
        *(
            'image="incoming/x"',
            " outcome=gone",
            " status=failed",
            ' label="',
            " score=1",
            ' reason=empty detail="',
            "error=",
        ),
        *(
            ' model="m" model_version=0',
            " attempt=7",
            " queue_delay_ms=1",
            " total_ms=1.0",
            " do=redrive",
            " seconds=1",
        ),
        *("image_finished ", "image_failed ", "\\u0022", "%", "#", "/"),
    ]
)
NAMES = st.one_of(st.lists(_PIECES, min_size=1, max_size=8).map("".join), st.text(min_size=1), st.sampled_from(HOSTILE))


class Case(NamedTuple):
    """One image and the outcome of one delivery."""

    name: str
    label: str
    model: str
    outcome: Outcome
    status: Status
    reason: Reason
    attempt: int
    delay_ms: int
    total_ms: float


CASES = st.builds(
    Case,
    name=NAMES,
    label=NAMES,
    model=NAMES,
    outcome=st.sampled_from([Outcome.COMMITTED, Outcome.DUPLICATE, Outcome.GONE]),
    status=st.sampled_from([Status.CLASSIFIED, Status.REJECTED]),
    reason=st.sampled_from(list(Reason)),
    attempt=st.integers(0, 5),
    delay_ms=st.integers(0, 10**9),
    total_ms=st.integers(1, 10**6).map(lambda tenths: tenths / 10),
)


@contextmanager
def captured_rows() -> Iterator[list[dict[str, Any]]]:
    """Collect the rows of all lines logged in the block."""
    rows: list[dict[str, Any]] = []

    class Capture(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            row = {"timestamp": datetime.now(UTC).replace(tzinfo=None), "itemCount": 1, "itemType": "trace"}
            columns = {"message": record.getMessage(), "severityLevel": SEVERITY[record.levelno]}
            rows.append({**row, **columns, "operation_Name": "classify_requested", "cloud_RoleInstance": "i"})

    handler, logger = Capture(), logging.getLogger("storage")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield rows
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def log_case(case: Case) -> None:
    """Log the line of one delivery."""
    rejected = case.status is Status.REJECTED
    record = Record(
        container="incoming",
        blob_name=case.name,
        etag="0x1",
        model=case.model,
        model_version="0123456789ab",
        classified_at=datetime.now(UTC),
        sidecar="results/x.json",
        status=case.status,
        label=None if rejected else case.label,
        score=None if rejected else 0.5,
        reason=str(case.reason) if rejected else None,
        detail=case.label if rejected else None,
        queue_delay_ms=case.delay_ms,
    )
    finished = Finished(case.outcome, None if case.outcome is Outcome.GONE else record)
    log_finished(Image("incoming", case.name), case.attempt, finished, Timings(), case.total_ms)


INSIGHTS = Insights()


def insights(rows: list[dict[str, Any]]) -> Insights:
    INSIGHTS.clear()
    INSIGHTS.add("traces", rows)
    return INSIGHTS


@settings(max_examples=25, deadline=None)
@given(st.lists(CASES, min_size=1, max_size=12))
def test_the_line_of_a_delivery_cannot_be_forged(cases: list[Case]) -> None:
    with captured_rows() as rows:
        for case in cases:
            log_case(case)
    application_insights = insights(rows)
    committed = [case for case in cases if case.outcome is Outcome.COMMITTED]

    assert all(len(row["message"].splitlines()) == 1 and row["message"].isascii() for row in rows)
    assert Counter(
        (row["outcome"], row["status"])
        for row in application_insights.run(queries()["throughput"])
        for _ in range(row["images"])
    ) == (Counter((str(case.outcome), "" if case.outcome is Outcome.GONE else str(case.status)) for case in cases))
    found = application_insights.run(queries()["slowest"])
    assert sorted((json.loads(f'"{row["image"]}"'), row["total_ms"]) for row in found) == sorted(
        (f"incoming/{case.name}", case.total_ms) for case in cases
    )
    assert {row["reason"]: row["images"] for row in application_insights.run(queries()["rejections"])} == Counter(
        str(case.reason) for case in committed if case.status is Status.REJECTED
    )
    assert {
        json.loads(f'"{row["model"]}"'): row["images"] for row in application_insights.run(queries()["models"])
    } == Counter(case.model for case in cases if case.status is Status.CLASSIFIED and case.outcome is not Outcome.GONE)
    first = [case for case in committed if case.attempt == 0]
    latency = application_insights.run(queries()["latency"])
    assert sum(row["images"] for row in latency) == len(first)
    if first:
        assert max(row["p99_s"] for row in latency) == pytest.approx(
            max(case.delay_ms + case.total_ms for case in first) / 1000
        )


def _unavailable(_stores: object, _classifier: object, image: Image, **_: object) -> Finished:
    """``classify_blob`` while storage is unavailable, with the error that the SDK's error is translated to."""
    error = HttpResponseError("unavailable")
    error.status_code = 503
    raise translate(error, f"reading {image}")


@settings(max_examples=25, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=6, unique=True))
def test_the_line_of_a_failure_cannot_be_forged(names: list[str]) -> None:
    blob = SimpleNamespace(etag="0x1", last_modified=datetime.now(UTC), content_length=1)
    results = SimpleNamespace(read_row=lambda _image: None, sidecar_path=lambda _image: "results/x.json")
    source = SimpleNamespace(info=lambda _image: blob)
    stores: Any = SimpleNamespace(results=results, source=source, now=lambda: datetime.now(UTC), actions=Actions())
    queue: Any = SimpleNamespace(send=lambda *_, **__: None)
    retries = Retries(stores, queue, (60,))
    request = Request("incoming", tuple(names))
    with pytest.MonkeyPatch.context() as patch, captured_rows() as rows:
        patch.setattr("storage.pipeline.retries.classify_blob", _unavailable)
        patch.setattr("storage.pipeline.retries.commit", lambda _results, _source, record, _row, **_: record)
        retries.classify_request(request, SimpleNamespace)
        retries.classify_request(replace(request, attempt=1), SimpleNamespace)
    application_insights = insights(rows)

    assert all(len(row["message"].splitlines()) == 1 for row in rows)
    assert {row["cause"]: row["tries"] for row in application_insights.run(queries()["retries"])} == {
        "503": 2 * len(names)
    }
    assert {row["attempt"]: row["images"] for row in application_insights.run(queries()["delays"])} == {1: len(names)}
    failed = application_insights.run(queries()["failures"])
    assert Counter(json.loads(f'"{row["image"]}"') for row in failed) == Counter(f"incoming/{name}" for name in names)
    assert all(row["why"].endswith("failed for now (503).") for row in failed)
