r"""Table keys for images and index rows. Pure functions, no I/O.

A folder is one partition: PartitionKey is the encoded ``container/folder``, RowKey the encoded file name. Table keys
may not hold ``/ \ # ?`` nor control characters, and ``%`` is known trouble in key URLs, so:

    /  ->  |            every other unsafe character  ->  =XX per UTF-8 byte

which is readable in a table browser and reversible. A key is at most 512 UTF-16 units (1 KiB); a longer one is cut and
ends in ``==`` and the SHA-256 of the whole name, so it stays unique. A column always holds the whole name.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

MAX_KEY_UNITS = 512
MAX_BLOB_NAME = 1024  # UTF-16 units
_DIGEST_DIGITS = 32
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f/\\#?%|=']")


class RowKeys(NamedTuple):
    """The address of one entity."""

    partition_key: str
    row_key: str


def encode_component(text: str) -> str:
    """Encode one name for a key. The result never contains ``|``."""
    return _UNSAFE.sub(lambda match: "".join(f"={byte:02X}" for byte in match[0].encode()), text)


def encode_path(path: str) -> str:
    """Encode a path of names; slashes become ``|``. At most 512 UTF-16 units."""
    return _bounded("|".join(map(encode_component, path.split("/"))), path)


def folder_of(blob_name: str) -> str | None:
    """The folder part of a blob name, without the last slash; ``None`` at the container's root."""
    folder, slash, _ = blob_name.rpartition("/")
    return folder if slash else None


def partition_key(container: str, folder: str | None) -> str:
    """PartitionKey of all images directly in one folder."""
    return encode_path(container if folder is None else f"{container}/{folder}")


def image_keys(container: str, blob_name: str) -> RowKeys:
    """The address of an image's row."""
    file_name = blob_name.rpartition("/")[2]
    return RowKeys(partition_key(container, folder_of(blob_name)), _bounded(encode_component(file_name), file_name))


def sidecar_name(blob_name: str) -> str:
    """The sidecar's blob name: ``<blob name>.json``. A name too long for a blob is cut and made unique by a hash.

    Names of the last two lengths are always cut ones, so no upload can have the sidecar name of another blob.
    """
    name = f"{blob_name}.json"
    if _utf16_units(name) < MAX_BLOB_NAME - 1:
        return name
    outcome = f"={hashlib.sha256(blob_name.encode()).hexdigest()}.json"
    return _cut(blob_name, MAX_BLOB_NAME - len(outcome)) + outcome


# --- the index table: newest first, every query a key range -------------------------------------------------------
#
#     label|<label>|<inverted day>        <inverted microseconds>|<image hash>      only classified images have a label
#     status|<status>|<inverted day>      <inverted microseconds>|<image hash>
#     taken||<inverted day>               <inverted microseconds>|<image hash>      of capture, by the camera's clock
#
#   label            partitions  label|cat|        .. label|cat}         status        likewise
#   label and day    partition   label|cat|79738879
#   day              partitions  status|classified|79738879, status|rejected|..., status|failed|...  (merged by RowKey)

TAKEN = ("taken", "")
"""Kind and value of the index by time of capture."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_DAY = 99_999_999
_LAST_MICROSECOND = 10**18 - 1


def inverted_day(time: datetime) -> str:
    """Eight digits that sort the newest UTC day first. ``time`` must be aware."""
    return f"{_LAST_DAY - int(time.astimezone(UTC).strftime('%Y%m%d')):08d}"


def inverted_time(time: datetime) -> str:
    """Eighteen digits that sort the newest time first, by microsecond. ``time`` must be aware, from 1970 on."""
    return f"{_LAST_MICROSECOND - (time - _EPOCH) // timedelta(microseconds=1):018d}"


def wall_clock(taken_at: object) -> datetime | None:
    """A capture time for keys: what the camera's clock displayed, as if it were UTC.

    ``None`` before 1970 and for all that is no time: a person may have edited the column.
    """
    if not isinstance(taken_at, str):
        return None
    try:
        taken = datetime.fromisoformat(taken_at).replace(tzinfo=UTC)
    except ValueError:
        return None
    return taken if taken >= _EPOCH else None


def index_partition(kind: str, value: str, time: datetime) -> str:
    """PartitionKey of the index rows of one value on one day."""
    return f"{index_prefix(kind, value)}{inverted_day(time)}"


def index_prefix(kind: str, value: str) -> str:
    """The beginning of every index partition of one value; the range ends where its last ``|`` becomes ``}``."""
    budget = MAX_KEY_UNITS - len(kind) - 10
    return f"{kind}|{_bounded(encode_component(value), value, budget)}|"


def index_row_key(container: str, blob_name: str, time: datetime) -> str:
    """RowKey of an image's index rows: time first, then a hash of the image's name."""
    return f"{inverted_time(time)}|{_digest(f'{container}/{blob_name}')}"


# --- the reviews table: partitions as in the results table ---------------------------------------------------------
#
#     incoming|site a        fox.jpg|<hash of the ETag>|<hash of the reviewer>        an image's reviews lie together


def review_keys(container: str, blob_name: str, etag: str, reviewer: str) -> RowKeys:
    """The address of one reviewer's review of one content of an image. ETags and reviewers are compared exactly."""
    partition, prefix = content_prefix(container, blob_name, etag)
    return RowKeys(partition, f"{prefix}{_digest(reviewer)}")


def content_prefix(container: str, blob_name: str, etag: str) -> RowKeys:
    """PartitionKey of the reviews of one content, and how their RowKeys begin; the last ``|`` becomes ``}`` at the end.

    A row key of the results table is shortened further here, for the two hashes behind it.
    """
    file_name = blob_name.rpartition("/")[2]
    name = _bounded(encode_component(file_name), file_name, MAX_KEY_UNITS - 2 * (1 + _DIGEST_DIGITS))
    return RowKeys(partition_key(container, folder_of(blob_name)), f"{name}|{_digest(etag)}|")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]


def _bounded(key: str, raw: str, units: int = MAX_KEY_UNITS) -> str:
    if _utf16_units(key) <= units:
        return key
    suffix = f"=={hashlib.sha256(raw.encode()).hexdigest()}"
    return _cut(key, units - len(suffix)) + suffix


def _cut(text: str, units: int) -> str:
    """The text's beginning; a surrogate pair is kept whole or left out."""
    return text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore")


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
