"""The function app, from top to bottom: settings, stores, model, five triggers.

Blobs are bound as references (container and name). Our own pooled clients read the bytes, after a size check; the bytes
never pass through the host. Functions are plain ``def``: decoding and inference release the GIL.
"""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING

from storage.host import fast_start

if TYPE_CHECKING:
    from pathlib import Path

    from storage.pipeline.shadow import Shadow

with fast_start.imports():
    import azure.functions as func

    # Not under TYPE_CHECKING: the worker reads the annotation to choose the binding.
    from azurefunctions.extensions.bindings.blob import BlobClient  # noqa: TC002

    from inference import classifier
    from inference.errors import ClassificationError
    from inference.limits import Limits
    from inference.resources.admission import Admission
    from inference.resources.cpus import usable_cpus, visible_cpus
    from inference.resources.memory import available_bytes, budget_bytes, return_freed_memory
    from inference.resources.versions import versions
    from storage.actions.after_commit import chosen_actions
    from storage.blobs import SourceBlobs
    from storage.clients import connect
    from storage.host.config import HostLimits
    from storage.host.early_logs import buffer_early_logs
    from storage.host.startup import Startup
    from storage.models.hot_swap import HotSwapModel
    from storage.pipeline import messages
    from storage.pipeline.capture import capture_rules
    from storage.pipeline.classify_blob import classify_blob
    from storage.pipeline.intake import Intake
    from storage.pipeline.queue import RefusedQueue, RequestQueue
    from storage.pipeline.retries import Retries
    from storage.pipeline.stores import Stores
    from storage.results.record import Image
    from storage.results.store import Results
    from storage.settings import APP_ROOT, Settings

# One thread for one inference, and as many inferences as there are callers: the fastest on CPUs. An explicit number
# also keeps ONNX Runtime from pinning threads to CPUs that a restricted container may not use.
INTRA_OP_THREADS = 1

logger = logging.getLogger(__name__)
early_logs = buffer_early_logs(__name__, "storage")

# ---- settings
settings = Settings.from_environ(os.environ)
limits = Limits(
    max_bytes=settings.max_image_bytes,
    max_pixels=settings.max_image_pixels,
    accept_damaged=settings.accepts_damaged,
)
budget = budget_bytes(settings.decode_budget_mib)

return_freed_memory()  # a setting of the whole process, which is ours
admission = Admission(budget)
clients = connect(settings.image_storage, max_blob_bytes=limits.max_bytes)


# ---- model and stores
def _load(*folders: Path, **decision: Path) -> classifier.Classifier:
    return classifier.load(
        *folders,
        top_k=settings.top_k,
        min_score=settings.min_score,
        limits=limits,
        admission=admission,
        intra_op_threads=INTRA_OP_THREADS,
        **decision,
    )


def load(*folders: Path, **decision: Path) -> classifier.Classifier:
    """Load the models, and the rules for their label; these replace ``MIN_SCORE``."""
    loaded = _load(*folders, **decision)
    if loaded.decision is not None:
        level, min_score = (logging.INFO, "unset") if settings.min_score is None else (logging.WARNING, "replaced")
        logger.log(level, "decision_serving version=%s min_score=%s", loaded.decision.version, min_score)
    return loaded


models = HotSwapModel.from_settings(settings, clients.blobs, load)


def _shadow() -> Shadow | None:
    """The candidate of ``SHADOW_MODEL_DIR`` or ``SHADOW_MODEL_BLOB``, loaded like the model; most apps have none."""
    trial = settings.with_candidate()
    if trial is None:
        return None
    from storage.models.candidate import CandidateModel
    from storage.pipeline.shadow import Shadow

    return Shadow(CandidateModel.from_settings(trial, clients.blobs, _load).ready, settings.shadow_share)


shadow = _shadow()
stores = Stores(
    SourceBlobs(clients.blobs, limits.max_bytes),
    Results(clients, table=settings.results_table, container=settings.results_container),
    admit=admission.reserve_content,
    keep_scores=settings.keep_scores,
    capture=capture_rules(settings.taken_at_from_name, keep_location=settings.keep_location),
    actions=chosen_actions(settings, clients),
    shadow=shadow,
    is_current_model=models.is_current,
)
queues = messages.Queues(settings.requests_queue)
queue = RequestQueue(clients, queues)
intake = Intake(settings.incoming_container, RefusedQueue(clients, queues))
retries = Retries(stores, queue, settings.retry_delays_seconds)


