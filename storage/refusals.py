"""Decides what a refused read of a blob concerns: that blob alone, or the whole account.

The status alone does not say it: 403 is the answer to a wrong role and to the ACL of one folder, 409 to a blob in the
archive tier and to a container that is being deleted. Codes:
https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
"""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING

from inference.errors import ClassificationError, printable
from storage.errors import REFUSED_STATUSES, error_code

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.exceptions import HttpResponseError

ARCHIVE_TIER = "Archive"
ARCHIVED_CODES = {
    "BlobArchived": "The blob is in the archive tier: rehydrate it, then run again.",
    "BlobBeingRehydrated": "The blob is being rehydrated from the archive tier: run again when that has ended.",
}
"""The codes of a blob that cannot be read because of its tier, and the sentence for each."""
PASSING_CODES = frozenset({"AccountBeingCreated", "ContainerBeingDeleted", "ContainerDisabled"})
"""Codes of 409 that pass by themselves, or concern the whole container."""
ACCOUNT_CODES = frozenset(
    {
        "AccountIsDisabled", "AuthenticationFailed", "AuthorizationFailure", "AuthorizationProtocolMismatch",
        "AuthorizationResourceTypeMismatch", "AuthorizationServiceMismatch", "AuthorizationSourceIPMismatch",
        "FeatureVersionMismatch", "InsufficientAccountPermissions", "InvalidAuthenticationInfo",
        "KeyBasedAuthenticationNotPermitted", "NoAuthenticationInformation", "PublicAccessNotPermitted",
    }
)  # fmt: skip
"""Codes that concern the key, the identity, the network or the account, and so every blob."""
# Refusals that may concern one blob: its ACL, its encryption key, its kind, its name.
_ONE_BLOB_STATUSES = REFUSED_STATUSES - {HTTPStatus.UNAUTHORIZED}


class FailureReason(StrEnum):
    """Why a row says ``failed``. The codes are stable, because queries filter on them."""

    GAVE_UP = "gave_up"
    ARCHIVED = "archived"
    UNREADABLE = "unreadable"


class RefusedBlobError(ClassificationError):
    """Storage refuses to return this blob and will refuse again, while it returns others.

    Attributes:
        reason: The code for the row.
        detail: One sentence for a person.
    """

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def refused_blob(
    error: HttpResponseError, name: str, is_another_readable: Callable[[], bool]
) -> RefusedBlobError | None:
    """Return the error for one blob if a failed read concerns that blob alone; ``None`` for every other failure.

    Args:
        error: The failure.
        name: The blob, for the sentence.
        is_another_readable: Asked only where the code does not decide, because it costs requests.

    Raises:
        TransientError, ConfigurationError: ``is_another_readable`` raised it.
    """
    code, status = error_code(error), error.status_code
    if sentence := ARCHIVED_CODES.get(code):
        return RefusedBlobError(FailureReason.ARCHIVED, sentence)
    if status == HTTPStatus.CONFLICT:
        is_refused = code not in PASSING_CODES
    else:
        is_refused = status in _ONE_BLOB_STATUSES and code not in ACCOUNT_CODES and is_another_readable()
    if not is_refused:
        return None
    answer = f"{status} {code}".strip()
    return RefusedBlobError(
        FailureReason.UNREADABLE,
        f"Storage does not return {printable(name)} ({answer}), while it returns others: look at the blob's encryption"
        " key, its access control list and its kind, then redrive it.",
    )
