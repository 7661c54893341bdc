"""The measuring of growth: it measures what it says, and what it measures can be drawn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from storage.clients import connect
from storage.settings import Connection
from tests.tools.regenerate_figures import GROWTH, GROWTH_PICTURE
from tools.benching import growth
from tools.benching.growth_names import plan_in_memory
from tools.benching.growth_plot import drawing

if TYPE_CHECKING:
    from tools.azurite import Azurite


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "_ROUNDS", 1)
    monkeypatch.setattr(growth, "_IMAGES", 2)


@pytest.mark.usefixtures("quick")
def test_an_image_takes_six_requests_however_many_rows_there_are(azurite: Azurite) -> None:
    clients = connect(Connection("ImageStorage", azurite.connection_string))
    points = list(growth.rows(azurite, clients, [1, 300]))
    assert [point["requests"] for point in points] == [6.0] * 8
    full = growth.Place(clients, "full").desk.results.row_ranges().everything()
    assert sum(len(page) for page in full) == 1 + 300 + 2 * 4  # the first, those filled in, those settled since


def test_images_that_are_done_take_as_many_requests_as_they_fill_pages(azurite: Azurite) -> None:
    clients = connect(Connection("ImageStorage", azurite.connection_string))
    points = list(growth.images(azurite, clients, [5, 20]))
    assert [(point["images"], point["work"], point["requests"]) for point in points] == [
        (5, "plan", 2),
        (5, "reconcile", 5),
        (20, "plan", 2),
        (20, "reconcile", 5),
    ]


def test_names_that_take_no_room_are_planned_all_the_same() -> None:
    assert plan_in_memory(12_000)["names"] == 12_000  # it raises where the plan is wrong


def test_what_was_measured_can_be_drawn() -> None:
    rows = [
        {"rows": rows, "beside": beside, "folder": folder, "cpu_ms": 10.0, "azurite_ms": 5.0, "requests": 6.0}
        for rows in (1, 1000)
        for beside in ("empty", "full")
        for folder in ("crowded", "spread")
    ]
    images = [{"images": 10, "work": work, "cpu_ms": 1.0, "azurite_ms": 0.0} for work in ("plan", "reconcile")]
    names = [{"names": names, "cpu_ms": 5, "grew_mib": 0.0} for names in (10, 1000)]
    picture = drawing({"rows": rows, "images": images, "names": names})
    lines = ET.fromstring(picture).findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 4 + 3 + 2


def test_the_kept_picture_is_that_of_the_kept_figures() -> None:
    """If this fails: python -m tests.tools.regenerate_figures"""
    kept = json.loads(GROWTH.read_text(encoding="utf-8"))
    assert GROWTH_PICTURE.read_text(encoding="utf-8") == drawing(kept)


@pytest.mark.parametrize(
    ("part", "kind", "largest"),
    [
        ("rows", {"beside": "full"}, 100_000),
        ("images", {"work": "plan"}, 8_000),
        ("images", {"work": "reconcile"}, 8_000),
        ("names", {}, 1_000_000),
    ],
    ids=["an image beside rows", "planning a backfill", "reconciling", "planning names"],
)
def test_the_kept_figures_say_that_costs_stay_flat(part: str, kind: dict[str, str], largest: int) -> None:
    kept = json.loads(GROWTH.read_text(encoding="utf-8"))[part]
    points = [point for point in kept if kind.items() <= point.items()]
    each = [point["cpu_ms"] / (1 if part == "rows" else point[part]) for point in points]
    assert points[-1][part] == largest
    assert each[-1] < 1.5 * each[0]
    assert points[-1].get("grew_mib", 0) < 4
