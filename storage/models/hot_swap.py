"""The model that answers now, and its replacement when blob storage has another.

An invocation asks for the model once and keeps what it was given, so a swap drops nobody. Looking, fetching and loading
happen on a thread of their own, beside the model that serves; a new version that cannot be used is refused, loudly and
once, and the old one goes on.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from inference.errors import ClassificationError, ModelError, TransientError
from inference.predictions import ImageClassifier
from storage.models.blob_models import ModelBlobs
from storage.models.cache import ModelCache
from storage.models.local import LocalModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from azure.storage.blob import BlobServiceClient

    from storage.models.blob_models import ModelVersion
    from storage.settings import Settings

logger = logging.getLogger(__name__)

_QUIET_SECONDS = 10.0  # files copied by hand come one by one: what changed just now may be half of it

_Model = TypeVar("_Model", bound=ImageClassifier)


class Source(Protocol):
    """Where versions of one model are: ``ModelBlobs`` or ``LocalModel``."""

    def look(self) -> ModelVersion: ...  # noqa: D102 - documented by ModelBlobs
    def fetch(self, version: ModelVersion) -> Path: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class _Serving(Generic[_Model]):
    versions: tuple[str, ...]
    model: _Model


def hot_swap_model(settings: Settings, service: BlobServiceClient, load: Callable[..., _Model]) -> HotSwapModel[_Model]:
    """Make what serves the models that the settings name. Nothing is loaded and no request is sent.

    Args:
        settings: ``MODEL_DIR`` or ``MODEL_BLOB``, and how to follow the latter.
        service: A pooled client of the images' account, which models of blob storage are on too.
        load: Makes the classifier of the models' folders.
    """
    if not settings.model_blobs:
        return HotSwapModel([LocalModel(folder) for folder in settings.model_dirs], load, refresh_seconds=0)
    cache = ModelCache(settings.model_cache_dir)
    sources = [ModelBlobs(service, folder, cache) for folder in settings.model_blobs]
    return HotSwapModel(sources, load, refresh_seconds=settings.model_refresh_seconds)


class HotSwapModel(Generic[_Model]):
    """Keeps one loaded model, or several that answer together, and follows what storage has. Thread-safe.

    Args:
        sources: Where each model is; at least one.
        load: Makes the classifier of their folders.
        refresh_seconds: How often to look for another version; 0 is never.
        clock: Monotonic seconds.
        now: The wall clock; aware UTC.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        load: Callable[..., _Model],
        *,
        refresh_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sources = tuple(sources)
        self._load = load
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._now = now
        self._serving: _Serving[_Model] | None = None
        self._refused: tuple[tuple[str, ...], str] | None = None
        self._complaint = ""
        self._due = 0.0
        self._first = threading.Lock()
        self._refreshing = threading.Lock()

    def current(self) -> _Model:
        """Return the model that serves; the first call fetches and loads it, and the others wait for it.

        Never waits for a newer version: when a look is due, a thread takes it.

        Raises:
            ModelError: There is no model that can be used; the next call looks again.
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused.
        """
        serving = self._serving
        if serving is None:
            with self._first:
                serving = self._serving
                if serving is None:
                    serving = self._load_version(self._look())
                    self._serve(serving)
        elif self._is_due() and self._refreshing.acquire(blocking=False):
            self._due = self._clock() + self._refresh_seconds
            threading.Thread(target=self._refresh, name="model-refresh", daemon=True).start()
        return serving.model

    def prepare(self) -> None:
        """Begin to fetch and load on a thread of its own, so that the first invocation waits for less."""
        threading.Thread(target=self._prepare, name="model-prepare", daemon=True).start()

    def _prepare(self) -> None:
        try:
            self.current()
        except ClassificationError as error:
            logger.error("model_not_loaded error=%s", error)  # noqa: TRY400 - the sentence says it all

    def _is_due(self) -> bool:
        return self._refresh_seconds > 0 and self._clock() >= self._due

    def _refresh(self) -> None:
        """Look for another version, and serve it when it can be used; whatever happens, the old one goes on."""
        try:
            versions = self._look()
            names = tuple(version.version for version in versions)
            if self._serving is not None and names == self._serving.versions:
                self._complaint = ""
                return
            if self._is_moving(versions):
                self._due = self._clock() + min(self._refresh_seconds, _QUIET_SECONDS)
                return
            self._serve(self._load_version(versions))
        except TransientError as error:
            logger.warning("model_not_refreshed error=%s", error)
        except ClassificationError as error:
            if str(error) != self._complaint:  # once for each fault, not at each look
                self._complaint = str(error)
                serving = self._serving.model.model if self._serving else None
                logger.error(  # noqa: TRY400 - the sentence says it all
                    "model_refused at=%s error=%s keeps=%s do=publish_a_version_that_works",
                    ";".join(str(source) for source in self._sources),
                    error,
                    f"{serving.name}:{serving.version}" if serving else None,
                )
        finally:
            self._refreshing.release()

    def _look(self) -> tuple[ModelVersion, ...]:
        return tuple(source.look() for source in self._sources)

    def _is_moving(self, versions: Sequence[ModelVersion]) -> bool:
        """Whether files that were copied by hand changed so recently that more may be on their way."""
        quiet = timedelta(seconds=min(self._refresh_seconds, _QUIET_SECONDS))
        return any(version.changed_at is not None and self._now() - version.changed_at < quiet for version in versions)

    def _load_version(self, versions: Sequence[ModelVersion]) -> _Serving[_Model]:
        """Fetch and load; a version that was refused is not loaded twice."""
        names = tuple(version.version for version in versions)
        if self._refused is not None and self._refused[0] == names:
            raise ModelError(self._refused[1])
        try:
            folders = [source.fetch(version) for source, version in zip(self._sources, versions, strict=True)]
            return _Serving(names, self._load(*folders))
        except ModelError as error:
            self._refused = (names, str(error))
            raise

    def _serve(self, serving: _Serving[_Model]) -> None:
        self._serving = serving
        self._complaint = ""
        self._due = self._clock() + self._refresh_seconds
        model = serving.model.model
        logger.info("model_serving name=%r version=%s blob_version=%s", model.name, model.version, serving.versions)
