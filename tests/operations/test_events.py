"""The runbook explains exactly the events that the code logs."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path

import pytest

from storage.host.config import HostLimits
from storage.host.startup import Startup
from storage.settings import Settings
from tests.operations.kusto import queries
from tests.triggers import TRIGGERS
from tools.__main__ import command_module, main

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


def logged(source: str) -> list[tuple[str, str]]:
    """Return the level and the format string of every logging call."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if ast.unparse(node.func.value) in {"logger", "logging"} and node.func.attr in METHODS:
            texts = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            found.append((node.func.attr, texts[0] if texts else ast.unparse(node)))
    return found


def app_events() -> dict[str, set[str]]:
    """Return the levels of each event."""
    events: dict[str, set[str]] = {}
    files = [ROOT / "function_app.py", *(ROOT / "storage").rglob("*.py"), *(ROOT / "inference").rglob("*.py")]
    for path in files:
        for level, text in logged(path.read_text(encoding="utf-8")):
            events.setdefault(text.split()[0], set()).add(level)
    return events


def runbook_events() -> dict[str, str]:
    """Return the events of the runbook's table, with their explanations."""
    section = OPERATIONS.split("\n## Log events")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return {re.findall(r"`(\w+)`", row[0])[0]: " ".join(row[1:]) for row in rows}


def test_the_runbook_explains_every_event_and_no_other() -> None:
    assert runbook_events().keys() == app_events().keys()
    assert all(len(words) > 30 for words in runbook_events().values())


def test_the_runbook_states_the_levels_of_each_event() -> None:
    words = {"info": "Information", "warning": "Warning", "error": "Error", "exception": "Error"}
    for event, levels in app_events().items():
        explanation = re.findall(r"\w+", runbook_events()[event])
        assert {words[level] for level in levels - {"log"}} <= set(explanation), event


def test_every_line_begins_with_its_event() -> None:
    assert [name for name in app_events() if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name)] == []


def test_the_app_logs_every_event_of_a_query() -> None:
    queried = set()
    for text in queries().values():
        queried |= set(re.findall(r'"([a-z]+(?:_[a-z]+)+) ?"', text)) - TRIGGERS.keys()
    queried -= {"image_"}
    assert queried
    assert queried <= app_events().keys()


def test_every_function_in_a_query_exists() -> None:
    named = set()
    for text in queries().values():
        for listed in re.findall(r"operation_Name in \(([^)]*)\)", text):
            named |= set(re.findall(r'"(\w+)"', listed))
    assert named
    assert named <= TRIGGERS.keys()


def test_the_runbook_contains_every_query_unchanged() -> None:
    shown = re.findall(r"<!-- infra/queries/(\w+)\.kql -->\n```kusto\n(.*?)```", OPERATIONS, re.DOTALL)
    assert {name for name, _ in shown} == {name for name in queries() if not name.startswith("alert_")}
    for name, text in shown:
        assert text == queries()[name], f"run python -m tests.operations.regenerate_runbook to update {name}"


class TestHostJson:
    """``logging`` in host.json, evaluated like .NET's filter rules: which lines become rows in Application Insights."""

    LOGGING = json.loads((ROOT / "host.json").read_text())["logging"]

    def level(self, category: str) -> str:
        """Return the level of the rule with the longest matching prefix, else the default."""
        rules = {name: level for name, level in self.LOGGING["logLevel"].items() if category.startswith(name)}
        return str(rules[max(rules, key=len)] if rules else self.LOGGING["logLevel"]["default"])

    @pytest.mark.parametrize("function", TRIGGERS)
    def test_keeps_the_lines_of_a_function_and_drops_the_lines_of_the_host(self, function: str) -> None:
        assert self.level(f"Function.{function}.User") == "Information"
        assert self.level(f"Function.{function}") == "Warning"

    def test_names_exactly_the_functions_of_the_app(self) -> None:
        named = {name.split(".")[1] for name in self.LOGGING["logLevel"] if name.startswith("Function.")}
        assert named == TRIGGERS.keys()

    @pytest.mark.parametrize(
        ("category", "level"),
        [
            ("Host.Results", "Information"),
            ("Host.Startup", "Information"),
            ("Host.Aggregator", "Warning"),
            ("Azure.Core", "Warning"),
            ("Microsoft.Azure.WebJobs.Extensions.Storage.Blobs", "Warning"),
        ],
    )
    def test_keeps_results_and_starts_and_drops_details(self, category: str, level: str) -> None:
        assert self.level(category) == level

    def test_samples_neither_log_lines_nor_errors(self) -> None:
        excluded = self.LOGGING["applicationInsights"]["samplingSettings"]["excludedTypes"].split(";")
        assert {"Trace", "Exception"} <= set(excluded)


def sizes() -> list[dict[str, str]]:
    """The rows of the runbook's table of instance sizes."""
    section = OPERATIONS.split("\n## Threads and memory")[1].split("\n## ")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip().strip("`") for cell in line] for line in lines]
    return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.mark.parametrize("size", sizes(), ids=lambda size: str(size["where"]))
def test_the_recommended_sizes_cause_no_warning(size: dict[str, str]) -> None:
    flex = size["where"].startswith("Flex")
    environ = {
        "PYTHON_THREADPOOL_THREAD_COUNT": size["PYTHON_THREADPOOL_THREAD_COUNT"],
        "AzureFunctionsJobHost__extensions__blobs__maxDegreeOfParallelism": size["blobs.maxDegreeOfParallelism"],
        "WEBSITE_SKU": "FlexConsumption" if flex else "",
    }
    source = "EventGrid" if flex else "LogsAndContainerScan"
    startup = Startup(
        settings=Settings.from_environ({"ImageStorage__accountName": "images", "BLOB_TRIGGER_SOURCE": source}),
        limits=HostLimits.read(ROOT / "host.json", environ, 64),
        cpus=int(size["CPUs"]),
        intra_op_threads=1,
        budget_bytes=int(size["DECODE_BUDGET_MIB"]) * 2**20,
        available_bytes=(int(size["memory, MiB"]) - 320) * 2**20,
        model=None,
        versions={},
    )
    assert list(startup.warnings()) == []
    assert startup.limits.blobs_at_once == int(size["blobs.maxDegreeOfParallelism"])


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('logger.info("a_b c=%s", 1)', [("info", "a_b c=%s")]),
        ('logger.log(level, "a_b %s", x)', [("log", "a_b %s")]),
        ('logging.getLogger("azure").setLevel(1)', []),
        ("logger.error(text)", [("error", "logger.error(text)")]),
    ],
)
def test_logging_calls_are_found(source: str, found: list[tuple[str, str]]) -> None:
    assert logged(source) == found


def commands() -> list[str]:
    """Return every ``python -m tools ...`` of the runbook, without comments."""
    found = re.findall(r"python -m tools ([^`#\n]+)", OPERATIONS)
    return sorted({command.strip() for command in found} - {""})


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_runbook_is_valid(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's own parser accepts it; other tests run the commands."""
    words = shlex.split(command)
    module = command_module(words[0])
    monkeypatch.setattr(module, "run", lambda _args: 0)
    assert main(words) == 0
