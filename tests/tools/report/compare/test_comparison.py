"""Two models side by side: counts, the least sure differences, and the reviews as referee."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from scipy import stats

from inference.predictions import Answer, ModelIdentity, Prediction
from storage.reviews.join import ReviewedRow
from tests.storage.samples import record, review, write_results
from tests.tools.report.reports import NOON, outcome
from tools.__main__ import main
from tools.report.compare.comparison import MATRIX_LABELS, MAX_EXAMPLES, OTHERS, Comparison, compare
from tools.report.compare.sources import of_answers

if TYPE_CHECKING:
    from pathlib import Path

    from tools.account import Account

OLD, NEW, THIRD = ModelIdentity("animals", "v1"), ModelIdentity("animals", "v2"), ModelIdentity("tiny", "v1")


def answer(model: ModelIdentity, label: str, score: float = 0.9) -> Answer:
    return Answer(model, label, 0, score, (Prediction(label, 0, score),))


def row(
    name: str, first: str, other: str, reviewed: str | None = None, scores: tuple[float, float] = (0.9, 0.9)
) -> ReviewedRow:
    record = outcome(name, answers=(answer(OLD, first, scores[0]), answer(NEW, other, scores[1])))
    return ReviewedRow(record, (review(reviewed),) if reviewed else ())


def comparison(*rows: ReviewedRow) -> Comparison:
    (found,) = compare(of_answers(rows))
    return found


def test_agreement_and_pairs_are_counted() -> None:
    found = comparison(row("a", "fox", "fox"), row("b", "fox", "dog"), row("c", "fox", "dog"), row("d", "cat", "fox"))
    assert (found.images, found.agreed) == (4, 1)
    assert (dict(found.first), dict(found.other)) == ({OLD: 4}, {NEW: 4})
    assert [tuple(each) for each in found.differences] == [("fox", "dog", 2), ("cat", "fox", 1)]
    assert found.matrix_labels == ["fox", "dog", "cat"]
    assert found.matrix == [[1, 2, 0], [0, 0, 0], [1, 0, 0]]


def test_labels_beyond_the_matrix_are_joined_and_no_image_is_lost() -> None:
    found = comparison(*(row(f"{number}", f"label {number}", f"label {number + 1}") for number in range(40)))
    assert len(found.matrix_labels) == MATRIX_LABELS + 1
    assert found.matrix_labels[-1] == OTHERS
    assert sum(map(sum, found.matrix)) == 40
    assert len(found.differences) + found.unlisted == 40


def test_the_least_sure_differences_are_kept() -> None:
    rows = [row(f"{number:03d}", "fox", "dog", scores=(0.9, number / 200)) for number in range(200)]
    kept = comparison(*reversed(rows)).differing
    assert [pair.row.record.blob_name for pair in kept] == [f"{number:03d}" for number in range(MAX_EXAMPLES)]


def test_reviews_are_the_referee() -> None:
    found = comparison(
        row("a", "fox", "fox", "fox"),
        row("b", "fox", "fox", "dog"),
        row("c", "fox", "dog", "fox"),
        *(row(f"d{number}", "fox", "dog", "dog") for number in range(9)),
        row("e", "fox", "dog", "cat"),
        row("f", "fox", "dog"),
    )
    assert (found.reviewed, found.both_right) == (13, 1)
    assert (found.first_right, found.other_right, found.neither_right) == (1, 9, 1)
    assert found.chance == pytest.approx(stats.binomtest(1, 10).pvalue)


def test_without_a_decisive_review_there_is_no_probability() -> None:
    assert comparison(row("a", "fox", "dog"), row("b", "fox", "fox", "fox")).chance is None


def test_each_further_model_is_compared_with_the_first() -> None:
    answers = (answer(OLD, "fox"), answer(NEW, "fox"), answer(THIRD, "dog"))
    found = compare(of_answers([ReviewedRow(outcome("a", answers=answers)), ReviewedRow(outcome("b"))]))
    assert [(dict(each.other), each.agreed) for each in found] == [({NEW: 1}, 1), ({THIRD: 1}, 0)]


def test_a_candidate_is_compared_with_the_row() -> None:
    decided = outcome("a", label="vulpes", score=0.8, shadow=answer(NEW, "fox"))
    several = outcome("b", answers=(answer(OLD, "fox"), answer(THIRD, "dog")), shadow=answer(NEW, "fox"))
    pairs = list(of_answers([ReviewedRow(decided), ReviewedRow(several), ReviewedRow(outcome("c"))]))
    assert [(pair.first.label, pair.other.model, pair.other.label) for pair in pairs] == [
        *(("vulpes", NEW, "fox"), ("fox", THIRD, "dog"), ("fox", NEW, "fox")),
    ]
    assert [(dict(each.other), each.agreed) for each in compare(pairs)] == [({NEW: 2}, 1), ({THIRD: 1}, 0)]


def test_the_command_compares_two_tables(
    empty_account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from storage.results.serialization import to_entity

    container, table = empty_account.settings.incoming_container, empty_account.settings.results_table
    names = ("a.jpg", "b.jpg", "<b>c.jpg", "only here.jpg")
    write_results(empty_account.stores.results, *(record(name, container=container, label="fox") for name in names))
    other = empty_account.clients.tables.create_table(f"{table}candidate")
    for name, changed in (
        ("a.jpg", {"label": "fox"}),
        ("b.jpg", {"label": "dog", "etag": "another content"}),
        ("<b>c.jpg", {"label": "<i>dog"}),
    ):
        other.create_entity(to_entity(record(name, container=container, model_version="candidate", **changed)))
    target = tmp_path / "report.html"
    assert main(["report", "--compare", f"{table}candidate", "-o", str(target)]) == 0
    page = target.read_text(encoding="utf-8")
    section = page[page.index('<section id="models"') : page.index('<section id="problems"')]
    assert "<strong>2</strong> <span>answered by both" in section
    assert "<strong>1</strong> <span>50 %" in section
    assert "&lt;b&gt;c.jpg" in section
    assert "&lt;i&gt;dog" in section
    assert "b.jpg</bdi>" not in section.replace("&lt;b&gt;c.jpg", "")
    capsys.readouterr()
    for name, sentence in (
        (table, "is the app's own table"),
        ("nosuch", "--compare nosuch: the account has no such table. It has "),
    ):
        assert main(["report", "--compare", name, "-o", str(target)]) == 2
        assert sentence in capsys.readouterr().err
    assert target.read_text(encoding="utf-8") == page


def test_the_command_compares_the_models_of_an_app(
    empty_account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:

    container = empty_account.settings.incoming_container
    answers = (answer(OLD, "fox"), answer(NEW, "wolf"))
    write_results(empty_account.stores.results, record("a.jpg", container=container, answers=answers, label="fox"))
    entry = {"blob_name": "a.jpg", "etag": "0x8DE1", "label": "fox", "reviewed_label": "wolf", "at": NOON.isoformat()}
    corrections = tmp_path / "corrections.json"
    corrections.write_text(json.dumps({"version": 1, "container": container, "reviews": [entry]}))
    assert main(["review", "import", str(corrections), "--by", "Ana"]) == 0
    target = tmp_path / "report.html"
    capsys.readouterr()
    assert main(["report", "--compare", "--json", "-o", str(target)]) == 0
    (compared,) = json.loads(capsys.readouterr().out)["compared"]
    assert (compared["first"], compared["other"]) == ([f"{OLD.name} {OLD.version}"], [f"{NEW.name} {NEW.version}"])
    assert (compared["images"], compared["agreed"], compared["other_right"]) == (1, 0, 1)
    page = target.read_text(encoding="utf-8")
    assert "the first is right on 0, the other on 1, neither on 0" in page
    capsys.readouterr()
