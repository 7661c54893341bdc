"""Blob index tags that state an image's result on the image itself: status, label, score band and model.

Set Blob Tags changes neither ETag nor Last-Modified of the blob and raises no event, so the trigger does not fire again
(learn.microsoft.com/azure/storage/blobs/storage-manage-find-blobs). Tags follow rows: the row decides, and
``reconcile`` writes the tags that differ from it. A new content of the blob begins without tags.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

from storage.errors import error_code, translate, translate_errors
from storage.etags import quoted_etag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.storage.blob import BlobClient, BlobServiceClient

    from storage.results.record import Record

logger = logging.getLogger(__name__)

NAMES = ("label", "status", "score", "model")
"""The tags of this app, most useful first; tags of other names belong to others and stay."""
_MAX_TAGS = 10  # of one blob, with a value of at most 256 characters: limits of Azure Storage
_MAX_VALUE = 256
# Tags allow a space too, but XML readers may drop one at either end. `=` begins an escape.
_UNSAFE = re.compile(r"^ | $|[^A-Za-z0-9 +\-./:_]")
# The answers of an account that has no index tags: a hierarchical namespace refuses the query parameter `comp=tags`
# (github.com/Azure/azure-sdk-for-net/issues/39388), general-purpose v1 accounts the operation.
_UNSUPPORTED_CODES = frozenset(
    {
        "BlobApiNotYetSupportedForHierarchicalNamespaceAccounts",
        "BlobTagsNotSupportedForAccountType",
        "FeatureNotEnabled",
        "FeatureNotYetSupportedForHierarchicalNamespaceAccounts",
        "InvalidQueryParameterValue",
    }
)
_CONDITION_CODES = frozenset({"ConditionNotMet", "TargetConditionNotMet"})
# A lease, a tier, an immutability policy, a tag of another app that storage does not accept again.
_ONE_BLOB_STATUSES = frozenset({400, 409, 412})


class IndexTags:
    """Writes tags on images. Thread-safe.

    Args:
        service: A pooled client of the image account. Its identity needs the permission to write tags, which Storage
            Blob Data Owner has and Storage Blob Data Contributor has not; a SAS needs ``t``.
    """

    def __init__(self, service: BlobServiceClient) -> None:
        self._service = service
        self._is_supported = True

    def write(self, record: Record, *, tag_count: int | None = None) -> bool:
        """Write the tags of a result on the content that it is about. Tags of others stay.

        Args:
            record: The committed result.
            tag_count: How many tags the blob had when it was read: 0 saves the request that reads them. ``None`` where
                that is not known.

        Returns:
            Whether the blob has the tags now. It has not where the account has no index tags, where the blob has a
            newer content or is deleted, and where storage refuses this blob alone, which is logged.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused the request.
        """
        if not self._is_supported:
            return False
        blob = self._service.get_blob_client(record.container, record.blob_name)
        same: dict[str, Any] = {
            "etag": quoted_etag(record.etag),
            "match_condition": MatchConditions.IfNotModified,
        }
        try:
            present = {} if tag_count == 0 else blob.get_blob_tags(**same)
            blob.set_blob_tags(merged(present, tags_of(record)), **same)
        except ResourceNotFoundError:
            return False
        except AzureError as error:
            return self._refused(blob, error)
        return True

    def are_supported(self, container: str) -> bool:
        """Whether the account has index tags; a container that does not exist says nothing, and counts as yes.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refuses to list tags.
        """
        blobs = self._service.get_container_client(container).list_blobs(include=["tags"], results_per_page=1)
        with translate_errors(f"listing the tags of the container {container}"):
            try:
                next(blobs.by_page(), None)
            except ResourceNotFoundError:
                pass
            except HttpResponseError as error:
                if error_code(error) not in _UNSUPPORTED_CODES:
                    raise
                self._turn_off(error)
        return self._is_supported

    def _refused(self, blob: BlobClient, error: AzureError) -> bool:
        """Decide what a refused request concerns; always false where it returns."""
        name = f"{blob.container_name}/{blob.blob_name}"
        code = error_code(error)
        if code in _UNSUPPORTED_CODES:
            self._turn_off(error)
        elif isinstance(error, HttpResponseError) and error.status_code in _ONE_BLOB_STATUSES:
            if code not in _CONDITION_CODES:
                answer = f"{error.status_code} {code}".strip()
                logger.warning("image_not_tagged image=%s error=%s", json.dumps(name), answer)
        else:
            raise translate(error, f"writing the tags of {name}") from None
        return False

    def _turn_off(self, error: AzureError) -> None:
        """Write no more tags in this process, and say so once."""
        if self._is_supported:
            self._is_supported = False
            logger.warning("tags_unsupported error=%s do=%s", error_code(error), json.dumps("set TAG_IMAGES=no"))


def tags_of(record: Record) -> dict[str, str]:
    """The tags of a result; only one with a label has ``label`` and ``score``, and a failed one no ``model``.

    ``score`` is the beginning of its band of a tenth: ``0.8`` for 0.8 and more, below 0.9. As texts these sort in the
    order of the scores, as a search by tags compares them.
    """
    tags: dict[str, str] = {}
    if record.label is not None:
        tags["label"] = encoded(record.label)
    tags["status"] = str(record.status)
    if record.score is not None:
        tags["score"] = f"{math.floor(record.score * 10) / 10:.1f}"
    if record.model:
        tags["model"] = encoded(record.model)
    return tags


def merged(present: Mapping[str, str] | None, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of others, and as many of ours as a blob has room for."""
    others = {name: value for name, value in (present or {}).items() if name not in NAMES}
    return {**others, **dict(list(tags.items())[: _MAX_TAGS - len(others)])}


def encoded(text: str) -> str:
    """A tag's value for any text: what a tag cannot hold becomes ``=XX`` per UTF-8 byte, as in quoted-printable.

    At most 256 characters; a longer value is cut and ends in ``==`` and the SHA-256 of the text, as keys of tables do.
    """
    value = _UNSAFE.sub(lambda match: "".join(f"={byte:02X}" for byte in match[0].encode()), text)
    if len(value) <= _MAX_VALUE:
        return value
    suffix = f"=={hashlib.sha256(text.encode()).hexdigest()}"
    return value[: _MAX_VALUE - len(suffix)] + suffix
