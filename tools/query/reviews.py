"""The options ``--reviewed``, ``--unreviewed`` and ``--disagree``, and queries whose answers carry their reviews."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.reviews.query import ReviewedQuery, Selection

if TYPE_CHECKING:
    import argparse

    from storage.query.plan import Filter
    from tools.account import Account


def add_review_filters(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("filters by review (of the present content of an image)")
    either = group.add_mutually_exclusive_group()
    helps = {
        Selection.REVIEWED: "only images that a person has reviewed",
        Selection.UNREVIEWED: "only images without a review",
        Selection.DISAGREE: "only images whose newest review gives another label, or whose reviewers disagree",
    }
    for selection, text in helps.items():
        either.add_argument(f"--{selection}", dest="selection", action="store_const", const=selection, help=text)


def reviewed_query(
    account: Account, row_filter: Filter, selection: Selection | None = None, *, verify: bool = False
) -> ReviewedQuery:
    """A query of the account's results and reviews."""
    tables, table = account.clients.tables, account.settings.results_table
    return ReviewedQuery(tables, table, row_filter, selection=selection, verify=verify)
