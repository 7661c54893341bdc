"""A round trip: upload an image under a name of its own, wait for its row, remove every trace."""

from __future__ import annotations

import io
import time
import uuid
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError

from inference.errors import ClassificationError, TransientError
from storage.errors import SDK_ERRORS, translate, translated
from storage.reconcile.repair import Mender
from storage.results.record import Image, Status
from tools.doctor.findings import ok, problem, warning
from tools.sample_photos.photographs import SAMPLES
from tools.sample_photos.render import render
from tools.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.results.record import Record
    from tools.account import Account
    from tools.doctor.findings import Finding

_POLL_SECONDS = 0.25
_CLEANING_SECONDS = 30.0


def probe(account: Account, model_version: str | None, deadline_seconds: float) -> Iterator[Finding]:
    """Upload, wait, remove.

    Args:
        account: The account.
        model_version: The model as it is here; the app should answer with the same.
        deadline_seconds: How long the row may take.
    """
    image = Image(account.settings.incoming_container, f"doctor-probe/{uuid.uuid4().hex}.png")
    blob = account.clients.blobs.get_blob_client(image.container, image.blob_name)
    try:
        blob.upload_blob(_photo())
    except ResourceNotFoundError:
        yield problem("probe", f"There is no container {image.container} to upload to: make it.")
        return
    except SDK_ERRORS as error:
        yield problem("probe", f"{translate(error, 'uploading an image')}")
        return
    started = time.monotonic()
    try:
        record = _row(account, image, started + deadline_seconds)
        yield from _judged(record, model_version, time.monotonic() - started)
    except ClassificationError as error:
        yield problem("probe", str(error))
    finally:
        left = _remove(account, image)
    if left:
        yield warning("probe", f"{image} could not be removed without a trace: {left}")


def _judged(record: Record | None, model_version: str | None, seconds: float) -> Iterator[Finding]:
    if record is None:
        yield problem(
            "probe",
            f"An image was uploaded and had no row after {seconds:.0f} s: does the app run (`python -m tools host`; on "
            "Azure, is the Event Grid subscription there), and what does its log say?",
        )
    elif record.status is not Status.CLASSIFIED:
        yield problem("probe", f"An image came back {record.status}: {printable(record.detail or '')}")
    elif model_version not in {None, record.model_version}:
        yield warning(
            "probe",
            f"An image had its row after {seconds:.1f} s, but from {printable(record.model)} {record.model_version}, "
            f"and the settings here name version {model_version}: is another model deployed?",
        )
    else:
        yield ok(
            "probe",
            f"An image had its row after {seconds:.1f} s: {printable(record.label or '')} {record.score:.2f}, by "
            f"{printable(record.model)} {record.model_version}; it is removed again.",
        )


def _row(account: Account, image: Image, deadline: float) -> Record | None:
    while time.monotonic() < deadline:
        row = account.stores.results.read_row(image)
        if row is not None and row.record is not None:
            return row.record
        time.sleep(_POLL_SECONDS)
    return None


def _remove(account: Account, image: Image) -> str:
    """Remove blob, sidecar, index rows and row; says what went wrong, or nothing."""
    deadline = time.monotonic() + _CLEANING_SECONDS
    results = account.stores.results
    try:
        with translated("removing the image"):
            account.clients.blobs.get_blob_client(image.container, image.blob_name).delete_blob()
        while time.monotonic() < deadline:
            Mender(account.stores).gone(image)
            if results.read_row(image) is None and results.read_sidecar(image) is None:
                return ""
            time.sleep(_POLL_SECONDS)
    except TransientError as error:
        return str(error)
    return "run `python -m tools reconcile --prune`."


def _photo() -> bytes:
    file = io.BytesIO()
    render("ball", (SAMPLES, 0), 320, 240).save(file, "PNG")
    return file.getvalue()
