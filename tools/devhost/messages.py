"""The message on the internal queue: a function, a blob, and the blob's version.

Its wire form is the Functions host's, field for field, so each host can serve the other's messages.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

_FUNCTION_PREFIX = "Host.Functions."


class UnreadableMessageError(Exception):
    """A queue message has the wrong format. It can never be served, so it goes to the poison queue."""


def internal_queue(host_id: str) -> str:
    """Return the name of the queue between discovery and invocation."""
    return f"azure-webjobs-blobtrigger-{host_id}"


# Fixed, one for each storage account.
BLOB_POISON_QUEUE = "webjobs-blobtrigger-poison"


def function_id(function_name: str) -> str:
    """Return a function's id in messages and receipts."""
    return _FUNCTION_PREFIX + function_name


def function_name(function_id: str) -> str:
    """Return the function's name for both forms in use, ``Host.Functions.X`` and ``Functions.X``."""
    return function_id.removeprefix("Host.").removeprefix("Functions.")


@dataclass(frozen=True, slots=True)
class BlobTriggerMessage:
    """One candidate blob for one function.

    Attributes:
        function_id: ``Host.Functions.<name>``, or the short form without ``Host.``.
        etag: The ETag of the version that was found, with its double quotes.
        blob_type: ``BlockBlob``, ``PageBlob`` or ``AppendBlob``.
    """

    function_id: str
    container: str
    blob_name: str
    etag: str
    blob_type: str = "BlockBlob"

    def to_wire(self) -> str:
        """Return the message body: indented JSON, in Base64."""
        fields = {
            "Type": "BlobTrigger",
            "FunctionId": self.function_id,
            "BlobType": self.blob_type,
            "ContainerName": self.container,
            "BlobName": self.blob_name,
            "ETag": self.etag,
        }
        text = json.dumps(fields, indent=2, ensure_ascii=False)
        # Some names hold lone surrogates in Python; the service has none, so this cannot lose anything.
        return base64.b64encode(text.encode("utf-8", errors="replace")).decode("ascii")

    @classmethod
    def from_wire(cls, body: str) -> BlobTriggerMessage:
        """Read a message of this host or of the Functions host.

        Raises:
            UnreadableMessageError: Not Base64, not JSON, or a field is missing.
        """
        try:
            fields = json.loads(decode_base64(body))
            values = [fields[key] for key in ("FunctionId", "ContainerName", "BlobName")]
            etag, blob_type = fields.get("ETag") or "", fields.get("BlobType") or "BlockBlob"
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnreadableMessageError(f"not a blob trigger message ({type(error).__name__})") from error
        if not all(isinstance(value, str) and value for value in values) or not isinstance(etag, str):
            raise UnreadableMessageError("not a blob trigger message (a field is empty or no text)")
        function, container, blob_name = values
        return cls(function, container, blob_name, etag, {"Block": "BlockBlob"}.get(str(blob_type), str(blob_type)))


def decode_base64(body: str) -> bytes:
    """Decode a queue message's text.

    Raises:
        UnreadableMessageError: It is not Base64.
    """
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableMessageError("its text is not Base64") from error
