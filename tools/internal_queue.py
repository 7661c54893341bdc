"""The Functions host's internal queue, which holds the blobs that it found, and the messages that stop the host there.

The rules are those of Microsoft.Azure.WebJobs.Extensions.Storage.Blobs 5.3.10, checked by
``tests/tools/webjobs/test_internal_queue.py``: a message that the extension cannot read ends the process, returns after
ten minutes, and ends it again.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

PREFIX = "azure-webjobs-blobtrigger-"
_BLOB_TYPES = {"block", "page", "append", "blockblob", "pageblob", "appendblob"}


def stops_host(text: str) -> str | None:
    """Return why a message on the internal queue ends the host's process, or ``None`` if it does not."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None  # the host deletes it, with a line in its log
    try:
        document = json.loads(content) if content.strip() else None
    except (ValueError, RecursionError):
        return "it is not JSON"
    if not isinstance(document, dict):
        return "it is empty" if document is None else "it is not a JSON object"
    return _incomplete({name.lower(): value for name, value in document.items()})


def _incomplete(fields: dict[str, Any]) -> str | None:
    for name in ("FunctionId", "ContainerName", "BlobName"):
        if not isinstance(fields.get(name.lower()), str):
            return f"it has no {name}"
    is_known = str(fields.get("blobtype", "BlockBlob")).lower() in _BLOB_TYPES
    return None if is_known else "it has an unknown BlobType"
