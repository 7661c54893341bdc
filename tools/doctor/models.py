"""Checks that the model can be read, loads and classifies."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from inference import classifier
from inference.errors import ClassificationError
from storage.models.blob_models import BlobModel
from storage.models.cache import ModelCache
from tools.doctor.findings import Finding, ok, problem

if TYPE_CHECKING:
    from storage.clients import Clients
    from storage.settings import Settings


def check_model(settings: Settings, clients: Clients) -> tuple[Finding, str | None]:
    """Load the model of MODEL_DIR or MODEL_BLOB; also returns its version if it loads."""
    setting = "MODEL_BLOB" if settings.model_blobs else "MODEL_DIR"
    start = time.perf_counter()
    try:
        folders = settings.model_dirs
        if settings.model_blobs:
            cache = ModelCache(settings.model_cache_dir)
            sources = [BlobModel(clients.blobs, folder, cache) for folder in settings.model_blobs]
            folders = tuple(source.fetch(source.current_version()) for source in sources)
        model = classifier.load(*folders)
    except ClassificationError as error:
        return problem("model", f"{setting} cannot be used: {error}"), None
    seconds = time.perf_counter() - start
    spec, identity = model.spec, model.model
    note = f" ({len(folders)} models)" if len(folders) > 1 else ""
    int8 = " Its 8-bit products are summed exactly, so every CPU gives the same label." if model.exact_int8 else ""
    return (
        ok(
            "model",
            f"{identity.name}, version {identity.version}{note} works: {len(spec.labels):,} labels, input of "
            f"{spec.input.width} x {spec.input.height}; loaded in {seconds:.1f} s.{int8}",
        ),
        identity.version,
    )
