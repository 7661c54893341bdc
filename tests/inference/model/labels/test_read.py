from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import ModelError
from inference.model.labels.parsed import parse_labels
from inference.model.labels.read import read_labels

if TYPE_CHECKING:
    from pathlib import Path

CAT_DOG_OWL = ("cat", "dog", "owl")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        pytest.param("cat\ndog\nowl\n", CAT_DOG_OWL, id="plain lines"),
        pytest.param("cat\ndog\nowl", CAT_DOG_OWL, id="no newline at the end"),
        pytest.param(
            "\ufeffcat\r\ndog\r\nowl\r\n\r\n", CAT_DOG_OWL, id="Windows line ends, byte order mark, blank end"
        ),
        pytest.param("0 cat\n1 dog\n2 owl", CAT_DOG_OWL, id="Teachable Machine: number and space"),
        pytest.param("0,cat\n1,dog\n2,owl", CAT_DOG_OWL, id="number and comma"),
        pytest.param("2:owl\n0: cat\n1 : dog", CAT_DOG_OWL, id="number and colon, in any order"),
        pytest.param("0\tcat\n1\tdog\n2\towl", CAT_DOG_OWL, id="number and tab"),
        pytest.param("index,label\n0,cat\n1,dog\n2,owl", CAT_DOG_OWL, id="CSV with a header"),
        pytest.param('id,name\n0,"cat, tom"\n1,dog', ("cat, tom", "dog"), id="CSV with quotes"),
        pytest.param("cat,0\ndog,1\nowl,2", CAT_DOG_OWL, id="number behind"),
        pytest.param(
            "n01440764 tench, Tinca tinca\nn01443537 goldfish", ("tench, Tinca tinca", "goldfish"), id="synset"
        ),
        pytest.param("0 n01440764 tench\n1 n01443537 goldfish", ("tench", "goldfish"), id="number and synset"),
        pytest.param("n01440764\nn01443537", ("n01440764", "n01443537"), id="bare WordNet ids"),
        pytest.param('["cat", "dog", "owl"]', CAT_DOG_OWL, id="JSON list"),
        pytest.param('{"0": "cat", "2": "owl", "1": "dog"}', CAT_DOG_OWL, id="JSON object by index"),
        pytest.param('{"owl": 2, "cat": 0, "dog": 1}', CAT_DOG_OWL, id="Keras class_indices"),
        pytest.param(
            '{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}', ("tench", "goldfish"), id="Keras"
        ),
        pytest.param('{"labels": ["cat", "dog", "owl"]}', CAT_DOG_OWL, id="JSON list under a key"),
        pytest.param('[{"id": 1, "name": "dog"}, {"id": 0, "name": "cat"}]', ("cat", "dog"), id="JSON list of objects"),
        pytest.param("{0: 'tench, Tinca tinca',\n 1: \"cat's eye\"}", ("tench, Tinca tinca", "cat's eye"), id="Python"),
        pytest.param("1 euro\n2 euro\n5 cent", ("1 euro", "2 euro", "5 cent"), id="names that begin with numbers"),
        pytest.param("7-Up\n99 Flake", ("7-Up", "99 Flake"), id="numbers that count nothing"),
        pytest.param("crane\nowl\ncrane", ("crane", "owl", "crane"), id="a label twice, as ImageNet has"),
        pytest.param('{"0": "0", "1": "1"}', ("0", "1"), id="digits as names"),
        pytest.param("Käse\n木\n", ("Käse", "木"), id="any script"),
        pytest.param("id label\n0 cat\n1 dog", ("cat", "dog"), id="a header of two words"),
        pytest.param(
            '[{"Category_ID": 1, "category_name": "b"}, {"Category_ID": 0, "category_name": "a"}]',
            ("a", "b"),
            id="records with longer keys",
        ),
        pytest.param("cat 0\ndog 1\nowl 2", CAT_DOG_OWL, id="number behind, after a space"),
        pytest.param("snow owl 1\ncat 0", ("cat", "snow owl"), id="the same in any order"),
        pytest.param("stage 0\nstage 1", ("stage 0", "stage 1"), id="names that differ in their number"),
        pytest.param("iPhone 13\nPixel 9", ("iPhone 13", "Pixel 9"), id="names that end with numbers"),
        pytest.param("0: 'cat'\n1: 'dog'", ("cat", "dog"), id="single quotes"),
        pytest.param("# made by hand\n\ncat\n#end\ndog", ("cat", "dog"), id="comments"),
        pytest.param("#1\n#2", ("#1", "#2"), id="names that begin with a hash"),
        pytest.param("/a/airfield 0\n/b/bar/indoor 1", ("airfield", "bar/indoor"), id="Places"),
        pytest.param("__label__cat\n__label__dog", ("cat", "dog"), id="fastText"),
        pytest.param('{"categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]}', ("cat", "dog"), id="COCO"),
        pytest.param('{"CLASS_LIST": ["cat", "dog"]}', ("cat", "dog"), id="a key in capitals"),
    ],
)
def test_reads(tmp_path: Path, text: str, labels: tuple[str, ...]) -> None:
    (tmp_path / "labels").write_text(text, encoding="utf-8", newline="")
    assert read_labels(tmp_path / "labels") == labels


