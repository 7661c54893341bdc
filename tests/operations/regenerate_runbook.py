"""Write ``infra/queries`` into ``docs/operations.md`` anew: ``python -m tests.operations.regenerate_runbook``."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = ROOT / "docs" / "operations.md"


def regenerated(text: str) -> str:
    """Return the runbook with each query as it is kept now."""

    def block(match: re.Match[str]) -> str:
        query = (ROOT / "infra" / "queries" / f"{match[1]}.kql").read_text(encoding="utf-8")
        return f"<!-- infra/queries/{match[1]}.kql -->\n```kusto\n{query}```"

    return re.sub(r"<!-- infra/queries/(\w+)\.kql -->(?:\n```kusto\n.*?```)?", block, text, flags=re.DOTALL)


if __name__ == "__main__":
    RUNBOOK.write_text(regenerated(RUNBOOK.read_text(encoding="utf-8")), encoding="utf-8")
