"""Events depend on the photos alone: not on the order, the number or the lateness of their arrival."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import TransientError
from inference.predictions import Prediction
from storage.query.events import Event, EventSorter
from tests.storage.samples import AWKWARD_NAMES, NOON, record, rejected

if TYPE_CHECKING:
    from storage.results.record import Record

GAP = timedelta(seconds=60)
MIDNIGHT = datetime(2026, 5, 2, tzinfo=UTC)


def photo(name: str, seconds: float, **changes: Any) -> Record:
    """A photo that was taken some seconds after midnight."""
    taken = (MIDNIGHT + timedelta(seconds=seconds)).replace(tzinfo=None)
    return record(name, **{"taken_at": taken.isoformat(timespec="milliseconds"), "camera_serial": "SN 1"} | changes)


def found(photos: list[Record], gap: timedelta = GAP) -> list[tuple[Event, list[str]]]:
    with EventSorter(gap) as sorter:
        for each in photos:
            sorter.add(each, each.blob_name)
        return [(event, list(names)) for event, names in sorter.events()]


def naive(photos: list[Record], gap: timedelta) -> dict[tuple[str, ...], tuple[str, str, str, float]]:
    """Images, start, end, label and score of each event, the obvious way and in memory."""
    cameras = defaultdict(list)
    for each in {photo.blob_name: photo for photo in photos}.values():
        folder = each.blob_name.rpartition("/")[0]
        cameras[each.camera_serial or (each.camera_model, folder)].append(each)
    result = {}
    for of_camera in cameras.values():
        of_camera.sort(key=lambda each: (datetime.fromisoformat(str(each.taken_at)), each.blob_name))
        groups: list[list[Record]] = []
        for each in of_camera:
            taken = datetime.fromisoformat(str(each.taken_at))
            if groups and taken - datetime.fromisoformat(str(groups[-1][-1].taken_at)) < gap:
                groups[-1].append(each)
            else:
                groups.append([each])
        for group in groups:
            labels = {prediction.label for each in group for prediction in each.predictions}
            means = {
                label: sum(p.score for each in group for p in each.predictions if p.label == label) / len(group)
                for label in labels
            }
            best = min(labels, key=lambda label: (-means[label], label))
            names = tuple(each.blob_name for each in group)
            result[names] = (str(group[0].taken_at), str(group[-1].taken_at), best, means[best])
    return result


SCORES = st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75])  # sums of these are exact
PREDICTIONS = st.dictionaries(st.sampled_from(["cat", "dog", "\U0001f98a"]), SCORES, min_size=1).map(
    lambda scores: tuple(Prediction(label, 0, score) for label, score in scores.items())
)
PHOTOS = st.builds(
    photo,
    st.builds("/".join, st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(list(AWKWARD_NAMES.values())))),
    # Around midnight, and exactly one gap apart.
    st.sampled_from([-200, -60, -59.999, -1, 0, 0.001, 59, 60, 60.001, 119, 86_400]),
    camera_serial=st.sampled_from([None, "", "SN 1", "SN 2"]),
    camera_model=st.sampled_from([None, "HC600"]),
    predictions=PREDICTIONS,
)
GAPS = st.sampled_from([timedelta(seconds=1), GAP, timedelta(minutes=5)])


@given(st.lists(PHOTOS, max_size=12, unique_by=lambda each: each.blob_name), GAPS, st.data())
def test_any_order_and_repetition_gives_the_events_of_the_obvious_way(
    photos: list[Record], gap: timedelta, data: st.DataObject
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(photos), max_size=5)) if photos else []
    arrived = found(data.draw(st.permutations([*photos, *repeated])), gap)
    assert arrived == found(photos, gap)
    assert {tuple(names): (event.start, event.end, event.label, event.score) for event, names in arrived} == naive(
        photos, gap
    )
    assert [event.image_count for event, _ in arrived] == [len(names) for _, names in arrived]
    assert len({event.event_id for event, _ in arrived}) == len(arrived)


def test_photos_one_gap_apart_are_two_events_and_midnight_is_no_edge() -> None:
    names = [names for _, names in found([photo("a", -59.5), photo("b", 0), photo("c", 60), photo("d", 119.999)])]
    assert names == [["a", "b"], ["c", "d"]]


def test_a_late_photo_joins_its_event_and_keeps_its_id() -> None:
    (early, _), (late, _) = found([photo("a", 0), photo("c", 100)])
    ((whole, names),) = found([photo("c", 100), photo("a", 0), photo("b", 50)])
    assert names == ["a", "b", "c"]
    assert whole.event_id == early.event_id != late.event_id


def test_a_camera_is_its_serial_number_else_its_model_and_folder_else_its_folder() -> None:
    photos = [
        photo("x/1", 0),
        photo("y/1", 1),
        photo("x/2", 0, camera_serial=None, camera_model="HC600"),
        photo("y/2", 1, camera_serial=None, camera_model="HC600"),
        photo("x/3", 0, camera_serial=None),
        photo("4", 1, camera_serial=None),
    ]
    cameras = {tuple(names): event.camera for event, names in found(photos)}
    assert cameras == {
        ("x/1", "y/1"): "SN 1",
        ("x/2",): "HC600, x",
        ("y/2",): "HC600, y",
        ("x/3",): "x",
        ("4",): "",
    }


def test_the_zone_that_a_photo_states_does_not_count() -> None:
    taken = ["2026-05-01T12:00:00+10:00", "2026-05-01T12:00:10", "2026-05-01T12:00:20-03:00"]
    ((event, names),) = found([photo(str(number), 0, taken_at=each) for number, each in enumerate(taken)])
    assert (event.start, event.end, names) == (taken[0], taken[2], ["0", "1", "2"])


@pytest.mark.parametrize("taken_at", [None, "", "2026-13-01T00:00:00", "1960-01-01T00:00:00"])
def test_a_photo_without_a_time_belongs_to_no_event(taken_at: str | None) -> None:
    with EventSorter() as sorter:
        sorter.add(photo("a", 0, taken_at=taken_at), "a")
        assert (list(sorter.events()), sorter.without_time) == ([], 1)


def test_the_mean_is_over_classified_photos() -> None:
    photos = [
        photo("a", 0, predictions=(Prediction("cat", 0, 0.5), Prediction("dog", 1, 0.25))),
        photo("b", 1, predictions=(Prediction("dog", 1, 0.75),)),
        rejected("c", taken_at="2026-05-02T00:00:02", camera_serial="SN 1"),
    ]
    ((event, _),) = found(photos)
    assert (event.label, event.score, event.image_count) == ("dog", 0.5, 3)
    ((event, _),) = found(photos[2:])
    assert (event.label, event.score, event.image_count) == (None, None, 1)


def test_a_decision_counts_with_its_own_label_and_score() -> None:
    model = (Prediction("tomcat", 0, 0.5), Prediction("fox", 1, 0.25))
    ((event, _),) = found([photo("a", 0, label="cat", score=0.75, decision_version="1", predictions=model)])
    assert (event.label, event.score) == ("cat", 0.75)


def test_of_equal_labels_of_a_row_the_best_counts() -> None:
    twice = (Prediction("cat", 0, 0.5), Prediction("dog", 1, 0.25), Prediction("cat", 2, 0.125))
    ((event, _),) = found([photo("a", 0, predictions=twice)])
    assert (event.label, event.score) == ("cat", 0.5)


def test_of_two_outcomes_of_an_image_the_later_counts_in_either_order() -> None:
    old = photo("a", 0, predictions=(Prediction("cat", 0, 0.5),))
    new = photo("a", 0, predictions=(Prediction("dog", 0, 0.5),), classified_at=NOON + timedelta(seconds=1))
    for arrival in ([old, new], [new, old]):
        ((event, names),) = found(arrival)
        assert (event.label, names) == ("dog", ["a"])


def test_names_not_read_before_the_next_event_are_skipped() -> None:
    with EventSorter() as sorter:
        for number in range(4):
            sorter.add(photo(str(number), number // 2 * 1000), str(number))
        events = sorter.events()
        _, first = next(events)
        _, second = next(events)
        assert (list(first), list(second)) == ([], ["2", "3"])


def test_a_full_disk_is_named() -> None:
    with EventSorter() as sorter:
        sorter._database.execute("PRAGMA max_page_count = 3")

        def add_many() -> None:
            for number in range(1000):
                sorter.add(photo(str(number), number), "x" * 1000)

        with pytest.raises(TransientError, match=r"full.*SQLITE_TMPDIR"):
            add_many()