def model() -> classifier.Classifier:
    """Return the current classifier. The first call loads it; after a failure the next call tries again."""
    return models.current()


def _warm_model() -> classifier.Classifier | None:
    """Load the model before the first image arrives, and return it if it is ready."""
    if settings.model_blobs:
        models.load_in_background()  # indexing does not wait for a download
        return None
    try:
        loaded = model()
        loaded.warm()
    except ClassificationError as error:
        # Never fatal here: the host must index the functions, whose failures lead to delayed retries.
        logger.error("model_not_loaded error=%s", error)  # noqa: TRY400 - the message is the whole explanation
        return None
    return loaded


warm_model = _warm_model()
if shadow:
    shadow.warm()

Startup(
    settings=settings,
    limits=HostLimits.read(APP_ROOT / "host.json", os.environ, visible_cpus()),
    cpus=usable_cpus(),
    intra_op_threads=INTRA_OP_THREADS,
    budget_bytes=budget,
    available_bytes=available_bytes(),
    model=warm_model.model if warm_model else None,
    versions=versions(),
    exact_int8=warm_model is not None and warm_model.exact_int8,
).log(fast_start.elapsed_seconds())

# ---- triggers
# Bindings get resolved values: the host replaces %NAME% only where that app setting exists, and knows no defaults.
app = func.FunctionApp()


@app.blob_trigger(
    arg_name="blob",
    path=f"{settings.incoming_container}/{{name}}",
    connection="ImageStorage",
    source=func.BlobSource(settings.blob_trigger_source),
)
def classify_uploaded(blob: BlobClient) -> None:
    """Classify one upload."""
    early_logs.reemit()
    image = Image(blob.container_name, blob.blob_name)
    if image.container != settings.incoming_container:
        # Event Grid checks only its own filter, and a prefix without its last slash admits neighbouring containers.
        name = json.dumps(str(image))
        logger.warning("event_ignored image=%s because=not_in_%s", name, settings.incoming_container)
        return
    classify_blob(stores, model(), image)


@app.queue_trigger(arg_name="message", queue_name=queues.requests, connection="ImageStorage")
def classify_requested(message: func.QueueMessage) -> None:
    """Classify the blobs that a message names, and queue those that fail again, after growing delays."""
    early_logs.reemit()
    if request := intake.read(queues.requests, message.id, message.get_body()):
        retries.classify_request(request, model)


@app.queue_trigger(arg_name="message", queue_name=messages.BLOB_POISON_QUEUE, connection="ImageStorage")
def recover_poisoned(message: func.QueueMessage) -> None:
    """Queue an upload again whose immediate tries all failed, after growing delays."""
    early_logs.reemit()
    if request := intake.read(messages.BLOB_POISON_QUEUE, message.id, message.get_body()):
        reason = "Every try of the blob trigger failed; the host's log has the reason."
        retries.retry_or_give_up(request, dict.fromkeys(request.images, reason))


@app.queue_trigger(arg_name="message", queue_name=queues.poison, connection="ImageStorage")
def record_abandoned(message: func.QueueMessage) -> None:
    """End a message whose tries all ended without an answer (a crash, a timeout): alone it fails, else it is split."""
    early_logs.reemit()
    if request := intake.read(queues.poison, message.id, message.get_body()):
        reason = "The worker ended every try without an answer: it crashed, or exceeded the time limit."
        retries.end_abandoned(request, reason)


@app.timer_trigger(arg_name="timer", schedule=settings.reconcile_schedule, run_on_startup=False)
def reconcile(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the trigger's own parameter
    """Find uploads whose event was lost, queue them, and repair results that were only partly written."""
    early_logs.reemit()
    from storage.reconcile.reconcile import reconcile_on_timer  # no image needs it

    reconcile_on_timer(stores, queue, settings.incoming_container)
