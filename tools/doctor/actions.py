"""Checks what acting on results needs, where the settings ask for it. Writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError

from inference.errors import ConfigurationError
from inference.predictions import UNKNOWN
from storage.actions.index_tags import IndexTags
from tools.doctor.findings import ok, problem, warning
from tools.doctor.queues import NO_RETRIES
from tools.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference.classifier import Classifier
    from storage.clients import Clients
    from tools.doctor.findings import Finding


def check_tags(clients: Clients, container: str) -> list[Finding]:
    """Check that the account has index tags, and that this identity may read them."""
    try:
        are_supported = IndexTags(clients.blobs).are_supported(container)
    except ConfigurationError as error:
        return [problem("tags", f"{error} Index tags (TAG_IMAGES=yes) need the role Storage Blob Data Owner.")]
    if not are_supported:
        return [
            warning(
                "tags",
                "This account has no blob index tags, as one with a hierarchical namespace (ADLS Gen2) has none: "
                "images are classified without. Set TAG_IMAGES=no.",
            )
        ]
    return [ok("tags", f"Index tags of the container {container} can be read.")]


def check_notifications(clients: Clients, name: str) -> list[Finding]:
    """Count the messages about results that wait to be read."""
    try:
        properties = clients.queues.get_queue_client(name).get_queue_properties(**NO_RETRIES)
    except ResourceNotFoundError as error:
        if not getattr(error, "error_code", None):  # another kind of server
            raise
        return [ok("queues", f"The queue {name} (NOTIFY_QUEUE) does not exist yet: the first message creates it.")]
    count = int(properties.approximate_message_count or 0)
    return [ok("queues", f"{name} (NOTIFY_QUEUE) holds {count:,} messages about results for another program.")]


def check_labels(labels: frozenset[str], model: Classifier) -> Iterator[Finding]:
    """Check that results can have the labels of NOTIFY_LABELS; a decision.json may make others, so none is checked."""
    unknown = sorted(labels - {UNKNOWN, *model.spec.labels})
    if unknown and model.decision is None:
        names = ", ".join(map(printable, unknown))
        yield warning("settings", f"NOTIFY_LABELS names labels that the model does not have: {names}. Correct them.")
