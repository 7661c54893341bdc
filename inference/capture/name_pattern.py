"""Finds the time that a camera writes into the names of its files."""

from __future__ import annotations

import re
from datetime import datetime

from inference.capture.times import possible

# The directives of ``strptime``. Numbers have all their digits: with fewer, another time would fit as well.
_DIRECTIVES = {
    "Y": "[0-9]{4}",
    "y": "[0-9]{2}",
    "m": "[0-9]{2}",
    "d": "[0-9]{2}",
    "j": "[0-9]{3}",
    "H": "[0-9]{2}",
    "I": "[0-9]{2}",
    "M": "[0-9]{2}",
    "S": "[0-9]{2}",
    "f": "[0-9]{1,6}",
    "b": "[A-Za-z]{3}",
    "B": "[A-Za-z]{3,9}",
    "p": "[AaPp][Mm]",
    "z": "(?:[+-][0-9]{2}:?[0-9]{2}|Z)",
    "%": "%",
}
_NEEDED = ({"Y", "y"}, {"m", "b", "B", "j"}, {"d", "j"}, {"H", "I"}, {"M"})
_MAX_LENGTH = 100


class NamePattern:
    """A ``strptime`` format that is looked for anywhere in a file name."""

    def __init__(self, text: str) -> None:
        """Check a format.

        Raises:
            ValueError: It is no format with year, month, day, hour and minute, or holds a slash.
        """
        if len(text) > _MAX_LENGTH or "/" in text:
            raise ValueError("a pattern of a file name is short and holds no slash")
        parts = re.findall(r"(?s)%(.?)|([^%])", text)
        used = [directive for directive, literal in parts if not literal]
        if not set(used) <= _DIRECTIVES.keys() or not all(set(used) & needed for needed in _NEEDED):
            raise ValueError("not a format of a date and a time")
        if ("I" in used) != ("p" in used) or any(used.count(each) > 1 for each in used if each != "%"):
            raise ValueError("a directive is missing or repeated")
        self._format = text
        self._has_fraction = "f" in used
        regex = "".join(re.escape(literal) if literal else _DIRECTIVES[directive] for directive, literal in parts)
        self._regex = re.compile(f"(?=({regex}))")  # a lookahead: also matches that overlap

    def find(self, blob_name: str) -> str | None:
        """Return the first possible time in the name behind its last slash, as ``taken_at`` is written."""
        for found in self._regex.finditer(blob_name.rpartition("/")[2]):
            try:
                moment = datetime.strptime(found[1], self._format)  # noqa: DTZ007 - the name decides
            except ValueError:
                continue
            offset = moment.isoformat()[-6:] if moment.tzinfo else ""
            fraction = f"{moment.microsecond:06}" if self._has_fraction else ""
            if taken_at := possible(moment.replace(tzinfo=None), fraction, offset):
                return taken_at
        return None
