"""End-to-end check: upload an image under a unique name, wait for its row, and remove the image and its results."""

from __future__ import annotations

import io
import time
import uuid
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError

from inference.errors import ClassificationError, TransientError
from storage.errors import SDK_ERRORS, translate, translate_errors
from storage.reconcile.repair import Repair
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
_CLEANUP_SECONDS = 30.0


def probe(account: Account, model_version: str | None, deadline_seconds: float) -> Iterator[Finding]:
    """Upload an image, wait for its row, and remove both.

    Args:
        account: The app's account.
        model_version: Of the model in the settings of this machine; a different one in the row is a warning.
        deadline_seconds: How long to wait for the row.
    """
    image = Image(account.settings.incoming_container, f"doctor-probe/{uuid.uuid4().hex}.png")
    blob = account.clients.blobs.get_blob_client(image.container, image.blob_name)
    try:
        blob.upload_blob(_photo())
    except ResourceNotFoundError:
        yield problem("probe", f"The container {image.container} does not exist: create it.")
        return
    except SDK_ERRORS as error:
        yield problem("probe", f"{translate(error, 'uploading an image')}")
        return
    start = time.monotonic()
    try:
        record = _wait_for_row(account, image, start + deadline_seconds)
        yield from _compare(record, model_version, time.monotonic() - start)
    except ClassificationError as error:
        yield problem("probe", str(error))
    finally:
        failure = _remove(account, image)
    if failure:
        yield warning("probe", f"{image} could not be removed completely: {failure}")


def _compare(record: Record | None, model_version: str | None, seconds: float) -> Iterator[Finding]:
    if record is None:
        yield problem(
            "probe",
            f"The uploaded image has no row after {seconds:.0f} s: check that the app runs (`python -m tools host`), "
            "that on Azure the Event Grid subscription exists, and read the app's log.",
        )
    elif record.status is not Status.CLASSIFIED:
        yield problem("probe", f"The image was {record.status}: {printable(record.detail or '')}")
    elif model_version not in {None, record.model_version}:
        yield warning(
            "probe",
            f"The image was classified after {seconds:.1f} s by {printable(record.model)} {record.model_version}, but "
            f"the settings of this machine name version {model_version}: check which model is deployed.",
        )
    else:
        yield ok(
            "probe",
            f"The image was classified after {seconds:.1f} s: {printable(record.label or '')} {record.score:.2f}, by "
            f"{printable(record.model)} {record.model_version}; image and row are removed.",
        )


def _wait_for_row(account: Account, image: Image, deadline: float) -> Record | None:
    while time.monotonic() < deadline:
        row = account.stores.results.read_row(image)
        if row is not None and row.record is not None:
            return row.record
        time.sleep(_POLL_SECONDS)
    return None


def _remove(account: Account, image: Image) -> str:
    """Remove blob, sidecar, index rows and row; returns why that failed, or an empty text."""
    deadline = time.monotonic() + _CLEANUP_SECONDS
    results = account.stores.results
    try:
        with translate_errors("removing the image"):
            account.clients.blobs.get_blob_client(image.container, image.blob_name).delete_blob()
        while time.monotonic() < deadline:
            Repair(account.stores).prune_deleted(image)
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
