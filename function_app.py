"""Triggers, and the one place where inference meets storage. Wiring only: no pixels, no tables, no HTTP.

Blobs are bound as references (container and name): the bytes are read by our own pooled clients, after a size check,
never dragged through the host. Functions are plain ``def``: decoding and inference release the GIL on the worker's
thread pool.
"""

from __future__ import annotations

import gc
import json
import logging
import os
from functools import partial

# What is imported stays, so nothing is gained by looking through it for garbage, over and over, while it grows: an
# eighth of the start. It is not looked at later either (``freeze``, below the imports).
gc.disable()
# numpy's own matrix products are not used here, and their threads would spin for work beside the rest of the start.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import storage.host.fast_start  # before any Azure package, see there
import storage.host.startup  # its clock starts here

# isort: split
import azure.functions as func

# Not under TYPE_CHECKING: the worker reads the annotation to choose the binding.
from azurefunctions.extensions.bindings.blob import BlobClient  # noqa: TC002

from inference import classifier
from inference.errors import ClassificationError, ConfigurationError
from inference.limits import Limits
from inference.resources.admission import Admission
from inference.resources.cpus import usable_cpus, visible_cpus
from inference.resources.memory import available_bytes, budget_bytes, return_freed_memory
from inference.resources.versions import versions
from storage.blobs import SourceBlobs
from storage.clients import connect
from storage.host.config import HostLimits
from storage.host.early_logs import keep_unheard
from storage.models.hot_swap import hot_swap_model
from storage.pipeline import messages
from storage.pipeline.classify_blob import Stores, classify_blob
from storage.pipeline.queue import RequestQueue
from storage.pipeline.retries import Retries
from storage.results.record import Image
from storage.results.store import Results
from storage.settings import APP_ROOT, Settings

gc.freeze()
gc.enable()

# One thread for one inference, and as many inferences as there are callers: the fastest on CPUs. Said explicitly, it
# also keeps ONNX Runtime from pinning threads to CPUs that a restricted container may not use.
INTRA_OP_THREADS = 1

logger = logging.getLogger(__name__)
unheard = keep_unheard(__name__, "storage")

return_freed_memory()  # this process is ours
settings = Settings.from_environ(os.environ)
limits = Limits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
budget = budget_bytes(settings.decode_budget_mib)
admission = Admission(budget)
clients = connect(settings.image_storage, max_blob_bytes=limits.max_bytes)
stores = Stores(
    SourceBlobs(clients.blobs, limits.max_bytes),
    Results(clients, table=settings.results_table, container=settings.results_container),
    admit=admission.reserve_content,
)
queue = RequestQueue(clients)
retries = Retries(stores, queue, settings.retry_delays_seconds)
load = partial(
    classifier.load,
    top_k=settings.top_k,
    min_score=settings.min_score,
    limits=limits,
    admission=admission,
    intra_op_threads=INTRA_OP_THREADS,
)
models = hot_swap_model(settings, clients.blobs, load)
app = func.FunctionApp()


def model() -> classifier.Classifier:
    """The one classifier of this process, as it is now; built at first use, tried again after a failure."""
    return models.current()


@app.blob_trigger(
    arg_name="blob",
    path=f"{settings.incoming_container}/{{name}}",
    connection="ImageStorage",
    source=func.BlobSource(settings.blob_trigger_source),
)
def classify_uploaded(blob: BlobClient) -> None:
    """Classify one upload."""
    unheard.say()
    image = Image(blob.container_name, blob.blob_name)
    if image.container != settings.incoming_container:
        # Event Grid checks nothing but its own filter, and a prefix without its last slash lets neighbours in.
        name = json.dumps(str(image))
        logger.warning("event_ignored image=%s because=not_in_%s", name, settings.incoming_container)
        return
    classify_blob(stores, model(), image)


@app.queue_trigger(arg_name="message", queue_name=messages.QUEUE, connection="ImageStorage")
def classify_requested(message: func.QueueMessage) -> None:
    """Classify the blobs that a message names; what fails goes round again by itself, ever later."""
    unheard.say()
    retries.serve(_ours(messages.Request.from_json(message.get_body())), model)


@app.queue_trigger(arg_name="message", queue_name=messages.BLOB_POISON_QUEUE, connection="ImageStorage")
def recover_poisoned(message: func.QueueMessage) -> None:
    """Send an upload round again that used up its immediate tries, later and later."""
    unheard.say()
    request = _ours(messages.from_blob_poison(message.get_body()))
    why = "Every try of the blob trigger failed; the host's log says why."
    retries.later_or_never(request, dict.fromkeys(request.images, why))


@app.queue_trigger(arg_name="message", queue_name=messages.POISON_QUEUE, connection="ImageStorage")
def record_abandoned(message: func.QueueMessage) -> None:
    """Write down what the host gave up without an answer: the worker crashed, or took longer than it may."""
    unheard.say()
    request = _ours(messages.Request.from_json(message.get_body()))
    why = "The worker ended every try without an answer: it crashed, or took longer than it may."
    retries.give_up(request, dict.fromkeys(request.images, why))


@app.timer_trigger(arg_name="timer", schedule=settings.reconcile_schedule, run_on_startup=False)
def reconcile(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the trigger's own parameter
    """Find uploads whose event was lost, send them to be classified, and mend results that are half-written."""
    unheard.say()
    from storage.reconcile.reconcile import heal  # no image needs it

    heal(stores, queue, settings.incoming_container)


def _ours(request: messages.Request) -> messages.Request:
    if request.container != settings.incoming_container:
        raise ConfigurationError(
            f"A message names the container {request.container!r}, but INCOMING_CONTAINER is "
            f"{settings.incoming_container!r}: it belongs to another app, and stays on the queue's poison queue."
        )
    return request


ready: classifier.Classifier | None = None
if settings.model_blobs:
    models.prepare()  # on a thread of its own: indexing does not wait for a download
else:
    try:
        ready = model()
        ready.warm()
    except ClassificationError as error:
        # Never fatal here: the functions must be indexed, so that their blobs reach the retry path until it is mended.
        logger.error("model_not_loaded error=%s", error)  # noqa: TRY400 - the sentence says it all

storage.host.startup.Start(
    settings=settings,
    limits=HostLimits.read(APP_ROOT / "host.json", os.environ, visible_cpus()),
    cpus=usable_cpus(),
    intra_op_threads=INTRA_OP_THREADS,
    budget_bytes=budget,
    available_bytes=available_bytes(),
    model=ready.model if ready else None,
    versions=versions(),
).log()
