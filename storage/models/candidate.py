"""A candidate on trial: loaded and replaced like the model, but nothing ever waits for it."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from storage.models.hot_swap import HotSwapModel, Loadable

if TYPE_CHECKING:
    from inference.errors import ClassificationError
    from inference.predictions import ModelIdentity

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 60.0


class CandidateModel(HotSwapModel[Loadable]):
    """A ``HotSwapModel`` whose failures are warnings. Thread-safe."""

    def ready(self) -> Loadable | None:
        """Return the candidate if it is loaded. Otherwise start a thread that loads it, at most once a minute.

        Raises nothing and never waits. What keeps the candidate from loading is logged once.
        """
        if self._loaded is not None:
            return self.current()
        if self._clock() >= self._next_check and self._refreshing.acquire(blocking=False):
            self._next_check = self._clock() + _RETRY_SECONDS
            threading.Thread(target=self._refresh, name="shadow-load", daemon=True).start()
        return None

    def _log_serving(self, model: ModelIdentity, versions: tuple[str, ...]) -> None:
        logger.info("shadow_serving name=%r version=%s blob_version=%s", model.name, model.version, versions)

    def _log_not_refreshed(self, error: str) -> None:
        if error != self._last_error:
            self._last_error = error
            logger.warning("shadow_not_refreshed error=%s", error)

    def _log_refused(self, places: str, error: ClassificationError) -> None:
        logger.warning("shadow_refused at=%s error=%s do=publish_a_candidate_that_works", places, error)
