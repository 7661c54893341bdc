"""The model that answers now, and its replacement when blob storage has another version of it or of its decision.

An invocation asks for the model once and keeps it to its end, so a swap disturbs no invocation. A background thread
checks for a new version, fetches and loads it while the present one serves. A version that cannot be used is refused
with one error in the log, and the present one stays.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from inference.errors import ClassificationError, ConfigurationError, ModelError, ModelFileError, TransientError
from inference.predictions import DECISION_FILE, ImageClassifier
from storage.models.blob_models import BlobModel
from storage.models.cache import ModelCache
from storage.models.decision_blob import DecisionBlob
from storage.models.local import LocalModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from azure.storage.blob import BlobServiceClient

    from inference.predictions import ModelIdentity
    from storage.models.blob_models import ModelVersion
    from storage.settings import Settings

logger = logging.getLogger(__name__)

# Copied files arrive one by one: while the last change is this recent, more may follow.
_DEBOUNCE_SECONDS = 10.0

Loadable = TypeVar("Loadable", bound=ImageClassifier)


class ModelSource(Protocol):
    """The place of one model's versions: ``BlobModel`` or ``LocalModel``."""

    is_shared: bool  # whether other machines read the same place

    def current_version(self) -> ModelVersion: ...  # noqa: D102 - documented by BlobModel
    def fetch(self, version: ModelVersion) -> Path: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class _Loaded(Generic[Loadable]):
    versions: tuple[str, ...]
    model: Loadable


