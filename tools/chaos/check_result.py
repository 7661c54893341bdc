"""The result of a check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Document = Mapping[str, Any]
"""A row, an index row or a sidecar."""


class Violation(NamedTuple):
    """One fact in storage that breaks the guarantee."""

    kind: str
    image: str
    detail: str = ""


@dataclass
class CheckResult:
    """The result of one check.

    Attributes:
        images: Blobs that must have a row.
        statuses: Their rows by status.
        violations: Everything that breaks the guarantee.
        leftovers: Results of deleted blobs, which only ``reconcile --prune`` removes, by kind.
    """

    images: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    leftovers: Counter[str] = field(default_factory=Counter)

    @property
    def kinds(self) -> Counter[str]:
        """Violations by kind."""
        return Counter(violation.kind for violation in self.violations)
