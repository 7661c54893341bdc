"""The labels of a folder: stated, or in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inference import classifier
from tests.inference.model.loading import LINES, refusal
from tests.inference.model.model_folders import MODEL_JSON, PIXELS_JSON, folder, graph

if TYPE_CHECKING:
    from pathlib import Path


def test_the_refusal_states_the_number_of_missing_labels(tmp_path: Path) -> None:
    message = refusal(folder(tmp_path, graph(), model_json=MODEL_JSON))
    assert "labels: a list of 3 names" in message
    assert '"labels": "?"' in message
    assert "label files" in message, "where we looked"


def test_another_number_of_labels_is_refused(tmp_path: Path) -> None:
    message = refusal(folder(tmp_path, graph(classes=8), labels_txt=LINES, model_json=MODEL_JSON))
    assert "8 numbers and labels.txt has 3 labels" in message


def test_one_sigmoid_for_two_labels_is_asked_about(tmp_path: Path) -> None:
    model = graph(classes=1, operators=("Sigmoid",))
    message = refusal(folder(tmp_path, model, labels_txt="cat\ndog", model_json=PIXELS_JSON))
    assert 'positive: "dog" or "cat"' in message
    assert '"positive": "?"' in message


def test_two_different_label_files_need_a_choice(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(), labels_txt=LINES, synset_txt="a\nb\nc", model_json=MODEL_JSON)
    assert 'labels: "labels.txt" or "synset.txt"' in refusal(path)
    folder(path, graph(), model_json=MODEL_JSON | {"labels": "synset.txt"})
    assert classifier.load(path).spec.labels == ("a", "b", "c")


def test_the_label_file_with_the_right_number_is_used(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(), labels_txt=LINES, classes_txt="a\nb", model_json=MODEL_JSON)
    assert classifier.load(path).spec.labels == ("red", "green", "blue")


def test_a_file_that_cannot_be_read_does_not_hide_another_one(tmp_path: Path) -> None:
    """Which of two usual names is read first does not matter; where no file can be read, the first refusal counts."""
    for broken, whole in (("labels_txt", "classes_txt"), ("classes_txt", "labels_txt")):
        files = {broken: "a\n\nb", whole: LINES}
        path = folder(tmp_path / broken, graph(), model_json=MODEL_JSON, **files)
        assert classifier.load(path).spec.labels == ("red", "green", "blue")
        (path / whole.replace("_", ".")).unlink()
        assert broken.replace("_", ".") in refusal(path)


def test_a_stated_list_with_a_gap_is_refused_by_its_source(tmp_path: Path) -> None:
    """The label file is no substitute for what the author states."""
    stated = MODEL_JSON | {"labels": {"0": "x", "2": "z"}}
    assert "model.json: labels" in refusal(folder(tmp_path, graph(), labels_txt=LINES, model_json=stated))


def test_a_list_in_model_json_wins_over_every_file(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(), labels_txt=LINES, model_json=MODEL_JSON | {"labels": ["x", "y", "z"]})
    assert classifier.load(path).spec.labels == ("x", "y", "z")


def test_label_files_with_similar_names_are_found(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(), model_json=MODEL_JSON, README_md="# hello", training_log_txt="epoch 1")
    (path / "my-labels-v2.txt").write_text(LINES)
    assert classifier.load(path).spec.labels == ("red", "green", "blue")


@pytest.mark.parametrize("name", ["Labels.TXT", "CLASSES.txt", "coco.names", "names.txt", "dict.txt", "Categories.txt"])
def test_usual_names_in_any_case_are_found(tmp_path: Path, name: str) -> None:
    path = folder(tmp_path, graph(), model_json=MODEL_JSON)
    (path / name).write_text(LINES)
    assert classifier.load(path).spec.labels == ("red", "green", "blue")


def test_files_of_new_kinds_that_disagree_need_a_choice(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(), labels_txt=LINES, data_yaml="names: [b, g, r]", model_json=MODEL_JSON)
    (path / "label_map.pbtxt").write_text("".join(f"item {{ id: {at} name: '{at}' }}" for at in (1, 2, 3)))
    assert 'labels: "data.yaml" or "label_map.pbtxt" or "labels.txt"' in refusal(path)
    (path / "label_map.pbtxt").unlink()
    (path / "data.yaml").write_text("names: [red, green, blue]")
    assert classifier.load(path).spec.labels == ("red", "green", "blue"), "the same list twice is one"
