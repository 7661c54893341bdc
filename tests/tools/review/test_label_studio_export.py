"""Label Studio's export becomes reviews. The task is the documented example (labelstud.io/guide/task_format)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from inference.errors import ConfigurationError
from tools.review.label_studio_export import read_export
from tools.review.values import EntryError

if TYPE_CHECKING:
    from tests.tools.review.conftest import Importing


def choices(*labels: Any, control: str = "label") -> dict[str, Any]:
    return {
        "id": "Dx_aB91ISN",
        "from_name": control,
        "to_name": "image",
        "type": "choices",
        "origin": "manual",
        "value": {"choices": list(labels)},
    }


def annotation(*labels: Any, **changes: Any) -> dict[str, Any]:
    return {
        "id": 1001,
        "result": [choices(*labels)] if labels else [],
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2026-11-20T12:00:00.728353Z",
        "updated_at": "2026-11-20T12:05:00.728378Z",
        "lead_time": 4.288,
        "task": 1,
        "completed_by": 10,
        **changes,
    }


def task(container: str, *annotations: Any, name: str = "cat.jpg", **data: Any) -> dict[str, Any]:
    prediction = {"model_version": "0123456789ab", "score": 0.875, "result": [choices("cat")]}
    content = {"image": f"azure-blob://{container}/{name}", "container": container, "blob_name": name, "etag": "0x8DE1"}
    return {
        "id": 1,
        "created_at": "2026-11-20T11:00:00Z",
        "data": {**content, "label": "cat", "sample": "random", **data},
        "annotations": list(annotations),
        "predictions": [prediction],
    }


def imported(importing: Importing, *tasks: Any, options: tuple[str, ...] = (), **expected: Any) -> dict[str, Any]:
    return importing.run_file(importing.file_of(json.dumps(tasks).encode()), *options, **expected)


def test_an_annotation_is_a_review(importing: Importing) -> None:
    importing.rows("cat.jpg")
    container = importing.container
    assert imported(importing, task(container, annotation("dog"))) == {"reviews": 1, "added": 1}
    (entity,) = importing.stored()
    columns = ("blob_name", "etag", "reviewed_label", "reviewed_by", "label", "score", "model_version", "sample")
    assert [entity[name] for name in columns] == [
        *("cat.jpg", "0x8DE1", "dog", "Ana", "cat", 0.875, "0123456789ab", "random"),
    ]
    assert entity["reviewed_at"].isoformat() == "2026-11-20T12:05:00.728378+00:00"
    assert imported(importing, task(container, annotation("dog"))) == {"reviews": 1, "unchanged": 1}


def test_no_choice_is_unsure_and_a_skipped_annotation_none(importing: Importing) -> None:
    tasks = [
        task(importing.container, annotation(), name="a"),
        task(importing.container, annotation("dog", was_cancelled=True), name="b"),
        task(importing.container, name="c"),
        task(importing.container, annotation(result=[choices("dog"), choices("x", "y", control="quality")]), name="d"),
    ]
    assert imported(importing, *tasks)["added"] == 2
    labels = {entity["blob_name"]: entity.get("reviewed_label") for entity in importing.stored()}
    assert labels == {"a": None, "d": "dog"}


def test_of_several_people_each_is_imported_by_name(importing: Importing) -> None:
    bob = {"id": 11, "email": "bob@example.org", "first_name": "Bob"}
    both = task(importing.container, annotation("dog"), annotation("cat", completed_by=bob))
    assert imported(importing, both, code=2) == {}
    assert "by several people (10, bob@example.org)" in importing.err
    assert imported(importing, both, options=("--annotator", "12"), code=2) == {}
    assert "No annotation is by 12, but by 10, bob@example.org." in importing.err
    assert imported(importing, both, options=("--annotator", "10"))["added"] == 1
    summary = imported(importing, both, options=("--annotator", "bob@example.org"), by="Bob")
    assert summary == {"reviews": 1, "added": 1, "disputed": 1, "without_row": 1}
    labels = {entity["reviewed_by"]: entity["reviewed_label"] for entity in importing.stored()}
    assert labels == {"Ana": "dog", "Bob": "cat"}


def test_what_is_no_review_of_a_photo_is_refused_alone(importing: Importing) -> None:
    tasks = [
        task("elsewhere", annotation("dog")),
        task(importing.container, annotation("dog", "cat")),
        {"image": "a.jpg", "choice": "dog", "id": 1},
        {"data": {"image": "a.jpg"}, "annotations": [annotation("dog")]},
        task(importing.container, annotation("dog")),
    ]
    summary = imported(importing, *tasks, code=1)
    assert (summary["added"], summary["refused"]) == (1, 4)
    assert importing.err.splitlines()[:4] == [
        "Task 1 (cat.jpg) is refused: it is of another container.",
        "Task 2 (cat.jpg) is refused: it has 2 choices, and a photo has one label.",
        "Task 3 is refused: it is no task of Label Studio's format JSON; other formats lack its parts.",
        "Task 4 is refused: its data does not name the photo's content: make tasks with review make.",
    ]


KEYS = (
    *("data", "annotations", "result", "value", "choices", "from_name", "completed_by", "id", "label", "etag"),
    *("container", "blob_name", "updated_at", "created_at", "predictions", "score", "sample", "was_cancelled"),
)
HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS), inner | st.sampled_from(("incoming", "2026-11-20T12:00:00Z")))
    ),
    max_leaves=30,
)


@given(st.lists(HOSTILE, max_size=4))
def test_any_list_gives_reviews_or_sentences(tasks: list[Any]) -> None:
    try:
        found = list(read_export(tasks, "incoming", "Ana", None))
    except ConfigurationError:
        return  # by several people
    refused = [str(each) for each in found if isinstance(each, EntryError)]
    assert all(sentence.startswith("Task ") and sentence.isprintable() for sentence in refused)


def test_annotator_is_refused_for_other_files(importing: Importing) -> None:
    assert importing.run_file(importing.file(), "--annotator", "10", code=2) == {}
    assert "this file is not its export" in importing.err
