"""Pictures: axes that suit what is drawn, and SVG in which nothing is lost and nothing stands on anything else."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tools.svg import Axis, Chart, Line, picture, text

SVG = "{http://www.w3.org/2000/svg}"
WIDTH = 420  # of the narrowest chart
LETTER = 8  # units, of a digit or a comma at most

counts = st.lists(st.integers(0, 10**7), min_size=1, max_size=8)
measures = st.lists(st.floats(0, 1e6).map(lambda value: round(value, 3)), min_size=1, max_size=8)


def chart(*lines: Line, across: Axis | None = None, up: Axis | None = None) -> ET.Element:
    """The chart's picture, read again."""
    axes = across or Axis((0, 5, 10)), up or Axis((0, 50, 100))
    drawn = Chart(100, 50, WIDTH, 200, "Title", "things", *axes, lines, names_at=(530, 60)).drawn()
    return ET.fromstring(picture(800, 300, "A chart", drawn))


@given(counts | measures)
@example([0])
@example([7])
@example([1, 100_000])
def test_every_value_is_on_the_axis(values: list[float]) -> None:
    axis = Axis.around(values)
    assert [axis.share(axis.ticks[0]), axis.share(axis.ticks[-1])] == [0, 1]
    assert all(-1e-9 <= axis.share(value) <= 1 + 1e-9 for value in values)


@given(counts | measures)
def test_the_axis_is_no_longer_than_the_values_need(values: list[float]) -> None:
    axis = Axis.around(values)
    assert 2 <= len(axis.ticks) <= 7
    assert all(tick < after for tick, after in pairwise(axis.ticks))
    if any(values):
        assert axis.share(max(values)) > axis.share(axis.ticks[-2])


@given(counts | measures)
def test_the_smallest_value_is_told_from_nought(values: list[float]) -> None:
    axis = Axis.around(values)
    if min(values) > 0:
        assert axis.is_logarithmic or axis.share(min(values)) > 0.02


@given(counts)
@example([9_000, 9_500, 10_000, 90_000, 100_000])
@example([1, 10**7])
def test_labels_of_ticks_do_not_overlap(values: list[int]) -> None:
    axis = Axis.around(values)
    drawn = chart(across=axis)
    labels = [
        (float(each.attrib["x"]), LETTER * len(each.text or ""))
        for each in drawn.iter(f"{SVG}text")
        if float(each.attrib["y"]) == 50 + 200 + 18
    ]
    assert len(labels) == len(axis.ticks)
    assert all(x + length / 2 <= after - its_length / 2 for (x, length), (after, its_length) in pairwise(labels))


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0], [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ([13.2, 5], [0, 5, 10, 15]),
        ([0, 1.4], [0, 0.5, 1, 1.5]),
        ([6, 406], [1, 10, 100, 1000]),
        ([2, 45], [2, 5, 10, 20, 50]),
        ([0, 406], [0, 100, 200, 300, 400, 500]),
        ([1, 1000, 10**7], [1, 100, 10_000, 10**6, 10**8]),
    ],
    ids=[
        "nothing was taken",
        "near each other",
        "beside nought",
        "far apart",
        "just far apart",
        "nought keeps it linear",
        "every other decade",
    ],
)
def test_ticks_are_round(values: list[float], ticks: list[float]) -> None:
    assert Axis.around(values).ticks == pytest.approx(ticks)


def test_points_are_where_the_axes_have_them() -> None:
    line = Line("a", "#123456", [(1, 0), (10, 50), (100, 100)])
    drawn = chart(line, across=Axis((1, 10, 100), is_logarithmic=True))
    (path,) = drawn.findall(f"{SVG}polyline")
    assert path.attrib["points"] == "100.0,250.0 310.0,150.0 520.0,50.0"
    dots = [(dot.attrib["cx"], dot.attrib["cy"], dot[0].text) for dot in drawn.iter(f"{SVG}circle")]
    assert dots == [
        ("100", "250", "a: 1 things, 0.0"),
        ("310", "150", "a: 10 things, 50.0"),
        ("520", "50", "a: 100 things, 100.0"),
    ]


def test_what_is_only_there_for_comparison_is_dashed_and_has_no_dots() -> None:
    drawn = chart(Line("ideal", "#123456", [(0, 0), (10, 100)], is_dashed=True))
    assert drawn.find(f"{SVG}circle") is None
    dashed = [each.tag for each in drawn if each.get("stroke-dasharray") == "5 4"]
    assert dashed == [f"{SVG}polyline", f"{SVG}line"], "the line, and the piece of it beside its name"


def test_each_line_is_named_below_the_one_before() -> None:
    drawn = chart(*(Line(name, "#123456", [(1, 1)]) for name in ("one", "two")))
    names = [(each.text, each.attrib["y"]) for each in drawn.iter(f"{SVG}text") if each.text in {"one", "two"}]
    assert names == [("one", "60"), ("two", "78")]


def test_names_are_text_and_nothing_else() -> None:
    said = '</text><script>alert("1 & 2")</script>'
    root = ET.fromstring(picture(100, 50, said, [text(0, 10, said)]))
    assert root.attrib["aria-label"] == said
    assert [each.text for each in root.iter(f"{SVG}text")] == [said]
    assert len(root) == 2
