"""Finding outcomes that a person wants another try for, by key ranges of the index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.keys import image_keys, index_partition, index_prefix
from storage.query.join import OUTLINE, find_rows
from storage.reconcile.repair import index_row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from storage.results.record import Record, Status
    from storage.results.store import Results


@dataclass(frozen=True, slots=True)
class Choice:
    """Which outcomes of one container.

    Attributes:
        container: The incoming container.
        statuses: ``failed`` and ``rejected`` ones; ``classified`` ones are chosen by ``label``.
        reason: Only those with this reason code.
        label: Classified ones with this label, instead of ``statuses``.
        since: Not older than this; aware UTC.
        before: Older than this; aware UTC. What comes back in the meantime is not chosen again.
    """

    container: str
    before: datetime
    statuses: tuple[Status, ...] = ()
    reason: str | None = None
    label: str | None = None
    since: datetime | None = None

    def holds(self, record: Record) -> bool:
        """Whether a committed row is among the chosen."""
        of_kind = record.status in self.statuses if self.label is None else record.label == self.label
        in_time = record.classified_at < self.before and (self.since is None or record.classified_at >= self.since)
        of_reason = self.reason is None or record.reason == self.reason
        return of_kind and in_time and of_reason and record.container == self.container


def chosen(results: Results, choice: Choice) -> Iterator[Record]:
    """Yield the outlines of the rows chosen, newest day first, page by page: one range of the index for each facet.

    The index only finds: what counts is the row, read in bulk. So an index row that lies chooses nothing.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused.
    """
    rows = results.row_ranges((*OUTLINE, "reason"))
    facets = (
        [("status", str(status)) for status in choice.statuses] if choice.label is None else [("label", choice.label)]
    )
    for kind, value in facets:
        prefix = index_prefix(kind, value)
        last = index_partition(kind, value, choice.since) if choice.since else f"{prefix[:-1]}}}"
        for page in results.index_ranges().across(prefix, last):
            claims = [
                (image_keys(choice.container, claim.columns["blob_name"]), claim.keys)
                for claim in map(index_row, page)
                if claim.columns.get("container") == choice.container
                and isinstance(claim.columns.get("blob_name"), str)
            ]
            found = find_rows(rows, (address for address, _ in claims))
            for address, claimed in claims:
                record = found.get(address)
                if record and choice.holds(record) and claimed in {row.keys for row in record.index_rows()}:
                    yield record
