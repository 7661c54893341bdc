"""Checks Kusto queries with Microsoft's language service, and runs them in DuckDB, without Azure.

The language service is an npm package, installed once into ``.cache``. The tables have those of Application Insights'
columns that our queries name; what a column is called there is in its documentation ("traces", "exceptions").
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb_kql

from tools.azurite.install import node_and_npm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).resolve().parents[2]
QUERIES = ROOT / "infra" / "queries"
PACKAGE = "@kusto/language-service-next"
VERSION = "12.4.1"

_EVERY = {
    "timestamp": "datetime",
    "itemType": "string",
    "itemCount": "int",
    "operation_Name": "string",
    "cloud_RoleInstance": "string",
    "_BilledSize": "real",
}
TABLES: Mapping[str, Mapping[str, str]] = {
    "traces": {**_EVERY, "message": "string", "severityLevel": "int"},
    "exceptions": {**_EVERY, "type": "string", "outerMessage": "string", "innermostMessage": "string"},
    "requests": {**_EVERY, "name": "string", "success": "string", "resultCode": "string", "duration": "real"},
    "dependencies": {**_EVERY, "name": "string", "target": "string"},
}
_DUCKDB = {"datetime": "TIMESTAMP", "string": "VARCHAR", "int": "INTEGER", "real": "DOUBLE"}


def queries() -> dict[str, str]:
    """Return every query of the repository by name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(QUERIES.glob("*.kql"))}


def diagnostics(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the language service's diagnostics by query name."""
    node, npm = node_and_npm()
    home = ROOT / ".cache" / f"kusto-{VERSION}"
    library = home / "node_modules" / PACKAGE
    if not (library / "package.json").is_file():
        command = [*npm, "install", "--no-audit", "--no-fund", "--prefix", str(home), f"{PACKAGE}@{VERSION}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    schema = {
        name: f"({','.join(f'{column}:{kind}' for column, kind in table.items())})" for name, table in TABLES.items()
    }
    done = subprocess.run(
        [node, str(Path(__file__).with_name("kusto_check.cjs")), str(library)],
        input=json.dumps({"schema": schema, "queries": dict(texts)}),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@dataclass
class Insights:
    """A local replacement for Application Insights."""

    connection: Any = field(default_factory=duckdb_kql.connect)

    def __post_init__(self) -> None:
        for name, table in TABLES.items():
            columns = ", ".join(f'"{column}" {_DUCKDB[kind]}' for column, kind in table.items())
            self.connection.execute(f"CREATE TABLE {name} ({columns})")

    def add(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows; missing columns are empty."""
        columns = list(TABLES[table])
        marks = ", ".join("?" for _ in columns)
        values = [[row.get(column) for column in columns] for row in rows]
        assert values
        self.connection.executemany(f"INSERT INTO {table} VALUES ({marks})", values)

    def clear(self) -> None:
        """Delete all rows."""
        for table in TABLES:
            self.connection.execute(f"DELETE FROM {table}")

    def run(self, query: str) -> list[dict[str, Any]]:
        """Run a query and return its rows by column."""
        result = self.connection.execute(_to_sql(query))
        columns = [column[0] for column in result.description]
        return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]


@cache
def _to_sql(query: str) -> str:
    """Translate a query to DuckDB's SQL; cached, because translating takes longer than running."""
    return duckdb_kql.to_sql(query, {name: list(table) for name, table in TABLES.items()})
