"""Triggers, and the one place where inference meets storage. Wiring only: no pixels, no tables, no HTTP.

Blobs are bound as references (container and name): the bytes are read by our own pooled clients, after a size check,
never dragged through the host. Functions are plain ``def``: decoding and inference release the GIL on the worker's
thread pool.
"""

from __future__ import annotations

import logging
import os

import azure.functions as func

# Not under TYPE_CHECKING: the worker reads the annotation to choose the binding.
from azurefunctions.extensions.bindings.blob import BlobClient  # noqa: TC002

from inference import classifier
from inference.admission import Admission, default_budget
from inference.errors import ClassificationError, ConfigurationError, TransientError
from inference.limits import Limits
from storage import requests
from storage.blobs import SourceBlobs
from storage.clients import connect
from storage.records import Image
from storage.results import Results
from storage.settings import Settings
from storage.settle import Desk, settle

logger = logging.getLogger(__name__)
logging.getLogger("azure").setLevel(logging.WARNING)  # the SDK logs every request at INFO

settings = Settings.from_environ(os.environ)
limits = Limits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
admission = Admission(default_budget())
clients = connect(settings.image_storage, max_blob_bytes=limits.max_bytes)
desk = Desk(
    SourceBlobs(clients.blobs, limits.max_bytes),
    Results(clients, table=settings.results_table, container=settings.results_container),
    admit=admission.reserve_content,
)
app = func.FunctionApp()


def model() -> classifier.Classifier:
    """The one classifier of this process; built at first use, tried again after a failure."""
    return classifier.shared(
        settings.model_dir, top_k=settings.top_k, min_score=settings.min_score, limits=limits, admission=admission
    )


@app.blob_trigger(
    arg_name="blob",
    path="%INCOMING_CONTAINER%/{name}",
    connection="ImageStorage",
    source=func.BlobSource(settings.blob_trigger_source),
)
def classify_uploaded(blob: BlobClient) -> None:
    """Classify one upload."""
    image = Image(blob.container_name, blob.blob_name)
    if image.container != settings.incoming_container:
        # Event Grid checks nothing but its own filter, and a prefix without its last slash lets neighbours in.
        logger.warning("event_ignored image=%r because=not_in_%s", str(image), settings.incoming_container)
        return
    settle(desk, model(), image)


@app.queue_trigger(arg_name="message", queue_name=requests.QUEUE, connection="ImageStorage")
def classify_requested(message: func.QueueMessage) -> None:
    """Classify the blobs that a message names; one that fails does not keep the others from being settled."""
    request = requests.Request.from_json(message.get_body())
    if request.container != settings.incoming_container:
        raise ConfigurationError(
            f"A request names the container {request.container!r}, but INCOMING_CONTAINER is "
            f"{settings.incoming_container!r}: send requests to the app that watches that container."
        )
    failures: list[ClassificationError] = []
    for image in request.images:
        try:
            settle(desk, model(), image, redo_before=request.redo_before)
        except ClassificationError as error:
            logger.warning("image_not_settled image=%r error=%s", str(image), error)
            failures.append(error)
    if failures:
        raise TransientError(
            f"{len(failures)} of {len(request.blobs)} images could not be settled; the last: {failures[-1]}"
        ) from failures[-1]


try:
    model().warm()
except ClassificationError as error:
    # Never fatal here: the functions must be indexed, so that their blobs reach the retry path until it is mended.
    logger.error("model_not_loaded error=%s", error)  # noqa: TRY400 - the sentence says it all
