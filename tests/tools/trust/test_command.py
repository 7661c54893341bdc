"""``python -m tools trust`` on Azurite: which reviews count, what it states, and the decision that it writes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from scipy.stats import binomtest

from storage.results.record import Record, Status
from storage.results.serialization import to_entity
from storage.reviews.join import content_of
from storage.reviews.review import Review, Sample
from storage.reviews.store import ReviewStore, batches
from tools.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.account import Account

ROOT = Path(__file__).resolve().parents[3]
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Trusting:
    """Rows, reviews and runs of one test."""

    def __init__(self, account: Account, capsys: pytest.CaptureFixture[str]) -> None:
        self.account, self._capsys = account, capsys
        self.container = account.settings.incoming_container
        self.err = ""

    def rows(self, label: str, images: int, score: float = 0.97, **changes: Any) -> list[Record]:
        first = Record(
            container=self.container,
            blob_name="",
            status=Status.CLASSIFIED,
            label=label,
            score=score,
            classified_at=NOON,
            model="shapes",
            model_version="0123456789ab",
            etag="0x1",
            sidecar="",
        )
        folder = f"{len(label)}{label[:5].encode().hex()}-{score}-{changes.get('model_version', '')}"
        records = [replace(first, blob_name=f"{folder}/{number}.jpg", **changes) for number in range(images)]
        table = self.account.clients.tables.create_table_if_not_exists(self.account.settings.results_table)
        for start in range(0, images, 100):
            table.submit_transaction([("upsert", to_entity(each)) for each in records[start : start + 100]])
        return records

    def review(self, records: Iterable[Record], answer: str | None = "", **changes: Any) -> None:
        """Review images; an empty answer confirms the label."""
        items = []
        for each in records:
            values: dict[str, Any] = {"label": each.label, "model_version": each.model_version} | {
                "reviewed_by": "Ana",
                "reviewed_at": NOON + timedelta(hours=1),
                "sample": Sample.RANDOM,
            }
            review = Review(reviewed_label=each.label if answer == "" else answer, **(values | changes))
            items.append((content_of(each), review))
        store = ReviewStore(self.account.clients.tables, self.account.settings.reviews_table)
        for batch in batches(items):
            store.write(batch)

    def run(self, *options: str, code: int = 0) -> dict[str, Any]:
        assert main(["trust", *options, "--json"]) == code
        out, self.err = self._capsys.readouterr()
        summary = dict(json.loads(out.splitlines()[-1])) if out else {}
        summary["labels"] = {each.pop("label"): each for each in summary.get("labels", ())}
        return summary

    def text(self, *options: str, code: int = 0) -> str:
        assert main(["trust", *options]) == code
        out, self.err = self._capsys.readouterr()
        return out


@pytest.fixture
def trusting(empty_account: Account, capsys: pytest.CaptureFixture[str]) -> Trusting:
    return Trusting(empty_account, capsys)


def test_precision_threshold_and_counts_of_a_label(trusting: Trusting) -> None:
    fox = trusting.rows("fox", 300)
    owl = trusting.rows("owl", 100, score=0.6)
    trusting.review(fox[:118])
    trusting.review(fox[118:120], "owl")
    trusting.review(owl[:38])
    trusting.review(owl[38:39], "fox")
    trusting.review(owl[39:40], None)
    found = trusting.run()
    assert (found["images"], found["sample"]) == (400, {"random": 160, "chosen": 0, "outdated": 0})
    exact = binomtest(118, 120).proportion_ci(0.95, "exact")
    assert found["labels"]["fox"]["precision"] == pytest.approx(
        {"low": exact.low, "estimate": 118 / 120, "high": 298 / 300}  # two of the 300 are known to be wrong
    )
    assert found["labels"]["fox"]["threshold"] is None  # two errors in 120 do not prove 95 %: that takes 124
    assert 1 <= found["labels"]["fox"]["more_reviews"] < 60
    assert (found["labels"]["owl"]["right"], found["labels"]["owl"]["unsure"]) == (38, 1)
    assert found["labels"]["fox"]["corrected"]["estimate"] == pytest.approx(300 * 118 / 120 + 100 / 40)
    assert found["labels"]["owl"]["corrected"]["estimate"] == pytest.approx(100 * 38 / 40 + 300 * 2 / 120)
    assert trusting.run("--precision", "0.9")["labels"]["fox"]["threshold"] == {
        "threshold": 0.97,
        "passing": 1.0,
        "reviewed": 120,
        "right": 118,
    }


def test_the_sentence_of_a_promise(trusting: Trusting) -> None:
    """The sentence of the issue, with the numbers counted by hand: 60 right reviews of 180 photos prove 95 %."""
    trusting.review(trusting.rows("fox", 180, score=0.834)[:60])
    trusting.review(trusting.rows("fox", 20, score=0.31)[:7], "owl")
    out = trusting.text()
    assert "at 0.83 or more at least 95 % are right; 90 % of them need no eyes" in out
    assert "owl: no photo has this label, but reviewers gave it" in out


def test_photos_that_people_chose_promise_nothing(trusting: Trusting, tmp_path: Path) -> None:
    fox = trusting.rows("fox", 100)
    trusting.review(fox, sample=Sample.CHOSEN)
    decision = tmp_path / "decision.json"
    found = trusting.run("--write-decision", str(decision), code=1)
    assert (found["overall"], found["sample"]) == (None, {"random": 0, "chosen": 100, "outdated": 0})
    assert found["labels"]["fox"]["precision"] is None
    assert found["labels"]["fox"]["more_reviews"] == 59
    assert "People chose the 100 reviewed photos" in trusting.err
    assert "at least 59 reviews for 95 %" in trusting.err
    assert not decision.exists()


def test_only_reviews_of_the_row_s_own_answer_count(trusting: Trusting) -> None:
    fox = trusting.rows("fox", 60)
    trusting.review(fox[:10])
    trusting.review(fox[10:20], label="owl")
    trusting.review(fox[20:30], model_version="another")
    trusting.review([replace(each, etag="0x2") for each in fox[30:40]])  # of another upload
    trusting.review(fox[40:50], sample=Sample.CHOSEN)
    found = trusting.run()
    assert found["sample"] == {"random": 10, "chosen": 10, "outdated": 20}
    assert found["labels"]["fox"]["reviewed"] == 10


def test_the_newest_review_decides_and_the_draw_puts_a_photo_into_the_sample(trusting: Trusting) -> None:
    fox = trusting.rows("fox", 50)
    trusting.review(fox[:20])
    trusting.review(
        fox[:5], "owl", reviewed_by="Ben", reviewed_at=NOON + timedelta(hours=2), sample=Sample.CHOSEN, label="badger"
    )
    trusting.review(fox[5:10], "owl", reviewed_by="Cleo", reviewed_at=NOON)
    found = trusting.run()["labels"]["fox"]
    assert (found["reviewed"], found["right"]) == (20, 15)


@pytest.mark.parametrize("step", [1, -1])
def test_a_second_look_at_chosen_photos_leaves_the_random_sample_whole(trusting: Trusting, step: int) -> None:
    fox = trusting.rows("fox", 50)
    looks: list[tuple[list[Record], str, dict[str, Any]]] = [
        (fox[:15], "", {}),
        (fox[15:20], "owl", {}),
        (fox[15:20], "badger", {"sample": Sample.CHOSEN, "reviewed_at": NOON + timedelta(hours=2)}),
    ]
    for records, answer, changes in looks[::step]:
        trusting.review(records, answer, **changes)
    found = trusting.run()["labels"]
    assert (found["fox"]["reviewed"], found["fox"]["right"]) == (20, 15)
    assert "badger" in found
    assert "owl" not in found


def test_of_two_looks_in_one_file_the_later_counts_and_the_photo_stays_in_the_sample(trusting: Trusting) -> None:
    content = content_of(trusting.rows("fox", 1)[0])
    drawn = Review(reviewed_label="owl", reviewed_by="Ana", reviewed_at=NOON, label="fox", sample=Sample.RANDOM)
    chosen = replace(drawn, reviewed_label="badger", reviewed_at=NOON + timedelta(hours=1), sample=Sample.CHOSEN)
    for looks in ((drawn, chosen), (chosen, drawn)):
        assert list(batches((content, look) for look in looks)) == [[(content, replace(chosen, sample=Sample.RANDOM))]]


def test_photos_of_another_model_are_left_out_by_name(trusting: Trusting) -> None:
    trusting.review(trusting.rows("fox", 80)[:60])
    trusting.rows("fox", 20, model_version="older")
    assert trusting.run()["images"] == 80
    assert "20 photos were classified by another model" in trusting.err
    assert trusting.run("--model", "older", code=1)["images"] == 20
    assert main(["trust", "--model", "no\x1bsuch"]) == 2


def test_a_label_reviewed_whole_needs_no_more(trusting: Trusting) -> None:
    lynx = trusting.rows("lynx", 12)
    trusting.review(lynx)
    found = trusting.run()["labels"]["lynx"]
    assert found["precision"] == {"low": 1, "estimate": 1, "high": 1}
    assert found["threshold"]["threshold"] == 0.97
    assert found["corrected"] == {"low": 12, "estimate": 12, "high": 12}


def test_unknown_is_no_statement_but_its_photos_count(trusting: Trusting) -> None:
    trusting.review(trusting.rows("fox", 80)[:60])
    unknown = trusting.rows("unknown", 40, score=0.2)
    trusting.review(unknown[:20], "fox")
    found = trusting.run()
    assert found["labels"]["unknown"]["precision"] is None
    assert found["overall"]["estimate"] == 1
    assert found["labels"]["fox"]["corrected"]["estimate"] == 120


def test_the_decision_keeps_its_other_rules(trusting: Trusting, tmp_path: Path) -> None:
    trusting.review(trusting.rows("fox", 80)[:60])
    trusting.review(trusting.rows("owl", 80, score=0.7)[:60], "fox")
    path = tmp_path / "decision.json"
    assert trusting.run("--write-decision", str(path))
    assert json.loads(path.read_text()) == {"labels": {"fox": {"min_score": 0.97}}}
    rules = {
        "min_score": 0.4,
        "allow": {"": ["fox", "owl"]},
        "labels": {"owl": {"min_score": 0.9}, "fox": {"min_score": 0.1}},
    }
    path.write_text(json.dumps(rules))
    trusting.text("--write-decision", str(path))
    rules["labels"]["fox"]["min_score"] = 0.97  # type: ignore[index]
    assert json.loads(path.read_text()) == rules
    assert "Without a proven threshold, unchanged: owl" in trusting.err
    schema = ROOT / "docs/decision.schema.json"
    if schema.is_file():
        jsonschema.validate(rules, json.loads(schema.read_text()))


@pytest.mark.parametrize("content", ["[]", "{", '{"labels": []}', '{"labels": {"fox": 1}}', "[" * 100_000, "\udcff"])
def test_a_file_that_is_no_decision_is_not_replaced(trusting: Trusting, tmp_path: Path, content: str) -> None:
    trusting.review(trusting.rows("fox", 60))
    path = tmp_path / "decision.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    trusting.run("--write-decision", str(path), code=2)
    assert "is no decision.json" in trusting.err
    assert path.read_bytes() == content.encode("utf-8", "surrogateescape")


def test_photos_classified_after_the_reviews_are_named(trusting: Trusting) -> None:
    trusting.review(trusting.rows("fox", 80)[:60])
    trusting.rows("fox", 30, score=0.96, classified_at=NOON + timedelta(days=3))
    assert trusting.run()["classified_later"] == 30
    assert "30 photos were classified after the day of the newest review" in trusting.text()


def test_an_empty_table_is_no_error_and_creates_nothing(trusting: Trusting, tmp_path: Path) -> None:
    assert trusting.run()["overall"] is None
    assert "has no rows" in trusting.err
    assert trusting.run("--write-decision", str(tmp_path / "decision.json"), code=1)["overall"] is None
    settings = trusting.account.settings
    tables = {each.name for each in trusting.account.clients.tables.list_tables()}
    assert tables.isdisjoint({settings.results_table, settings.reviews_table})


def test_hostile_labels_stay_on_their_line(trusting: Trusting) -> None:
    label = "fox\n\x1b[31m=1+1" + "x" * 500
    trusting.review(trusting.rows(label, 80)[:60])
    out = trusting.text()
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) < 140
    assert list(trusting.run()["labels"]) == [label]


@pytest.mark.parametrize("share", ["1", "0", "nan", "95", "many", "-0.9"])
def test_a_precision_that_is_none_is_refused(share: str) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["trust", f"--precision={share}"])
    assert exit_info.value.code == 2