PBTXT = """
# made by a script
item {
  id: 1
  name: 'cat'
}
item: { name: "/m/0bt9lr", display_name: "dog", id: 2 }
item {
  name: "owl" id: 3
  keypoints { id: 7 label: "eye" }
}
"""


@pytest.mark.parametrize(
    ("name", "text", "labels"),
    [
        pytest.param("data.yaml", "nc: 3\nnames: [cat, 'dog', \"owl\"]  # three\n", CAT_DOG_OWL, id="YAML list"),
        pytest.param("data.yaml", "train: ../x\nnames:\n  0: cat\n  2: owl\n  1: dog\n", CAT_DOG_OWL, id="YAML map"),
        pytest.param("labels.yml", "- cat\n- no\n- 2020-01-01\n- 1.0\n", ("cat", "no", "2020-01-01", "1.0"),
                     id="YAML without types"),
        pytest.param("classes.yaml", "cat: 0\nowl: 2\ndog: 1\n", CAT_DOG_OWL, id="YAML from name to index"),
        pytest.param("label_map.pbtxt", PBTXT, CAT_DOG_OWL, id="TensorFlow, from 1"),
        pytest.param("label_map.pbtxt", "item{id:0 name:'it\\'s'}item{id:1 name:\"b\"}", ("it's", "b"), id="from 0"),
        pytest.param("obj.names", "cat\ndog\nowl\n", CAT_DOG_OWL, id="darknet"),
        pytest.param("dict.txt", "cat 120\ndog 80\nowl 80\n", CAT_DOG_OWL, id="names and counts"),
        pytest.param("dict.txt", "cat\t120\ndog\t80\nowl\t80\n", CAT_DOG_OWL, id="names, tabs and counts"),
        pytest.param("dict.txt", "pixel 9\nnokia 3310\n", None, id="numbers that do not fall"),
        pytest.param("names.txt", "0 cat\n1 dog\n2 owl\n", CAT_DOG_OWL, id="index and name"),
        pytest.param("labels.tsv", "index\tlabel\n1\tdog\n0\tcat, tom\n", ("cat, tom", "dog"), id="TSV"),
        pytest.param("labels.tsv", "0\tcat\n1\tdog", ("cat", "dog"), id="TSV without a header"),
        pytest.param("labels.csv", "ClassId,SignName\n0,Speed limit\n1,Stop\n", ("Speed limit", "Stop"), id="GTSRB"),
        pytest.param("labels.csv", "class;id\nowl;1\ncat;0\n", ("cat", "owl"), id="semicolons, index behind"),
        pytest.param("labels.csv", "name\ncat\ndog\n", ("cat", "dog"), id="one column"),
        pytest.param("labels.csv", ",label\n0,cat\n1,dog\n", ("cat", "dog"), id="pandas' index"),
        pytest.param("labels.csv", "label,name\n0,cat\n1,dog\n", ("cat", "dog"), id="an index called label"),
        pytest.param("labels.csv", 'index,mid,display_name\n0,/m/09x0r,"Speech, soft"\n1,/m/05,Child\n',
                     ("Speech, soft", "Child"), id="three columns"),
        pytest.param("labels.csv", "id,name\nn02,dog\nn01,cat\n", ("dog", "cat"), id="ids that are no indices"),
        pytest.param("labels.csv", "Name,Index\n10,1\n0,0\n", ("0", "10"), id="digits as names"),
        pytest.param("labels.csv", "tench, Tinca tinca\ncrane, bird, big\n", ("tench, Tinca tinca", "crane, bird, big"),
                     id="names with commas"),
        pytest.param("labels.csv", "# v2\n0,animal,cat\n1,animal,owl\n", None, id="two columns of names"),
        pytest.param("labels.csv", "id,name\n1,cat\n2,dog\n", None, id="counting from one"),
        pytest.param("labels.csv", "id,name\n0,cat\n1,\n", None, id="a row without a name"),
        pytest.param("data.yaml", "nc: 4\nnames: [cat, dog]\n", None, id="another number of names"),
        pytest.param("data.yaml", "names: [cat", None, id="broken YAML"),
        pytest.param("data.yaml", "a: " + "[" * 200_000, None, id="brackets in YAML"),
        pytest.param("label_map.pbtxt", "item { id: 1 name: 'a' } item { id: 3 name: 'b' }", None, id="a gap"),
        pytest.param("label_map.pbtxt", "item { id: 1 name: 'a'", None, id="cut short"),
        pytest.param("label_map.pbtxt", "cat\ndog\n", None, id="no map"),
        pytest.param("label_map.pbtxt", "item { id: 1 name: 'cat\n }", None, id="a text without an end"),
        pytest.param("label_map.pbtxt", '"\\' * 500_000, None, id="a million quotes"),
    ],
)  # fmt: skip
def test_reads_by_suffix(tmp_path: Path, name: str, text: str, labels: tuple[str, ...] | None) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    if labels is None:
        with pytest.raises(ModelError, match=re.escape(str(path))):
            read_labels(path)
    else:
        assert read_labels(path) == labels


