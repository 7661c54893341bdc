"""A function's arguments: the trigger's object and the context, made as the Python worker makes them.

The converters of ``azure.functions`` and of the bindings extension make them, so an app behaves here as on Azure. That
includes a trap: without ``data_type=BINARY`` the host reads a blob as text, and every byte that is not UTF-8 is lost.
"""

from __future__ import annotations

import inspect
import json
import threading
import typing
from typing import TYPE_CHECKING, Any

import azure.functions as func
from azure.functions import blob as blob_binding
from azure.functions import meta
from azure.functions import queue as queue_binding
from azure.functions import timer as timer_binding
from azurefunctions.extensions.base import Datum as ExtensionDatum
from azurefunctions.extensions.base import SdkType
from azurefunctions.extensions.bindings.blob import BlobClientConverter

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from azure.storage.blob import BlobClient, BlobProperties
    from azure.storage.queue import QueueMessage

    from tools.devhost.app import AppFunction


class InvocationContext(func.Context):
    """The ``context`` argument of a function that asks for it."""

    def __init__(self, function_name: str, directory: str, invocation_id: str) -> None:
        self._function_name = function_name
        self._directory = directory
        self._invocation_id = invocation_id
        self._local = threading.local()
        self._local.invocation_id = invocation_id

    @property
    def invocation_id(self) -> str:
        """Of this one invocation, a UUID."""
        return self._invocation_id

    @property
    def function_name(self) -> str:
        """As registered."""
        return self._function_name

    @property
    def function_directory(self) -> str:
        """The app's folder."""
        return self._directory

    @property
    def thread_local_storage(self) -> Any:
        """A ``threading.local`` that holds the invocation id."""
        return self._local

    @property
    def trace_context(self) -> Any:
        """None: nothing traces here."""
        return None

    @property
    def retry_context(self) -> Any:
        """None: blob and queue triggers have no retry policy in the runtime."""
        return None


class ModelBindingData(typing.NamedTuple):
    """The reference that the host sends instead of a blob's bytes. ``Connection`` in it is a setting's name."""

    version: str
    source: str
    content_type: str
    content: str


def trigger_type(function: AppFunction) -> Any:
    """Return the annotation of the trigger's parameter, or ``None``."""
    try:
        hints = typing.get_type_hints(function.call)
    except (NameError, TypeError):  # a name that exists for type checkers only
        hints = getattr(function.call, "__annotations__", {})
    return hints.get(function.parameter)


def arguments(function: AppFunction, trigger: object, context: InvocationContext) -> dict[str, object]:
    """Return the keyword arguments of one call."""
    parameters = inspect.signature(function.call).parameters
    return {function.parameter: trigger} | ({"context": context} if "context" in parameters else {})


def is_reference(function: AppFunction) -> bool:
    """Whether the parameter is of an SDK type, which gets a reference and not the bytes."""
    annotation = trigger_type(function)
    return isinstance(annotation, type) and issubclass(annotation, SdkType)


def blob_reference(function: AppFunction, connection: str, container: str, blob_name: str) -> object:
    """Build the SDK-type argument through the bindings extension."""
    content = json.dumps({"Connection": connection, "ContainerName": container, "BlobName": blob_name})
    data = ModelBindingData("1.0", "AzureStorageBlobs", "application/json", content)
    datum = ExtensionDatum(data, "model_binding_data")
    return BlobClientConverter.decode(datum, trigger_metadata=None, pytype=trigger_type(function))


def input_stream(blob: BlobClient, properties: BlobProperties, *, binary: bool) -> object:
    """Download a blob as the host does for ``InputStream``: whole, and as text unless ``binary``."""
    content = blob.download_blob().readall()
    datum = meta.Datum(content, "bytes") if binary else meta.Datum(as_text(content), "string")
    facts = {
        "ContentLength": properties.size,
        "ContentType": properties.content_settings.content_type,
        "LastModified": properties.last_modified.isoformat(),
        "ETag": properties.etag,
    }
    metadata = {
        "BlobTrigger": meta.Datum(f"{blob.container_name}/{blob.blob_name}", "string"),
        "Uri": meta.Datum(json.dumps(blob.url.partition("?")[0]), "json"),
        "Properties": meta.Datum(json.dumps(facts), "json"),
        "Metadata": meta.Datum(json.dumps(properties.metadata or {}), "json"),
    }
    decode: Callable[..., object] = blob_binding.BlobConverter.decode
    return decode(datum, trigger_metadata=metadata)


def as_text(content: bytes) -> str:
    """Read bytes as .NET's text reader does: UTF-8, the byte order mark dropped, invalid bytes replaced."""
    return content.decode("utf-8-sig", errors="replace")


def queue_message(message: QueueMessage, body: bytes) -> object:
    """Build ``azure.functions.QueueMessage``."""
    metadata = {
        "Id": meta.Datum(message.id, "string"),
        "DequeueCount": meta.Datum(message.dequeue_count, "int"),
        "InsertionTime": meta.Datum(_time(message.inserted_on), "string"),
        "ExpirationTime": meta.Datum(_time(message.expires_on), "string"),
        "NextVisibleTime": meta.Datum(_time(message.next_visible_on), "string"),
        "PopReceipt": meta.Datum(message.pop_receipt, "string"),
    }
    # The host sends UTF-8 as text and anything else as bytes; the object's body is bytes either way.
    return queue_binding.QueueMessageInConverter.decode(meta.Datum(body, "bytes"), trigger_metadata=metadata)


def timer_request(*, past_due: bool, last: str | None, upcoming: str | None) -> object:
    """Build ``azure.functions.TimerRequest``."""
    status = {"Last": last, "Next": upcoming, "LastUpdated": last}
    document = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": past_due}
    return timer_binding.TimerRequestConverter.decode(meta.Datum(json.dumps(document), "json"), trigger_metadata=None)


def _time(value: datetime | None) -> str | None:
    return value.strftime("%Y-%m-%dT%H:%M:%S+00:00") if value else None
