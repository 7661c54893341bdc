"""Reads an export of Label Studio in its format JSON: https://labelstud.io/guide/task_format.

The tasks must be those of ``review make --format label-studio``, whose ``data`` names the content of each photo. An
annotation is one review: one choice is its label, none means unsure. Skipped annotations are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference.errors import ConfigurationError
from storage.reviews.review import Content, Review, Sample
from tools.review.values import EntryError, etag_of, label_of, optional_text, score_of, text_of, time_of
from tools.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Item = tuple[Content, Review]

_CONTROL = "label"  # the name of the choices in the labelling interface; see ``label_studio``


def read_export(
    tasks: Sequence[Any], container: str, reviewer: str, annotator: str | None
) -> Iterator[Item | EntryError]:
    """Yield each annotation as a review, or why it is refused.

    Args:
        tasks: The file's JSON list.
        container: The incoming container.
        reviewer: Whose reviews these are.
        annotator: Id or e-mail address, in Label Studio, of the one person whose annotations are read; ``None`` where
            all are by one person.

    Raises:
        ConfigurationError: The annotations are by several people, or none is by ``annotator``.
    """
    found = [(place, task, annotation) for place, task in enumerate(tasks, 1) for annotation in _annotations(task)]
    people = {_person(annotation) for _, _, annotation in found if annotation is not None}
    if annotator is None and len(people) > 1:
        names = ", ".join(sorted(printable(person) for person in people))
        raise ConfigurationError(
            f"These annotations are by several people ({names:.200}): import the file once for each, with --annotator "
            "and --by."
        )
    submitted = [annotation for _, _, annotation in found if annotation is not None]
    if annotator is not None and submitted and not any(annotator in _names(each) for each in submitted):
        names = ", ".join(sorted(printable(person) for person in people))
        raise ConfigurationError(f"No annotation is by {printable(annotator):.80}, but by {names:.200}.")
    for place, task, annotation in found:
        if annotation is not None and annotator is not None and annotator not in _names(annotation):
            continue
        try:
            yield _item(task, annotation, container, reviewer)
        except EntryError as error:
            yield error.at(f"Task {place}", task.get("data") if isinstance(task, dict) else None)


def _annotations(task: Any) -> list[dict[str, Any] | None]:
    """The annotations of a task that were submitted; ``None`` in place of anything else."""
    annotations = task.get("annotations") if isinstance(task, dict) else None
    if not isinstance(annotations, list):
        return [None]
    objects = (each if isinstance(each, dict) else None for each in annotations)
    return [each for each in objects if each is None or not each.get("was_cancelled")]


def _item(task: Any, annotation: dict[str, Any] | None, container: str, reviewer: str) -> Item:
    data = task.get("data") if isinstance(task, dict) else None
    if annotation is None or not isinstance(data, dict):
        raise EntryError("it is no task of Label Studio's format JSON; other formats lack its parts")
    if not {"container", "blob_name", "etag"} <= data.keys():
        raise EntryError("its data does not name the photo's content: make tasks with review make")
    if text_of(data, "container") != container:
        raise EntryError("it is of another container")
    content = Content(container, text_of(data, "blob_name"), etag_of(data))
    label = label_of(data, "label")
    prediction = _prediction(task, label)
    try:
        sample = Sample(data.get("sample", Sample.CHOSEN))
    except ValueError:
        raise EntryError("its sample is neither random nor chosen") from None
    review = Review(
        reviewed_label=_choice(annotation),
        reviewed_by=reviewer,
        reviewed_at=time_of(annotation, "updated_at" if annotation.get("updated_at") else "created_at"),
        label=label,
        score=score_of(prediction),
        model_version=optional_text(prediction, "model_version"),
        sample=sample,
    )
    return content, review


def _choice(annotation: Mapping[str, Any]) -> str | None:
    labels = _choices(annotation.get("result"))
    if len(labels) > 1:
        raise EntryError(f"it has {len(labels):,} choices, and a photo has one label")
    return label_of({"choice": labels[0]}, "choice") if labels else None


def _choices(result: Any) -> list[Any]:
    """The choices of an annotation or a prediction; those of other controls do not count."""
    if not isinstance(result, list):
        raise EntryError("its result is no list")
    regions = [each for each in result if isinstance(each, dict) and each.get("from_name") == _CONTROL]
    values = [each["value"].get("choices") for each in regions if isinstance(each.get("value"), dict)]
    return [choice for choices in values if isinstance(choices, list) for choice in choices]


def _prediction(task: Mapping[str, Any], label: str | None) -> Mapping[str, Any]:
    """The prediction that the annotator saw, which is exported with the task or not; empty if it is not."""
    predictions = task.get("predictions")
    for each in predictions if isinstance(predictions, list) else ():
        if isinstance(each, dict) and isinstance(each.get("result"), list) and _choices(each["result"]) == [label]:
            return each
    return {}


def _names(annotation: Mapping[str, Any]) -> set[str]:
    """The names of the annotator: Label Studio exports an id, or an object with an id and an e-mail address."""
    person = annotation.get("completed_by")
    names = (person.get("id"), person.get("email")) if isinstance(person, dict) else (person,)
    return {str(name) for name in names if isinstance(name, int | str)}


def _person(annotation: Mapping[str, Any]) -> str:
    return max(_names(annotation), key=len, default="unknown")
