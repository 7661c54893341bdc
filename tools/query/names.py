"""Names as people paste them: with a slash before them, with the container, or as a URL; and the word on no match."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from storage.query.plan import Filter
from storage.query.query import Query
from storage.tables import TableReader
from tools.terminal import fitted, printable

if TYPE_CHECKING:
    from tools.account import Account


def inside_container(name: str, container: str) -> str:
    """The name inside the container that a person most likely means; the same name if it looks like one already."""
    if re.match(r"https?://", name, re.IGNORECASE):
        path = unquote(urlsplit(name).path)
        _, found, rest = path.partition(f"/{container}/")
        name = rest if found else path
    name = name.replace("\\", "/").removeprefix("./").lstrip("/")
    return "" if name == container else name.removeprefix(f"{container}/")


def understood(row_filter: Filter, account: Account) -> Filter:
    """Correct the name of an image or folder that has no row, where the name inside the container has one; say so."""
    container = row_filter.container
    for option in ("image", "folder"):
        given: str | None = getattr(row_filter, option)
        name = None if given is None else inside_container(given, container)
        if given is None or name == given:
            continue
        corrected: dict[str, Any] = {option: name}
        as_given: dict[str, Any] = {option: given}
        if not _has_row(account, Filter(container, **as_given)) and _has_row(account, Filter(container, **corrected)):
            where = f"names are inside the container {container}"
            meant = printable(name or "") or '""'
            sentence = f"--{option} {printable(given)} is read as {meant}: {where}."
            print(fitted(sentence, sys.stderr), file=sys.stderr, flush=True)
            row_filter = replace(row_filter, **corrected)
    return row_filter


def nothing_matches(account: Account, row_filter: Filter) -> str:
    """The sentence for an answer without rows. One request shows whether the table has any."""
    table = account.settings.results_table
    first = next(TableReader(account.clients.tables.get_table_client(table), ["PartitionKey"]).pages(), [])
    if not first:
        return (
            f"Nothing matches: the table {table} has no rows. Run `python -m tools backfill`, or check RESULTS_TABLE "
            "and ImageStorage."
        )
    inside = f"of the container {row_filter.container}"
    return f"Nothing matches: the table {table} has rows, but none {inside} meets every filter."


def _has_row(account: Account, row_filter: Filter) -> bool:
    return any(Query(account.clients.tables, account.settings.results_table, row_filter).records(1))
