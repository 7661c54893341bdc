"""The parts of a filter that no key range holds, as a condition that storage applies to each row of a range.

Storage reads the whole range and returns the rows that match, so a condition saves requests and bytes, not its reading.
It may let a row pass that ``Filter.matches`` then refuses, never the reverse. Pure functions, no I/O.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from storage.tables import Condition

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from storage.query.plan import Filter

# 15 for one request (learn.microsoft.com/rest/api/storageservices/querying-tables-and-entities), four of them for keys.
_MAX_COMPARISONS = 15 - 4
# Each field with its OData, in which "@name" between spaces is a value: the SDK writes it as a literal.
_TEXTS = {
    "container": "container eq @container",
    "status": "status eq @status",
    "label": "label eq @label",
    "reason": "reason eq @reason",
    "damaged": "damaged eq @damaged",
    "since": "classified_at ge @since",
    "until": "classified_at lt @until",
    "taken_since": "taken_at ge @taken_since",
    "taken_until": "taken_at lt @taken_until",
    "model": "( model eq @model or model_version eq @model )",
}
_COMPARISON = re.compile(r" (?:eq|ge|lt) ")
# A comparison with an absent column is false, and so this is true for index rows of version 1 alone.
_OF_VERSION_1 = "not ( model_version ge '' )"
_COLUMNS_OF_VERSION_1 = frozenset({"container", "status", "label", "min_score", "since", "until"})
# Azurite compares times as text, in which ``00Z`` is later than ``00.5Z``.
_MARGIN = timedelta(seconds=1)


def condition(row_filter: Filter, *, in_keys: Collection[str] = (), in_index: bool = False) -> Condition:
    """Return the condition for the rows of a range.

    Args:
        row_filter: Which rows to return.
        in_keys: The fields of the filter that the range's keys hold already.
        in_index: The range is of the index, where rows of version 1 lack most columns.
    """
    values: dict[str, Any] = {}
    texts: list[str] = []
    left = _MAX_COMPARISONS
    for field, text, used in _parts(row_filter):
        if field in in_keys:
            continue
        whole = f"( {text} or {_OF_VERSION_1} )" if in_index and field not in _COLUMNS_OF_VERSION_1 else text
        count = len(_COMPARISON.findall(whole))
        if count <= left:
            left -= count
            texts.append(whole)
            values |= used
    return Condition(" and ".join(texts), values)


def _parts(row_filter: Filter) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each given field with its OData and the values there."""
    taken_since, taken_until = row_filter.taken_period
    values = {
        "container": row_filter.container,
        "status": row_filter.status and str(row_filter.status),
        "label": row_filter.label,
        "reason": row_filter.reason,
        "damaged": row_filter.damaged or None,
        "since": row_filter.earliest and row_filter.earliest - _MARGIN,
        "until": row_filter.latest and row_filter.latest + _MARGIN,
        # Capture times are texts that begin with the day, and compare as such; "~" sorts after every time of a day.
        "taken_since": taken_since and f"{taken_since:%Y-%m-%d}",
        "taken_until": taken_until and f"{taken_until:%Y-%m-%d}~",
        "model": row_filter.model,
    }
    for field, value in values.items():
        if value is not None:
            yield field, _TEXTS[field], {field: value}
    if row_filter.min_score is not None:
        yield "min_score", f"score ge {_double(row_filter.min_score)}", {}
    if row_filter.camera:
        yield "camera", *_of_camera(row_filter.camera)


def _of_camera(name: str) -> tuple[str, dict[str, Any]]:
    """Return the condition for ``plan.camera_names``: serial, model, make and model, or folder."""
    values = {"camera": name, "camera_first": f"{name}/", "camera_behind": f"{name}0"}  # "0" follows "/"
    texts = [
        "camera_serial eq @camera or camera_model eq @camera",
        "blob_name ge @camera_first and blob_name lt @camera_behind",
    ]
    for place, space in enumerate(re.finditer(" ", name)):
        values |= {f"make_{place}": name[: space.start()], f"model_{place}": name[space.end() :]}
        texts.append(f"camera_make eq @make_{place} and camera_model eq @model_{place}")
    return f"( {' or '.join(texts)} )", values


def _double(number: float) -> str:
    """A literal of the service's Double: never an exponent, always a point. The SDK would write 1.0 as ``true``."""
    text = format(Decimal(repr(number)), "f")
    return text if "." in text else f"{text}.0"
