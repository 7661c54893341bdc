"""Event Grid events about blobs, as Azure Storage publishes them and the host's webhook takes them."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

CREATED = "Microsoft.Storage.BlobCreated"
DELETED = "Microsoft.Storage.BlobDeleted"


def blob_event(url: str, *, kind: str = CREATED, content_length: int = 1) -> dict[str, Any]:
    """Return the event of one blob, in the Event Grid schema.

    Args:
        url: The blob's, encoded, as its client has it. An emulator's URL has the account at the start of its path.
        kind: The event's type.
        content_length: The blob's length in bytes.
    """
    parts = urlsplit(url)
    names = unquote(parts.path).removeprefix("/")
    if parts.hostname == "127.0.0.1":
        names = names.partition("/")[2]
    container, _, name = names.partition("/")
    return {
        "id": names,
        "topic": "/subscriptions/0/resourceGroups/0/providers/Microsoft.Storage/storageAccounts/0",
        "subject": f"/blobServices/default/containers/{container}/blobs/{name}",
        "eventType": kind,
        "eventTime": "2026-01-01T00:00:00Z",
        "dataVersion": "",
        "metadataVersion": "1",
        "data": {
            "api": "DeleteBlob" if kind == DELETED else "PutBlob",
            "eTag": "0x1",  # the host does not compare it
            "contentType": "image/jpeg",
            "contentLength": content_length,
            "blobType": "BlockBlob",
            "url": url,
        },
    }
