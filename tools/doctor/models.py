"""Checks that the model and the rules for its labels can be read and used, and that results follow these rules."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from inference import classifier
from inference.errors import ClassificationError
from storage.models.hot_swap import HotSwapModel
from storage.query.plan import Filter
from storage.query.query import Query
from storage.results.record import Status
from tools.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.clients import Clients
    from storage.settings import Settings

_NEWEST = 1000  # one request; the results of a whole account would take long


def check_model(settings: Settings, clients: Clients) -> tuple[Finding, classifier.Classifier | None]:
    """Load the model and its rules; also returns the model if it loads."""
    setting = "MODEL_BLOB" if settings.model_blobs else "MODEL_DIR"
    start = time.perf_counter()
    try:
        model = HotSwapModel.from_settings(settings, clients.blobs, classifier.load).current()
    except ClassificationError as error:
        name = f"{setting} with DECISION_BLOB" if settings.decision_blob else setting
        return problem("model", f"{name} cannot be used: {error}"), None
    seconds = time.perf_counter() - start
    spec, identity = model.spec, model.model
    count = len(settings.model_blobs or settings.model_dirs)
    note = f" ({count} models)" if count > 1 else ""
    int8 = " Its 8-bit products are summed exactly, so every CPU gives the same label." if model.exact_int8 else ""
    return (
        ok(
            "model",
            f"{identity.name}, version {identity.version}{note} works: {len(spec.labels):,} labels, input of "
            f"{spec.input.width} x {spec.input.height}; loaded in {seconds:.1f} s.{int8}",
        ),
        model,
    )


def check_candidate(settings: Settings, clients: Clients) -> Iterator[Finding]:
    """Load the candidate that answers beside the model, where the settings name one."""
    trial = settings.with_candidate()
    if trial is None:
        return
    try:
        candidate = HotSwapModel.from_settings(trial, clients.blobs, classifier.load).current().model
    except ClassificationError as error:
        yield warning("candidate", f"The candidate cannot be used, so none answers: {error}")
        return
    share = f"{settings.shadow_share:.4g} of the images"
    yield ok("candidate", f"{candidate.name}, version {candidate.version} works; it answers {share} beside the model.")


def check_decision(settings: Settings, clients: Clients, model: classifier.Classifier) -> Iterator[Finding]:
    """Compare the rules of the settings with those that decided the newest results of the model."""
    version = model.decision.version if model.decision else None
    if version and settings.min_score is not None:
        yield warning("decision", "MIN_SCORE has no effect, because a decision.json replaces it: remove MIN_SCORE.")
    row_filter = Filter(settings.incoming_container, status=Status.CLASSIFIED, model=model.model.version)
    try:
        newest = list(Query(clients.tables, settings.results_table, row_filter).records(_NEWEST))
    except ClassificationError:
        return  # the check of the account reports it
    others = sum(record.decision_version != version for record in newest)
    rules = f"the rules of version {version}" if version else "the model alone, without a decision.json"
    if others:
        yield warning(
            "decision",
            f"{others:,} of the newest {len(newest):,} results of this model were not decided by {rules}, as the "
            "settings say: run `python -m tools decide`, or correct DECISION_BLOB or the model's decision.json.",
        )
    elif version:
        yield ok("decision", f"Labels are decided by {rules}, and so were the newest {len(newest):,} results.")
