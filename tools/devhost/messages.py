"""The message on the internal queue: a function, a blob, and the blob's version.

Its wire form is the Functions host's, field for field, so each host can serve the other's messages.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass

_FUNCTION_PREFIX = "Host.Functions."
# The host reads BlobType into an enumeration of .NET, which also takes its numbers.
_BLOB_TYPE = re.compile(r"(Block|Page|Append)(Blob)?|[+-]?\d{1,9}", re.ASCII)


class UndecodableMessageError(Exception):
    """A queue message's text is not Base64, the encoding of its queue."""


class NotTextError(Exception):
    """The bytes of a queue message are not UTF-8, and its function takes text."""


class FatalMessageError(Exception):
    """A message on the internal queue at which the Functions host ends its process."""


def internal_queue(host_id: str) -> str:
    """Return the name of the queue between discovery and invocation."""
    return f"azure-webjobs-blobtrigger-{host_id}"


# Fixed, one for each storage account.
BLOB_POISON_QUEUE = "webjobs-blobtrigger-poison"


def function_id(function_name: str) -> str:
    """Return a function's id in messages and receipts."""
    return _FUNCTION_PREFIX + function_name


def function_name(function_id: str) -> str:
    """Return the function's name for both forms that the host knows: ``Host.Functions.<name>`` and ``<name>``."""
    return function_id.removeprefix(_FUNCTION_PREFIX)


@dataclass(frozen=True, slots=True)
class BlobTriggerMessage:
    """One candidate blob for one function.

    Attributes:
        function_id: ``Host.Functions.<name>`` or the bare name.
        container: Empty when the message names none.
        blob_name: Empty when the message names none.
        etag: The ETag of the version that was found, with its double quotes; empty when the message has none.
        blob_type: ``BlockBlob``, ``PageBlob`` or ``AppendBlob``; another text in a message that was not ours.
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
        """Read a message. Names of fields have no case, numbers are read as text, ``Type`` has no meaning.

        Raises:
            UndecodableMessageError: Not Base64.
            FatalMessageError: Not the JSON of a message, or it names no function.
        """
        content = decode_base64(body)
        try:
            document = json.loads(content.decode())
        except ValueError as error:
            raise FatalMessageError("it is not JSON") from error
        if not isinstance(document, dict):
            raise FatalMessageError("it is not a JSON object")
        fields = {name.lower(): value for name, value in document.items() if value is not None}
        for name in ("Type", "FunctionId", "BlobType", "ContainerName", "BlobName", "ETag"):
            if isinstance(fields.get(name.lower()), list | dict):
                raise FatalMessageError(f"its {name} is not text")
        if "functionid" not in fields:
            raise FatalMessageError("it has no FunctionId")
        blob_type = str(fields.get("blobtype", "BlockBlob"))
        if not _BLOB_TYPE.fullmatch(blob_type):
            raise FatalMessageError("its BlobType is unknown")
        function, container, blob_name, etag = (
            str(fields.get(name, "")) for name in ("functionid", "containername", "blobname", "etag")
        )
        return cls(function, container, blob_name, etag, blob_type)

    def require_blob(self) -> None:
        """Raise ``FatalMessageError`` unless the message names a container and a blob."""
        for name, value in (("ContainerName", self.container), ("BlobName", self.blob_name)):
            if not value:
                raise FatalMessageError(f"it has no {name}")


def decode_base64(body: str) -> bytes:
    """Decode a queue message's text; white space in it has no meaning.

    Raises:
        UndecodableMessageError: It is not Base64.
    """
    try:
        return base64.b64decode(re.sub(r"[ \t\r\n]", "", body), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UndecodableMessageError("its text is not Base64") from error
