"""The alerts of ``infra/alerts.bicep``, read from its parse tree: queries, windows, metrics and recipients."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.infra.bicep import INFRA, Expression, read, text, walk
from tests.operations.kusto import queries

FILE = read(INFRA / "alerts.bicep")
RULES: list[dict[str, Any]] = FILE.variables["rules"]
OPERATIONS = (INFRA.parent / "docs" / "operations.md").read_text(encoding="utf-8")
SCHEDULED = "Microsoft.Insights/scheduledQueryRules"
METRIC = "Microsoft.Insights/metricAlerts"

# Values that Azure accepts for a log alert (scheduledQueryRules 2023-12-01), in minutes.
WINDOWS = {1, 5, 10, 15, 30, 45, 60, 120, 180, 240, 300, 360, 1440, 2880}
FREQUENCIES = {1, 5, 10, 15, 30, 45, 60, 120, 180, 240, 300, 360, 1440}
# Metrics by resource type, with their finest granularity in minutes (from Azure Monitor's lists).
METRICS = {
    ("Microsoft.EventGrid/systemTopics", "DeliveryAttemptFailCount"): 1,
    ("Microsoft.Storage/storageAccounts/queueServices", "QueueMessageCount"): 60,
}


def minutes(written: str) -> int:
    duration = FILE.params[written] if isinstance(written, Expression) else written
    match = re.fullmatch(r"P(?:(\d+)D|T(\d+)(H|M))", duration)
    assert match, f"{duration} is not a duration"
    days, number, unit = match.groups()
    return int(days) * 1440 if days else int(number) * (60 if unit == "H" else 1)


def loaded(rule: dict[str, Any]) -> str:
    match = re.fullmatch(r"loadTextContent\('queries/(\w+)\.kql'\)", rule["query"])
    assert match
    return match[1]


def metric_alerts() -> list[dict[str, Any]]:
    return [each.body for each in FILE.resources.values() if each.type == METRIC]


def names() -> set[str]:
    return {rule["name"] for rule in RULES} | {alert["name"] for alert in metric_alerts()}


def test_parses() -> None:
    assert [text(node) for node in walk(FILE.root) if node.type == "ERROR" or node.is_missing] == []


def test_every_alert_query_has_a_rule_and_every_rule_a_query() -> None:
    assert sorted(map(loaded, RULES)) == sorted(name for name in queries() if name.startswith("alert_"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["name"]))
def test_azure_accepts_each_window_and_evaluates_all_of_it(rule: dict[str, Any]) -> None:
    window, every = minutes(rule["window"]), minutes(rule["every"])
    assert window in WINDOWS
    assert every in FREQUENCIES
    assert every <= window, "rows between two evaluations would be missed"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["name"]))
def test_a_rule_fires_on_rows_and_the_silence_rule_on_none(rule: dict[str, Any]) -> None:
    is_silence_rule = loaded(rule) == "alert_silent"
    assert (rule["operator"], rule["threshold"] >= 1 if is_silence_rule else rule["threshold"] >= 0) == (
        ("LessThan", True) if is_silence_rule else ("GreaterThan", True)
    )


def test_the_silence_rule_tolerates_one_missed_reconciliation() -> None:
    """The reconciliation runs once an hour; a late or interrupted one must not wake a person."""
    (rule,) = [rule for rule in RULES if loaded(rule) == "alert_silent"]
    assert minutes(rule["window"]) >= 2 * 60 + 30


def test_log_alerts_take_everything_from_their_rule() -> None:
    alert = FILE.only(SCHEDULED)
    properties = alert.body["properties"]
    (criterion,) = properties["criteria"]["allOf"]
    assert alert.api_version == "2023-12-01"
    assert properties["scopes"] == ["applicationInsightsId"]
    assert (properties["windowSize"], properties["evaluationFrequency"]) == ("rule.window", "rule.every")
    assert (criterion["query"], criterion["operator"], criterion["threshold"]) == (
        *("rule.query", "rule.operator", "rule.threshold"),
    )
    assert criterion["timeAggregation"] == "Count"
    assert properties["actions"] == {"actionGroups": "recipients"}


@pytest.mark.parametrize("alert", metric_alerts(), ids=lambda alert: str(alert["name"]))
def test_each_metric_exists_and_its_window_has_its_granularity(alert: dict[str, Any]) -> None:
    properties = alert["properties"]
    (criterion,) = properties["criteria"]["allOf"]
    granularity = METRICS[criterion["metricNamespace"], criterion["metricName"]]
    assert minutes(properties["windowSize"]) >= max(granularity, minutes(properties["evaluationFrequency"]))
    assert alert["location"] == "global"
    assert properties["actions"] == "metricRecipients"


def test_without_an_address_alerts_have_no_recipient() -> None:
    assert FILE.params["alertEmail"] == ""
    assert {FILE.variables["recipients"], FILE.variables["metricRecipients"]} == {
        "empty(alertEmail) ? [] : [people.id]",
        "empty(alertEmail) ? [] : [{ actionGroupId: people.id }]",
    }


@pytest.mark.parametrize("name", sorted(names()))
def test_the_runbook_explains_each_alert(name: str) -> None:
    section = re.search(rf"^### {name}$(.+?)(?=^##)", OPERATIONS, re.MULTILINE | re.DOTALL)
    assert section, f"docs/operations.md does not explain {name}"
    assert len(section[1]) > 100


def test_the_runbook_explains_no_other_alert() -> None:
    alerts = OPERATIONS.split("\n## Alerts")[1].split("\n## ")[0]
    assert set(re.findall(r"^### (\S+)$", alerts, re.MULTILINE)) == names()


def test_the_main_file_passes_every_required_parameter() -> None:
    given = {
        name
        for module in read(INFRA / "main.bicep").modules.values()
        if module.path == FILE.path
        for name in module.params
    }
    needed = {name for name, default in FILE.params.items() if default is None}
    assert needed <= given <= FILE.params.keys()
