"""Acts on a result after its commit; without actions in the settings it does nothing and sends no request."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.errors import ClassificationError
from storage.actions.index_tags import IndexTags
from storage.actions.notifications import Notifications

if TYPE_CHECKING:
    from storage.clients import Clients
    from storage.results.commit import ResultStore
    from storage.results.record import Record
    from storage.results.store import Stored
    from storage.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Actions:
    """The actions that the settings ask for. Thread-safe.

    Attributes:
        tags: Writes index tags on the image; ``None`` writes none.
        notifications: Sends a message to a queue; ``None`` sends none.
    """

    tags: IndexTags | None = None
    notifications: Notifications | None = None

    def after_commit(self, results: ResultStore, record: Record, *, tag_count: int | None = None) -> None:
        """Act on a result that was just committed.

        Tags that cannot be written are logged and cost no retry of the image: ``reconcile`` writes them. A message that
        cannot be sent fails the delivery; the next one finds the mark in the row.

        Args:
            results: Where the row is.
            record: The committed result.
            tag_count: How many tags the blob had when it was read; ``None`` where that is not known.

        Raises:
            TransientError: The message could not be sent for now.
            ConfigurationError: Storage refused the message.
        """
        if self.tags is not None:
            self._write_tags(self.tags, record, tag_count)
        if self.notifications is not None and self.notifications.matches(record):
            self.notifications.send_due(results, record.image)

    def after_duplicate(self, results: ResultStore, row: Stored | None) -> None:
        """Send the message that an earlier delivery did not; no request where none is due.

        Raises:
            TransientError: The message could not be sent for now.
            ConfigurationError: Storage refused the message.
        """
        if self.notifications is not None and row is not None and row.record is not None:
            self.notifications.send_due(results, row.record.image, row)

    @staticmethod
    def _write_tags(tags: IndexTags, record: Record, tag_count: int | None) -> None:
        try:
            tags.write(record, tag_count=tag_count)
        except ClassificationError as error:
            image = json.dumps(str(record.image))
            logger.error("image_not_tagged image=%s error=%s", image, error)  # noqa: TRY400 - it is the explanation


def chosen_actions(settings: Settings, clients: Clients) -> Actions:
    """The actions that the settings ask for. No request is sent."""
    queue = settings.notify_queue
    return Actions(
        IndexTags(clients.blobs) if settings.tag_images else None,
        Notifications(clients, queue, settings.notify_labels) if queue else None,
    )
