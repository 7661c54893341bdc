"""Acts on a result after its commit; without actions in the settings it does nothing and sends no request."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.errors import ClassificationError
from storage.actions.index_tags import IndexTags

if TYPE_CHECKING:
    from storage.clients import Clients
    from storage.results.record import Record
    from storage.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Actions:
    """The actions that the settings ask for. Thread-safe.

    Attributes:
        tags: Writes index tags on the image; ``None`` writes none.
    """

    tags: IndexTags | None = None

    def after_commit(self, record: Record, *, tag_count: int | None = None) -> None:
        """Act on a result that was just committed.

        Tags that cannot be written are logged and cost no retry of the image: ``reconcile`` writes them.

        Args:
            record: The committed result.
            tag_count: How many tags the blob had when it was read; ``None`` where that is not known.
        """
        if self.tags is None:
            return
        try:
            self.tags.write(record, tag_count=tag_count)
        except ClassificationError as error:
            logger.error("image_not_tagged image=%s error=%s", json.dumps(str(record.image)), error)  # noqa: TRY400


def chosen_actions(settings: Settings, clients: Clients) -> Actions:
    """The actions that the settings ask for. No request is sent."""
    return Actions(IndexTags(clients.blobs) if settings.tag_images else None)
