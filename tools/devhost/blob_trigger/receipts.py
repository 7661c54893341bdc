"""Receipts record that a version of a blob was queued for a function, so that a restart repeats nothing.

The protocol is the Functions host's. An empty blob is created with the mark ``Incomplete``; under a 30 s lease the
message is queued and the mark removed. A receipt without the mark says "queued", not "succeeded", and is never deleted.

    create (If-None-Match: *)  -->  lease  -->  read again  -->  queue  -->  remove mark  -->  release
    A crash after "queue" leaves the mark: the message is sent a second time later, never lost.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from tools.devhost.accounts import restore_container

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azure.storage.blob import BlobClient, BlobLeaseClient, ContainerClient

    from tools.devhost.messages import BlobTriggerMessage

HOSTS_CONTAINER = "azure-webjobs-hosts"
_INCOMPLETE = {"Incomplete": "Incomplete"}
_LEASE_SECONDS = 30
_MAX_BLOB_NAME = 1024


def receipt_path(host_id: str, message: BlobTriggerMessage) -> str:
    """Return the receipt's blob name; the ETag in it keeps its quotes."""
    start = f"blobreceipts/{host_id}/{message.function_id}/{message.etag}/{message.container}/"
    path = start + message.blob_name
    if len(path) <= _MAX_BLOB_NAME:
        return path
    # The real host cannot write a receipt for such a long name and tries for ever; a digest stands in here.
    return start + hashlib.sha256(message.blob_name.encode("utf-8", errors="surrogatepass")).hexdigest()


def queue_once(hosts: ContainerClient, host_id: str, message: BlobTriggerMessage, enqueue: Callable[[], None]) -> bool:
    """Call ``enqueue`` unless a receipt says that it was done before.

    Returns:
        True when the message is known to be queued, by us or by another host; False while another host is queueing
        it: ask again later.

    Raises:
        azure.core.exceptions.AzureError: Storage failed; try again later.
    """
    receipt = hosts.get_blob_client(receipt_path(host_id, message))
    try:
        receipt.upload_blob(b"", metadata=_INCOMPLETE, overwrite=False)
    except ResourceNotFoundError:  # the container of the receipts was deleted, not the blob
        restore_container(hosts)
        return False
    except ResourceExistsError:
        try:
            if _is_complete(receipt):
                return True
        except ResourceNotFoundError:
            return False
    try:
        lease = receipt.acquire_lease(_LEASE_SECONDS)
    except (ResourceExistsError, ResourceNotFoundError):
        return False
    with _released(lease):
        try:
            if not _is_complete(receipt):
                enqueue()
                receipt.set_blob_metadata({}, lease=lease)
        except ResourceNotFoundError:  # the receipt was deleted meanwhile; a second message is harmless, none is not
            return False
    return True


def _is_complete(receipt: BlobClient) -> bool:
    return "Incomplete" not in (receipt.get_blob_properties().metadata or {})


@contextlib.contextmanager
def _released(lease: BlobLeaseClient) -> Iterator[None]:
    try:
        yield
    finally:
        # The lease expires by itself; an error here must not hide the one that ended the block.
        with contextlib.suppress(HttpResponseError):
            lease.release()
