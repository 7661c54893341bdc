"""The events that the code logs and those that the runbook explains are one list."""

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
    """Every logging call: its level, and the text it begins with."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if ast.unparse(node.func.value) in {"logger", "logging"} and node.func.attr in METHODS:
            texts = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            found.append((node.func.attr, texts[0] if texts else ast.unparse(node)))
    return found


def of_the_app() -> dict[str, set[str]]:
    """Levels by event."""
    events: dict[str, set[str]] = {}
    files = [ROOT / "function_app.py", *(ROOT / "storage").rglob("*.py"), *(ROOT / "inference").rglob("*.py")]
    for path in files:
        for level, text in logged(path.read_text(encoding="utf-8")):
            events.setdefault(text.split()[0], set()).add(level)
    return events


def explained() -> dict[str, str]:
    """Events of the runbook's table, and what it says of each."""
    section = OPERATIONS.split("\n## What the app says")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return {re.findall(r"`(\w+)`", row[0])[0]: " ".join(row[1:]) for row in rows}


def test_the_runbook_explains_every_event_and_no_other() -> None:
    assert explained().keys() == of_the_app().keys()
    assert all(len(words) > 30 for words in explained().values())


def test_the_runbook_states_the_levels_that_are_logged() -> None:
    words = {"info": "Information", "warning": "Warning", "error": "Error"}
    for event, levels in of_the_app().items():
        said = explained()[event].split()
        assert {words[level] for level in levels - {"log"}} <= set(said), event


def test_every_line_begins_with_its_event() -> None:
    assert [name for name in of_the_app() if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name)] == []


def test_every_event_a_query_looks_for_is_logged() -> None:
    asked = set()
    for text in queries().values():
        asked |= set(re.findall(r'"([a-z]+(?:_[a-z]+)+) ?"', text)) - TRIGGERS.keys()
    asked -= {"image_"}
    assert asked
    assert asked <= of_the_app().keys()


def test_every_function_a_query_names_is_there() -> None:
    named = set()
    for text in queries().values():
        for listed in re.findall(r"operation_Name in \(([^)]*)\)", text):
            named |= set(re.findall(r'"(\w+)"', listed))
    assert named
    assert named <= TRIGGERS.keys()


def test_every_query_stands_in_the_runbook_as_it_is_kept() -> None:
    shown = re.findall(r"<!-- infra/queries/(\w+)\.kql -->\n```kusto\n(.*?)```", OPERATIONS, re.DOTALL)
    assert {name for name, _ in shown} == {name for name in queries() if not name.startswith("alert_")}
    for name, text in shown:
        assert text == queries()[name], f"python -m tests.operations.regenerate_runbook writes {name} anew"


class TestHostJson:
    """What becomes a row in Application Insights: ``logging`` in host.json, read as .NET's filter rules are."""

    LOGGING = json.loads((ROOT / "host.json").read_text())["logging"]

    def level(self, category: str) -> str:
        """The rule with the longest name that the category begins with, else the default."""
        rules = {name: level for name, level in self.LOGGING["logLevel"].items() if category.startswith(name)}
        return str(rules[max(rules, key=len)] if rules else self.LOGGING["logLevel"]["default"])

    @pytest.mark.parametrize("function", TRIGGERS)
    def test_keeps_what_a_function_says_and_drops_what_the_host_says_of_each_call(self, function: str) -> None:
        assert self.level(f"Function.{function}.User") == "Information"
        assert self.level(f"Function.{function}") == "Warning"

    def test_names_no_function_that_is_not_there(self) -> None:
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
    def test_keeps_calls_and_starts_and_no_chatter(self, category: str, level: str) -> None:
        assert self.level(category) == level

    def test_samples_neither_our_lines_nor_errors(self) -> None:
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
def test_the_check_sees(source: str, found: list[tuple[str, str]]) -> None:
    assert logged(source) == found


def commands() -> list[str]:
    """Every ``python -m tools ...`` of the runbook, without what follows as a comment."""
    found = re.findall(r"python -m tools ([^`#\n]+)", OPERATIONS)
    return sorted({command.strip() for command in found} - {""})


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_runbook_is_understood(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsed by the command's own parser; what it would do is done in its own tests."""
    words = shlex.split(command)
    module = command_module(words[0])
    monkeypatch.setattr(module, "run", lambda _args: 0)
    assert main(words) == 0