@pytest.mark.parametrize("end", ["1", "x", ",1"])
def test_long_rows_of_spaces_take_no_time(tmp_path: Path, end: str) -> None:
    """A pattern that tries every split of them would not end today."""
    path = tmp_path / "labels.txt"
    path.write_text("".join(f"1{' ' * 100_000}{end}\n" for _ in range(20)))
    assert len(read_labels(path)) == 20


def test_a_file_of_many_megabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    with path.open("wb") as file:
        file.truncate(4 * 1024 * 1024 + 1)
    with pytest.raises(ModelError, match="more than 4,194,304 bytes"):
        read_labels(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("1 cat\n2 dog\n3 owl", "from 1 to 3, not 0 to 2", id="counting from one is off by one"),
        pytest.param('{"1": "cat", "2": "dog"}', "from 1 to 2, not 0 to 1", id="the same in JSON"),
        pytest.param('{"0": "cat", "5": "dog"}', "from 0 to 5, not 0 to 1", id="a gap"),
        pytest.param("cat\n\nowl", "empty line 2", id="a line that would shift the rest"),
        pytest.param("", "holds no label", id="empty"),
        pytest.param("[]", "neither a list", id="an empty list"),
        pytest.param('{"a": "b"}', "neither a list", id="an object of something else"),
        pytest.param("{cat", "not valid", id="broken JSON"),
        pytest.param('["cat", null]', "None where a name", id="a missing name"),
    ],
)
def test_refuses(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "labels").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=sentence) as refusal:
        read_labels(tmp_path / "labels")
    assert str(tmp_path) in str(refusal.value)


def test_refuses_bytes_that_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "labels").write_bytes(b"\xff\xfe\x00caf\xe9")
    with pytest.raises(ModelError, match="not UTF-8"):
        read_labels(tmp_path / "labels")


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"])).filter(str.strip), min_size=1))
def test_json_lists_and_objects_give_the_same_labels(names: list[str]) -> None:
    expected = tuple(name.strip() for name in names)
    assert parse_labels(json.loads(json.dumps(names))) == expected
    assert parse_labels({str(index): name for index, name in enumerate(names)}) == expected


DIGIT_FOLDERS = {"0": 0, "1": 1, "10": 2, "2": 3, "3": 4, "4": 5, "5": 6, "6": 7, "7": 8, "8": 9, "9": 10}
"""Keras sorts the folders 0 to 10 as text."""


@pytest.mark.parametrize("name", ["class_indices.json", "class_to_idx.json", "label2id.json", "name_to_index.json"])
def test_the_name_of_a_file_from_name_to_index_decides_between_numbers(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(json.dumps(DIGIT_FOLDERS))
    assert read_labels(tmp_path / name) == tuple(DIGIT_FOLDERS)
    (tmp_path / name).write_text(json.dumps({"0": "cat", "1": "dog"}))
    assert read_labels(tmp_path / name) == ("cat", "dog"), "words cannot be indices"


@pytest.mark.parametrize("name", ["id2label.json", "idx_to_class.json", "index_to_name.json"])
def test_the_name_of_a_file_from_index_to_name_decides_between_numbers(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(json.dumps({str(index): folder for folder, index in DIGIT_FOLDERS.items()}))
    assert read_labels(tmp_path / name) == tuple(DIGIT_FOLDERS)


def test_numbers_on_both_sides_under_another_name_are_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(DIGIT_FOLDERS))
    with pytest.raises(ModelError, match="which side is the index"):
        read_labels(path)
    path.write_text(json.dumps({"class_to_idx": DIGIT_FOLDERS}))
    assert read_labels(path) == tuple(DIGIT_FOLDERS), "the key inside decides too"
    path.write_text(json.dumps({"0": 0, "2": 1, "5": 2}))
    assert read_labels(path) == ("0", "2", "5"), "only one side counts from 0"
    path.write_text(json.dumps({"1": 0, "0": 1}))
    assert read_labels(path) == ("1", "0"), "both readings agree"


def test_lines_of_two_numbers_need_a_header_or_a_name(tmp_path: Path) -> None:
    lines = [f"{name},{index}" for name, index in DIGIT_FOLDERS.items()]
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(ModelError, match="which side is the index"):
        read_labels(path)
    path.write_text("\n".join(["name,index", *lines]))
    assert read_labels(path) == tuple(DIGIT_FOLDERS)


def test_deep_brackets_are_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text("[" * 200_000)
    with pytest.raises(ModelError, match="not valid"):
        read_labels(path)