class HotSwapModel(Generic[Loadable]):
    """Keeps one classifier of one or several models loaded, and replaces it when a source has a new version.

    The models and the decision are loaded together, because the decision names the first model's labels. Thread-safe.

    Args:
        sources: The place of each model; at least one.
        load: Makes the classifier of their folders, and of the ``decision`` file where its place is given.
        decision: The place of a ``decision.json`` outside the models' folders.
        refresh_seconds: How often to check for new versions; 0 is never.
        clock: Monotonic seconds.
        now: The wall clock; aware UTC.
    """

    def __init__(  # noqa: PLR0913 - the places, and what time it is
        self,
        sources: Sequence[ModelSource],
        load: Callable[..., Loadable],
        *,
        decision: DecisionBlob | None = None,
        refresh_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._models = tuple(sources)
        self._decision = decision
        self._load = load
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._now = now
        self._loaded: _Loaded[Loadable] | None = None
        self._served: dict[str, tuple[str, ...]] = {}  # by the version in the model's identity
        self._refused: tuple[tuple[str, ...], str] | None = None
        self._last_error = ""
        self._next_check = 0.0
        self._first_load = threading.Lock()
        self._refreshing = threading.Lock()

    @classmethod
    def from_settings(cls, settings: Settings, service: BlobServiceClient, load: Callable[..., Loadable]) -> Self:
        """Follow the models that the settings name. Nothing is loaded and no request is sent.

        Args:
            settings: ``MODEL_DIR`` or ``MODEL_BLOB``, ``DECISION_BLOB``, and how to follow blobs.
            service: A pooled client of the images' account, which also has the models of blob storage.
            load: See ``HotSwapModel``.
        """
        cache = ModelCache(settings.model_cache_dir)
        sources: list[ModelSource] = [LocalModel(folder) for folder in settings.model_dirs]
        sources += [BlobModel(service, folder, cache) for folder in settings.model_blobs]
        decision = DecisionBlob(service, settings.decision_blob, cache) if settings.decision_blob else None
        follows = settings.model_blobs or decision
        refresh_seconds = settings.model_refresh_seconds if follows else 0
        return cls(sources, load, decision=decision, refresh_seconds=refresh_seconds)

    def current(self) -> Loadable:
        """Return the model that serves. The first call fetches and loads it, and concurrent calls wait for that.

        A call never waits for a newer version: when a check is due, it starts a thread.

        Raises:
            ModelError: There is no usable model; the next call tries again.
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused.
        """
        loaded = self._loaded
        if loaded is None:
            with self._first_load:
                loaded = self._loaded
                if loaded is None:
                    loaded = self._load_versions(self._current_versions())
                    self._swap_in(loaded)
        elif self._is_check_due() and self._refreshing.acquire(blocking=False):
            self._next_check = self._clock() + self._refresh_seconds
            threading.Thread(target=self._refresh, name="model-refresh", daemon=True).start()
        return loaded.model

    def is_current(self, model_version: str) -> bool | None:
        """Whether a model that this process has served is the one that every place names at this moment.

        One request per place, two for copied files. If it is not, the next call of ``current`` checks for the newer
        version at once. A version that this process has refused does not count: the present model stays current.

        Args:
            model_version: The version in the model's identity.

        Returns:
            ``None`` where it is not known: the places are folders of this machine, or cannot be read.

        Raises:
            TransientError: Storage failed for now.
        """
        if not all(source.is_shared for source in self._models):
            return None
        try:
            named = tuple(source.current_version().version for source in self._models)
        except ConfigurationError:
            return None
        refused = self._refused[0][: len(named)] if self._refused else None
        if refused == named and self._loaded is not None:
            return self._loaded.model.model.version == model_version
        if self._served.get(model_version) == named:
            return True
        self._next_check = self._clock()
        return False

    def load_in_background(self) -> None:
        """Start a thread that fetches and loads the model, so that the first invocation waits for less."""
        threading.Thread(target=self._load_first, name="model-load", daemon=True).start()

    def _load_first(self) -> None:
        try:
            self.current()
        except ClassificationError as error:
            logger.error("model_not_loaded error=%s", error)  # noqa: TRY400 - the message is the whole explanation

    def _is_check_due(self) -> bool:
        return self._refresh_seconds > 0 and self._clock() >= self._next_check

    def _refresh(self) -> None:
        """Check for new versions and swap in those that can be used; after any failure the present model stays."""
        try:
            versions = self._current_versions()
            names = tuple(version.version for version in versions)
            if self._loaded is not None and names == self._loaded.versions:
                self._last_error = ""
                return
            if self._is_changing(versions):
                self._next_check = self._clock() + min(self._refresh_seconds, _DEBOUNCE_SECONDS)
                return
            self._swap_in(self._load_versions(versions))
        except (TransientError, OSError, MemoryError) as error:
            self._log_not_refreshed(str(error) or type(error).__name__)
        except ClassificationError as error:
            if str(error) != self._last_error:  # once for each fault, not at each check
                self._last_error = str(error)
                self._log_refused(";".join(str(source) for source in self._sources), error)
        finally:
            self._refreshing.release()

    @property
    def _sources(self) -> tuple[ModelSource, ...]:
        return (*self._models, self._decision) if self._decision else self._models

    def _current_versions(self) -> tuple[ModelVersion, ...]:
        return tuple(source.current_version() for source in self._sources)

    def _is_changing(self, versions: Sequence[ModelVersion]) -> bool:
        """Whether copied files changed so recently that more may follow."""
        debounce = timedelta(seconds=min(self._refresh_seconds, _DEBOUNCE_SECONDS))
        ages = [self._now() - version.changed_at for version in versions if version.changed_at is not None]
        return any(age < debounce for age in ages)

    def _load_versions(self, versions: Sequence[ModelVersion]) -> _Loaded[Loadable]:
        """Fetch and load; refuse versions whose content was refused before without loading them again.

        Only a fault of the content is remembered. A download that was damaged, a file that is missing from the cache, a
        full disk, exhausted memory or open files may be gone at the next call.
        """
        names = tuple(version.version for version in versions)
        if self._refused is not None and self._refused[0] == names:
            raise ModelError(self._refused[1])
        folders = [source.fetch(version) for source, version in zip(self._sources, versions, strict=True)]
        options = {"decision": folders.pop() / DECISION_FILE} if self._decision else {}
        try:
            return _Loaded(names, self._load(*folders, **options))
        except ModelFileError:
            raise
        except ModelError as error:
            sentence = str(error)
            for file in options.values():  # a person knows the blob, not its copy on this machine
                sentence = sentence.replace(str(file), str(self._decision))
            self._refused = (names, sentence)
            raise ModelError(sentence) from error

    def _swap_in(self, loaded: _Loaded[Loadable]) -> None:
        self._served[loaded.model.model.version] = loaded.versions[: len(self._models)]
        self._loaded = loaded
        self._last_error = ""
        self._next_check = self._clock() + self._refresh_seconds
        self._log_serving(loaded.model.model, loaded.versions)

    def _log_serving(self, model: ModelIdentity, versions: tuple[str, ...]) -> None:
        logger.info("model_serving name=%r version=%s blob_version=%s", model.name, model.version, versions)

    def _log_not_refreshed(self, error: str) -> None:
        logger.warning("model_not_refreshed error=%s", error)

    def _log_refused(self, places: str, error: ClassificationError) -> None:
        serving = self._loaded.model.model if self._loaded else None
        keeps = f"{serving.name}:{serving.version}" if serving else None
        logger.error("model_refused at=%s error=%s keeps=%s do=publish_a_version_that_works", places, error, keeps)
