"""``python -m tools review import`` on Azurite: whose review counts, what a second import changes, hostile files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.storage.samples import AWKWARD_NAMES
from tests.tools.review.conftest import review
from tools.__main__ import main

if TYPE_CHECKING:
    from tests.tools.review.conftest import Importing

AT = "2026-11-20T12:00:00.250Z"


def test_a_review_is_stored_with_what_the_reviewer_saw(importing: Importing) -> None:
    importing.rows("cat.jpg")
    assert importing.run(review(reviewed="dog")) == {"reviews": 1, "added": 1}
    (entity,) = importing.stored()
    assert {name: value for name, value in entity.items() if name not in {"PartitionKey", "RowKey", "reviewed_at"}} == {
        "container": importing.container,
        "blob_name": "cat.jpg",
        "etag": "0x8DE1",
        "reviewed_label": "dog",
        "reviewed_by": "Ana",
        "label": "cat",
        "score": 0.875,
        "model": "shapes",
        "model_version": "0123456789ab",
        "sample": "random",
    }
    assert entity["reviewed_at"].isoformat() == "2026-11-20T12:00:00.250000+00:00"


def test_the_answer_of_another_model_is_not_taken_from_the_row(importing: Importing) -> None:
    importing.rows("cat.jpg", "dog.jpg")
    importing.run(review("cat.jpg", label="dog"), review("dog.jpg", score=0.5, model_version="old"))
    columns = ("label", "score", "model", "model_version")
    assert {entity["blob_name"]: [entity.get(name) for name in columns] for entity in importing.stored()} == {
        "cat.jpg": ["dog", None, None, None],
        "dog.jpg": ["cat", 0.5, None, "old"],
    }


def test_a_second_import_changes_nothing(importing: Importing) -> None:
    importing.rows(*AWKWARD_NAMES.values())
    reviews = [review(name) for name in AWKWARD_NAMES.values()]
    assert importing.run(*reviews) == {"reviews": len(reviews), "added": len(reviews)}
    before = importing.stored()
    assert importing.run(*reviews[::-1]) == {"reviews": len(reviews), "unchanged": len(reviews)}
    assert importing.stored() == before
    assert {entity["blob_name"] for entity in before} == set(AWKWARD_NAMES.values())


def test_a_later_review_replaces_and_an_earlier_one_does_not(importing: Importing) -> None:
    importing.rows("cat.jpg")
    importing.run(review(reviewed="dog"))
    earlier, later = "2026-11-20T11:59:59Z", "2026-11-20T13:00:00.251+01:00"
    assert importing.run(review(reviewed="bat", at=earlier)) == {"reviews": 1, "outdated": 1, "new_labels": 1}
    assert importing.run(review(reviewed="cat")) == {"reviews": 1, "outdated": 1}
    assert importing.run(review(reviewed=None, at=later)) == {"reviews": 1, "replaced": 1, "unsure": 1}
    (entity,) = importing.stored()
    assert "reviewed_label" not in entity


def test_of_one_file_the_latest_review_of_a_content_counts(importing: Importing) -> None:
    reviews = [
        review(reviewed=label, at=f"2026-11-20T12:00:0{second}Z") for second, label in ((1, "a"), (3, "b"), (2, "c"))
    ]
    assert importing.run(*reviews, review(reviewed="d", at="2026-11-20T12:00:03Z"))["repeated"] == 3
    assert [entity["reviewed_label"] for entity in importing.stored()] == ["d"]


def test_reviewers_stand_side_by_side_and_the_newest_is_shown(
    importing: Importing, capsys: pytest.CaptureFixture[str]
) -> None:
    importing.rows("cat.jpg", "dog.jpg", "bat.jpg")
    importing.run(review("cat.jpg"), review("dog.jpg", "dog"))
    summary = importing.run(
        review("cat.jpg", "fox", at="2026-11-20T11:00:00Z"), review("dog.jpg", "dog"), by="Rene\u0301 <b>"
    )
    assert summary == {"reviews": 2, "added": 2, "disputed": 1, "new_labels": 1}
    assert len(importing.stored()) == 4
    found = {
        row["blob_name"]: tuple(row[name] for name in ("reviewed_label", "reviewed_by", "reviewed_at"))
        for row in importing.queried("--disagree")
    }
    # Both reviews of the dog are of one moment: the name decides, so that every reader takes the same one.
    assert found == {
        "cat.jpg": ("cat", "Ana", "2026-11-20T12:00:00.250000+00:00"),
        "dog.jpg": ("dog", "Ren\u00e9 <b>", "2026-11-20T12:00:00.250000+00:00"),
    }
    assert {row["blob_name"] for row in importing.queried("--reviewed")} == {"cat.jpg", "dog.jpg"}
    assert {row["blob_name"] for row in importing.queried("--unreviewed")} == {"bat.jpg"}
    assert {row["blob_name"] for row in importing.queried("--unreviewed", "--label", "cat")} == {"bat.jpg"}
    assert main(["query", "--image", "cat.jpg"]) == 0
    assert [line.split()[2:] for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["classified", "cat", "0.87", "cat.jpg"],
        ["reviewed", "cat", "by", "Ana"],
        ["reviewed", "fox", "by", "Ren\u00e9", "<b>"],
    ]


def test_a_review_stays_with_its_content(importing: Importing) -> None:
    importing.rows("cat.jpg")
    summary = importing.run(review(etag="0xEARLIER", reviewed="dog"), review("gone.jpg"))
    assert summary == {"reviews": 2, "added": 2, "earlier_upload": 1, "without_row": 1}
    (row,) = importing.queried()
    assert (row["reviewed_label"], row["reviewed_by"], row["reviewed_at"]) == (None, None, None)
    assert importing.queried("--reviewed") == importing.queried("--disagree") == []


REFUSED: dict[str, tuple[Any, str]] = {
    "no object": (5, "it is no JSON object"),
    "no name": (review(blob_name=None), "it has no blob_name"),
    "number as a name": (review(blob_name=7), "its blob_name is no text"),
    "long name": (review("n" * 1025), "its blob_name has 1,025 characters"),
    "half a character": (review("\ud83d"), "its blob_name holds half a character"),
    "empty etag": (review(etag='""'), "its etag is empty"),
    "blank label": (review(reviewed=" "), "its reviewed_label is blank"),
    "list as a label": (review(reviewed_label=["cat"]), "its reviewed_label is no text"),
    "no label": ({"blob_name": "a", "etag": "b", "at": AT}, "it has no reviewed_label; null means unsure"),
    "no time": (review(at="noon"), "its at 'noon' is no time"),
    "no zone": (review(at="2026-11-20T12:00:00"), "has no time zone"),
    "future": (review(at="2999-01-01T00:00:00Z"), "is before 1970 or in the future"),
    "before all": (review(at="0001-01-01T00:00:00+14:00"), "its at '0001-01-01T00:00:00+14:00' is"),
    "score": (review(score=float("nan")), "its score is no number from 0 to 1"),
}


def test_a_review_that_cannot_be_used_is_refused_alone(importing: Importing) -> None:
    importing.rows("cat.jpg")
    summary = importing.run(*(entry for entry, _ in REFUSED.values()), review("cat.jpg"), code=1)
    assert summary == {"reviews": len(REFUSED) + 1, "added": 1, "refused": len(REFUSED)}
    lines = importing.err.splitlines()
    assert len(lines) == len(REFUSED)
    for number, (line, case) in enumerate(zip(lines, REFUSED, strict=True), 1):
        assert line.startswith(f"Review {number} "), case
        assert REFUSED[case][1] in line, case


def test_of_many_refused_reviews_the_first_are_named(importing: Importing) -> None:
    assert importing.run(*[5] * 50, code=1) == {"reviews": 50, "refused": 50}
    assert [line.partition(" is ")[0] for line in importing.err.splitlines()[-2:]] == [
        "Review 20",
        "30 more reviews are refused.",
    ]


FILES: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"\x00\xff", "is no JSON file"),
    "deep": (b"[" * 200_000, "is no JSON file: it is nested too deeply"),
    "digits": (b'{"version": ' + b"9" * 5_000 + b"}", "is no JSON file"),
    "text": (b'"a"', "This is no file of corrections"),
    "no version": (b"{}", 'it needs "version": 1'),
    "true as a version": (b'{"version": true}', 'it needs "version": 1'),
    "another container": (b'{"version": 1, "container": "a\\u202eb"}', "are of the container 'a\\u202eb'"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_none_of_corrections_is_refused(case: str, importing: Importing) -> None:
    content, sentence = FILES[case]
    assert importing.run_file(importing.file_of(content), code=2) == {}
    assert sentence in importing.err
    assert len(importing.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"sample": "all"}, '"sample" must be "random" or "chosen"'), ({"reviews": {}}, '"reviews" must be a list')],
)
def test_a_file_with_a_wrong_part_is_refused(changes: dict[str, Any], sentence: str, importing: Importing) -> None:
    importing.run(code=2, **changes)
    assert sentence in importing.err


def test_a_large_file_is_refused_before_it_is_read(importing: Importing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.review.values.MAX_FILE_BYTES", 1024 * 1024)
    importing.run_file(importing.file_of(b" " * (1024 * 1024 + 1)), code=2)
    assert "has more than 1 MiB" in importing.err


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\u202eb", "n" * 257, "\udce9"])
def test_a_name_that_cannot_be_shown_is_refused(name: str, importing: Importing) -> None:
    with pytest.raises(SystemExit) as ended:
        importing.run(by=name)
    assert ended.value.code == 2


def test_an_empty_file_creates_nothing(importing: Importing) -> None:
    assert importing.run() == {}
    tables = {table.name for table in importing.account.clients.tables.list_tables()}
    assert importing.account.settings.reviews_table not in tables
    assert importing.queried("--reviewed") == []
    assert importing.account.settings.reviews_table not in {
        table.name for table in importing.account.clients.tables.list_tables()
    }


def test_new_labels_are_named_with_the_label_that_they_resemble(importing: Importing) -> None:
    importing.rows("cat.jpg", "dog.jpg", "bat.jpg")
    summary = importing.run(review("cat.jpg", "Catt"), review("dog.jpg", "pine marten"), review("bat.jpg", "star"))
    assert summary["new_labels"] == 2, "the shipped model knows the star"
    assert importing.err.splitlines() == [
        'New label "Catt" (1 of the reviews): was "cat" meant?',
        'New label "pine marten" (1 of the reviews).',
    ]
