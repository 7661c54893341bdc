"""Each query of the repository passes Microsoft's language service, and runs on real lines of the app.

The expected results come from the same lines through an independent parser.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.operations.captured import HOSTILE, lines
from tests.operations.kusto import QUERIES, Insights, diagnostics, queries

if TYPE_CHECKING:
    from tests.operations.captured import Rows

ALERTS = sorted(name for name in queries() if name.startswith("alert_"))
QUESTIONS = sorted(queries().keys() - set(ALERTS))


def parse_line(line: str) -> dict[str, Any]:
    """Return the fields of a line; a value is a JSON string if it begins with a quote, else a word."""
    event, _, rest = line.partition(" ")
    fields: dict[str, Any] = {"event": event}
    while rest:
        name, _, rest = rest.partition("=")
        if rest.startswith('"'):
            fields[name], end = json.JSONDecoder().raw_decode(rest)
            rest = rest[end:].lstrip(" ")
        else:
            fields[name], _, rest = rest.partition(" ")
    return fields


def image_name(text: str) -> Any:
    """Decode an image's name from a query's result, which is JSON without its quotes."""
    return json.loads(f'"{text}"')


@pytest.fixture(scope="module")
def finished(rows: Rows) -> list[dict[str, Any]]:
    return [parse_line(line) for line in lines(rows, "image_finished")]


MISTAKES = {
    "an unknown column": "traces | where mesage has 'x'",
    "an unknown table": "trace | take 1",
    "an unclosed bracket": "traces | summarize count( by itemType",
    "a missing argument": "traces | extend x = extract(@'(a)')",
    "a comparison of different types": "traces | where itemCount startswith 'a'",
}


@pytest.fixture(scope="module")
def found_diagnostics() -> dict[str, list[str]]:
    """The diagnostics of all queries, in one call: the language service takes seconds to load."""
    return diagnostics(queries() | MISTAKES)


class TestLanguageService:
    @pytest.mark.parametrize("name", queries())
    def test_accepts_each_query(self, found_diagnostics: dict[str, list[str]], name: str) -> None:
        assert found_diagnostics[name] == []

    def test_finds_mistakes(self, found_diagnostics: dict[str, list[str]]) -> None:
        assert {name for name, texts in found_diagnostics.items() if texts} == MISTAKES.keys()


class TestQuestions:
    @pytest.mark.parametrize("name", QUESTIONS)
    def test_finds_rows(self, insights: Insights, rows: Rows, name: str) -> None:
        query = queries()[name].replace("incoming/trap 7/a.jpg", self.name_in_log(rows, "first.jpg"))
        assert insights.run(query)

    @pytest.mark.parametrize("name", queries())
    def test_begins_with_its_purpose(self, name: str) -> None:
        assert re.match(r"// [A-Z].*", queries()[name])

    @pytest.mark.parametrize("name", QUESTIONS)
    def test_limits_its_period(self, name: str) -> None:
        assert "timestamp > ago(" in queries()[name]

    def name_in_log(self, rows: Rows, outcome: str) -> str:
        (line, *_) = [
            line for line in lines(rows, "image_finished") if parse_line(line)["image"].endswith(f"/{outcome}")
        ]
        return json.dumps(parse_line(line)["image"])[1:-1]

    def test_throughput(self, insights: Insights, finished: list[dict[str, Any]]) -> None:
        found: Counter[tuple[str, str]] = Counter()
        for row in insights.run(queries()["throughput"]):
            found[row["outcome"], row["status"]] += row["images"]
        assert found == Counter((each["outcome"], each.get("status", "")) for each in finished)
        assert {outcome for outcome, _ in found} == {"committed", "duplicate", "gone", "ignored"}

    def test_latency(self, insights: Insights, finished: list[dict[str, Any]]) -> None:
        waits = [
            (float(each["queue_delay_ms"]) + float(each["total_ms"])) / 1000
            for each in finished
            if each["outcome"] == "committed" and each["attempt"] == "0"
        ]
        found = insights.run(queries()["latency"])
        assert sum(row["images"] for row in found) == len(waits)
        assert max(row["p99_s"] for row in found) == pytest.approx(max(waits))
        assert all(row["p50_s"] <= row["p95_s"] <= row["p99_s"] for row in found)

    def test_rejections(self, insights: Insights, finished: list[dict[str, Any]]) -> None:
        rejected = [each for each in finished if each.get("status") == "rejected"]
        found = insights.run(queries()["rejections"])
        assert {row["reason"]: row["images"] for row in found} == Counter(each["reason"] for each in rejected)
        for row in found:
            assert (row["reason"], image_name(row["an_example"])) in {
                (each["reason"], each["image"]) for each in rejected
            }
        assert len(found) == 3

    def test_failures(self, insights: Insights, rows: Rows) -> None:
        found = {image_name(row["image"]).partition("/")[2]: row["why"] for row in insights.run(queries()["failures"])}
        assert found.keys() == {"stuck.jpg", HOSTILE[6], "deadly.jpg"}
        assert found["deadly.jpg"].startswith("The worker ended every try")
        assert found[HOSTILE[6]].endswith("failed for now (503 ServerBusy).")
        assert len(lines(rows, "image_failed")) == 3

    def test_retries(self, insights: Insights, rows: Rows) -> None:
        (row,) = insights.run(queries()["retries"])
        assert row["cause"] == "503 ServerBusy"
        assert row["tries"] == len(lines(rows, "image_attempt_failed")) + len(lines(rows, "image_row_not_written")) == 5

    def test_exceptions(self, insights: Insights) -> None:
        found = {(row["operation_Name"], row["class"]): row["errors"] for row in insights.run(queries()["exceptions"])}
        assert found == {("classify_uploaded", "TransientError"): 1, ("classify_uploaded", "ModelFileError"): 1}

    def test_starts(self, insights: Insights, rows: Rows) -> None:
        found = insights.run(queries()["starts"])
        assert sorted(row["load_ms"] for row in found) == sorted(
            int(parse_line(line)["load_ms"]) for line in lines(rows, "app_started")
        )
        assert {row["pool_threads"] for row in found} == {2}
        assert all(row["cpus"] >= 1 and row["budget_mib"] >= 64 for row in found)
        assert {row["model_version"] for row in found} > {""}, "one process had no model"

    def test_warnings(self, insights: Insights) -> None:
        found = {row["event"]: row["times"] for row in insights.run(queries()["warnings"])}
        assert found == {"settings_warning": 2, "model_not_loaded": 1, "event_ignored": 1, "message_refused": 1}

    def test_poison(self, insights: Insights) -> None:
        found = insights.run(queries()["poison"])
        assert {
            (row["operation_Name"], row["event"], image_name(row["an_example"]).partition("/")[2]) for row in found
        } == {
            ("recover_poisoned", "image_retry_queued", "stuck.jpg"),
            ("record_abandoned", "image_failed", "deadly.jpg"),
            ("record_abandoned", "image_row_not_written", "trap 7/second.jpg"),
        }

    def test_delays(self, insights: Insights, rows: Rows) -> None:
        (row,) = insights.run(queries()["delays"])
        assert (row["attempt"], row["images"]) == (1, len(lines(rows, "image_retry_queued")))
        last = max(each["timestamp"] for each in rows.traces if each["message"].startswith("image_retry_queued"))
        assert row["hidden_until"] == last + timedelta(seconds=600)

    def test_models(self, insights: Insights, finished: list[dict[str, Any]]) -> None:
        (row,) = insights.run(queries()["models"])
        classified = [each for each in finished if each.get("status") == "classified"]
        assert (row["model"], row["model_version"]) == ("shapes", classified[0]["model_version"])
        assert row["images"] == len(classified)

    def test_slowest(self, insights: Insights, finished: list[dict[str, Any]]) -> None:
        found = insights.run(queries()["slowest"])
        expected = sorted(finished, key=lambda each: -float(each["total_ms"]))[:20]
        assert [row["total_ms"] for row in found] == [float(each["total_ms"]) for each in expected]
        (found_ms,) = {row["decode_ms"] for row in found if image_name(row["image"]).endswith(HOSTILE[3])}
        (logged_ms,) = {each["decode_ms"] for each in finished if each["image"].endswith(HOSTILE[3])}
        assert found_ms == float(logged_ms)

    def test_instances(self, insights: Insights, finished: list[dict[str, Any]]) -> None:
        assert sum(row["images"] for row in insights.run(queries()["instances"])) == len(finished)

    def test_coverage(self, insights: Insights, rows: Rows) -> None:
        (row,) = insights.run(queries()["coverage"])
        (line,) = lines(rows, "container_reconciled")
        fields = parse_line(line)
        assert (row["images"], row["lost"], row["stale"]) == (
            *(int(fields["images"]), int(fields["missing"]), int(fields["stale"])),
        )
        assert row["coverage"] == pytest.approx(float(fields["coverage"]))
        assert row["lost"] > 0

    @pytest.mark.parametrize("name", HOSTILE, ids=ascii)
    def test_one_image(self, insights: Insights, rows: Rows, name: str) -> None:
        escaped = self.name_in_log(rows, name).replace("'", "''")  # as in a verbatim string
        found = insights.run(queries()["one_image"].replace("incoming/trap 7/a.jpg", escaped))
        (incoming,) = {parse_line(line)["image"].partition("/")[0] for line in lines(rows, "image_finished")}
        expected = [row for row in rows.traces if parse_line(row["message"]).get("image") == f"{incoming}/{name}"]
        assert [row["message"] for row in found] == [row["message"] for row in expected]
        assert expected

    def test_volume(self, insights: Insights, rows: Rows) -> None:
        found = insights.run(queries()["volume"])
        assert sum(row["rows"] for row in found) == len(rows.traces) + len(rows.exceptions)
        assert {row["event"] for row in found if row["table_name"] == "traces"} == {
            row["message"].split()[0] for row in rows.traces
        }


class TestAlert:
    """A rule fires on the rows of its query, so a query must return rows for problems only."""

    @pytest.fixture
    def normal_hour(self, rows: Rows) -> Insights:
        """An hour without problems, in which one file was not an image."""
        insights = Insights()
        normal = [
            row for row in rows.traces if parse_line(row["message"])["event"] in {"image_finished", "app_started"}
        ]
        insights.add("traces", normal)
        return insights

    @pytest.fixture
    def normal_day(self, normal_hour: Insights, rows: Rows) -> Insights:
        """The same, with a reconciliation that found no work."""
        (line,) = [row for row in rows.traces if row["message"].startswith("container_reconciled")]
        clean = re.sub(r"missing=\d+", "missing=0", line["message"])
        normal_hour.add("traces", [{**line, "message": clean}])
        return normal_hour

    @pytest.mark.parametrize("name", [name for name in ALERTS if name != "alert_silent"])
    def test_returns_nothing_without_problems(self, normal_day: Insights, name: str) -> None:
        assert normal_day.run(queries()[name]) == []

    @pytest.mark.parametrize("name", [name for name in ALERTS if name not in {"alert_silent", "alert_stalled"}])
    def test_returns_rows_for_problems(self, insights: Insights, name: str) -> None:
        assert insights.run(queries()[name])

    def test_of_silence_returns_nothing_without_a_reconciliation(
        self, normal_hour: Insights, insights: Insights
    ) -> None:
        assert len(insights.run(queries()["alert_silent"])) == 1
        assert normal_hour.run(queries()["alert_silent"]) == []

    def test_of_a_standstill_returns_rows_only_when_no_image_is_finished(self, insights: Insights, rows: Rows) -> None:
        assert insights.run(queries()["alert_stalled"]) == []
        standstill = Insights()
        standstill.add("exceptions", rows.exceptions)
        standstill.add("traces", [row for row in rows.traces if not row["message"].startswith("image_finished")])
        (row,) = standstill.run(queries()["alert_stalled"])
        assert (row["failed"], row["finished"]) == (len(rows.exceptions) + len(lines(rows, "image_attempt_failed")), 0)

    def test_of_poison_counts_each_image(self, insights: Insights) -> None:
        assert len(insights.run(queries()["alert_poison"])) == 3

    @pytest.mark.parametrize("name", ALERTS)
    def test_leaves_the_window_to_the_rule(self, name: str) -> None:
        assert "ago(" not in queries()[name]


def test_every_file_is_a_query() -> None:
    assert {path.suffix for path in QUERIES.iterdir()} == {".kql"}
