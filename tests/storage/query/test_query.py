"""Every question is answered truly, by as few keys as it can be, newest first, and without holding the answer."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from storage import keys
from storage.clients import connect
from storage.connection import Connection
from storage.query.plan import Filter, Kind, plan
from storage.query.query import Query
from storage.results.record import IndexRow, Record, Status
from storage.results.serialization import to_entity
from storage.results.store import Results
from tests.conftest import Names
from tests.storage.paging_service import PagingService
from tests.storage.samples import AWKWARD_NAMES, NOON, record, rejected

if TYPE_CHECKING:
    from azure.data.tables import TableServiceClient

    from storage.clients import Clients
    from tests.storage.conftest import Account
    from tools.azurite.azurite import Azurite

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
A_MICROSECOND = timedelta(microseconds=1)
LABELS = ["cat", "Cat", "it's", "a/b|c#?%", "caf\u00e9", "cafe\u0301", "\U0001f431", "l" * 600, "unknown"]
# Every edge of a day is somebody's time, and the moment before it too.
MOMENTS = [
    MIDNIGHT + timedelta(days=days) + shift
    for days in (-30, -2, -1, 0, 1)
    for shift in (timedelta(0), -A_MICROSECOND, timedelta(hours=13, microseconds=7))
]
MANY = 50_000
LABELS_OF_MANY = ("cat", "dog", "fox", "owl", "elk")
FOLDERS = ["", "site a/", "site a/2026/", "site b\U0001f431/", "/", "a//", "site a-2/"]


def some_records(container: str) -> list[Record]:
    """All kinds of names, labels, times and outcomes, the same on every call."""
    choose = random.Random(7)
    names = [f"{folder}{number:02d}.jpg" for folder in FOLDERS for number in range(16)]
    records = []
    for name in [*names, *AWKWARD_NAMES.values(), "long/" + "\u661f" * 700]:
        changes: dict[str, Any] = {
            "container": container,
            "classified_at": choose.choice(MOMENTS),
            "etag": f"0x{choose.randrange(2**32):X}",
            "model": choose.choice(["shapes", "old one"]),
        }
        kind = choose.random()
        if kind < 0.7:
            score = choose.choice([0.0, 0.00001, 0.5, 0.875, 1.0])
            records.append(record(name, label=choose.choice(LABELS), score=score, **changes))
        else:
            status = Status.REJECTED if kind < 0.85 else Status.FAILED
            records.append(rejected(name, **changes | {"status": status}))
    return records


def write(results: Results, *records: Record) -> None:
    for each in records:
        for row in each.index_rows():
            results.write_index_row(row)
        results.write_row(each, None)


@dataclass
class Scene:
    tables: TableServiceClient
    table: str
    container: str
    records: list[Record]

    def query(self, **wanted: Any) -> Query:
        return Query(self.tables, self.table, Filter(self.container, **wanted))

    def by_force(self, **wanted: Any) -> list[Record]:
        """What a person would pick, going through everything by hand."""

        def picked(each: Record) -> bool:
            folder, slash, _ = each.blob_name.rpartition("/")
            return (
                wanted.get("image") in {None, each.blob_name}
                and ("folder" not in wanted or (folder if slash else "") == wanted["folder"].removesuffix("/"))
                and wanted.get("label") in {None, each.label}
                and ("min_score" not in wanted or (each.score is not None and each.score >= wanted["min_score"]))
                and ("since" not in wanted or each.classified_at >= wanted["since"])
                and ("until" not in wanted or each.classified_at < wanted["until"])
                and wanted.get("status") in {None, each.status}
                and wanted.get("model") in {None, each.model, each.model_version}
            )

        return [each for each in self.records if picked(each)]


@pytest.fixture(scope="module")
def scene(clients: Clients) -> Scene:
    """Rows that nobody changes, beside those of another container whose name begins alike."""
    names = Names()
    container, table = names.container("incoming"), names.table("rows")
    results = Results(clients, table=table, container=names.container("results"))
    records = some_records(container)
    write(results, *records, *(each for each in some_records(f"{container}-old")[::4]))
    return Scene(clients.tables, table, container, records)


def by_name(records: list[Record]) -> list[Record]:
    return sorted(records, key=lambda each: each.blob_name)


wanted_parts = {
    "image": st.sampled_from([*AWKWARD_NAMES.values(), "site a/03.jpg", "site a/", "no such.jpg"]),
    "folder": st.sampled_from(["", "site a", "site a/2026", "site b\U0001f431", "a//", "a/", "site", "nowhere"]),
    "label": st.sampled_from([*LABELS, "ca", "cat|"]),
    "min_score": st.sampled_from([0.0, 0.00001, 0.3, 0.875, 1.0]),
    "since": st.sampled_from([*MOMENTS, datetime(1, 1, 1, tzinfo=UTC)]),
    "until": st.sampled_from([*MOMENTS, datetime(9999, 12, 31, tzinfo=UTC)]),
    "status": st.sampled_from(Status),
    "model": st.sampled_from(["shapes", "old one", "0123456789ab", "other"]),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.fixed_dictionaries({}, optional=wanted_parts))
@example(wanted={})
@example(wanted={"min_score": 1.0})
@example(wanted={"folder": "", "since": datetime(1, 1, 1, tzinfo=UTC)})
@example(wanted={"since": MOMENTS[0], "until": MOMENTS[-1]})
@example(wanted={"label": "cat", "since": MIDNIGHT, "until": MIDNIGHT})
def test_an_answer_is_what_a_person_would_pick_by_hand(scene: Scene, wanted: dict[str, Any]) -> None:
    query = scene.query(**wanted)
    answer = list(query.records())
    assert by_name(answer) == by_name(scene.by_force(**wanted))
    if plan(Filter(scene.container, **wanted)).in_index:
        assert [each.classified_at for each in answer] == sorted((each.classified_at for each in answer), reverse=True)
    assert scene.query(**wanted).count() == len(answer)


@pytest.mark.parametrize("name", AWKWARD_NAMES.values(), ids=AWKWARD_NAMES)
def test_an_image_is_one_point_whatever_its_name(scene: Scene, name: str) -> None:
    query = scene.query(image=name)
    assert [each.blob_name for each in query.records()] == [name]
    assert (query.kind, query.table, query.requests) == (Kind.POINT, scene.table, 1)


def test_a_slash_behind_a_folder_does_not_count(scene: Scene) -> None:
    assert list(scene.query(folder="site a/").records()) == list(scene.query(folder="site a").records())
    assert list(scene.query(folder="/").records()) == list(scene.query(folder="").records())


def test_a_limit_is_kept_and_asks_for_no_more(scene: Scene) -> None:
    everything = list(scene.query(status=Status.CLASSIFIED).records())
    query = scene.query(status=Status.CLASSIFIED)
    assert list(query.records(5)) == everything[:5]
    assert query.requests == 1 + 5
    assert scene.query(status=Status.CLASSIFIED).count(5) == 5


@pytest.mark.parametrize(
    ("wanted", "kind", "in_index"),
    [
        ({"image": "a.jpg", "folder": "b", "label": "cat"}, Kind.POINT, False),
        ({"folder": "a", "label": "cat", "since": NOON}, Kind.RANGE, False),
        ({"label": "cat", "status": Status.CLASSIFIED}, Kind.RANGE, True),
        ({"status": Status.FAILED, "min_score": 0.5}, Kind.RANGE, True),
        ({"until": NOON}, Kind.RANGE, True),
        ({"min_score": 0.5}, Kind.SCAN, False),
        ({"model": "shapes"}, Kind.SCAN, False),
        ({}, Kind.SCAN, False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_the_narrowest_keys_answer(wanted: dict[str, Any], kind: Kind, *, in_index: bool) -> None:
    chosen = plan(Filter("incoming", **wanted))
    assert (chosen.kind, chosen.in_index) == (kind, in_index)


@pytest.mark.parametrize(
    ("since", "until"),
    [(None, None), (NOON, None), (None, NOON), (NOON - timedelta(hours=1), NOON), (NOON - timedelta(days=9), NOON)],
    ids=["ever", "since", "until", "within a day", "over many days"],
)
def test_index_ranges_hold_what_is_in_time_and_nothing_else(since: datetime | None, until: datetime | None) -> None:
    """So nothing but key ranges decides about time: a busy day is not read through for one of its hours."""
    ((*spans,),) = plan(Filter("incoming", label="cat", since=since, until=until)).streams
    moments = [NOON + timedelta(hours=hours) for hours in range(-24 * 12, 24 * 3)]
    moments += [bound + shift for bound in (since, until) if bound for shift in (-A_MICROSECOND, timedelta(0))]
    for moment in moments:
        partition, row = (
            keys.index_partition("label", "cat", moment),
            keys.index_row_key("incoming", "a.jpg", moment),
        )
        within = [
            span
            for span in spans
            if span.first_partition <= partition <= span.last_partition
            and (span.first_row is None or span.last_row is None or span.first_row <= row <= span.last_row)
        ]
        in_time = (since is None or moment >= since) and (until is None or moment < until)
        assert len(within) == in_time, moment


def test_an_index_row_that_lies_is_passed_over(account: Account) -> None:
    true = record("a.jpg", container=account.incoming)
    write(account.results, true)
    status_row, label_row = true.index_rows()
    earlier = NOON - timedelta(hours=1)
    for lie in (
        record("a.jpg", container=account.incoming, classified_at=earlier),
        record("a.jpg", container=account.incoming, label="dog"),
        record("gone.jpg", container=account.incoming),
    ):
        for row in lie.index_rows():
            if row.keys != status_row.keys:
                account.results.write_index_row(row)
    other_content = {**label_row.columns, "etag": "0xOTHER"}
    asked: list[dict[str, Any]] = [{"label": "cat"}, {"label": "dog"}, {"status": Status.CLASSIFIED}, {"since": NOON}]
    for wanted in asked:
        query = Query(account.clients.tables, account.table, Filter(account.incoming, **wanted))
        assert [each.blob_name for each in query.records()] == ([] if wanted == {"label": "dog"} else ["a.jpg"]), wanted
    account.results.write_index_row(IndexRow(label_row.keys, other_content))
    query = Query(account.clients.tables, account.table, Filter(account.incoming, label="cat"))
    assert list(query.records()) == []


def test_a_row_of_somebody_else_is_passed_over(account: Account) -> None:
    write(account.results, record("a.jpg", container=account.incoming))
    table = account.clients.tables.get_table_client(account.table)
    table.create_entity({"PartitionKey": account.incoming, "RowKey": "b.jpg", "note": "mine"})
    table.create_entity(
        {"PartitionKey": account.incoming, "RowKey": "c.jpg", "container": account.incoming, "blob_name": 7}
    )
    asked: list[dict[str, Any]] = [{}, {"folder": ""}, {"image": "b.jpg"}]
    for wanted in asked:
        query = Query(account.clients.tables, account.table, Filter(account.incoming, **wanted))
        assert [each.blob_name for each in query.records()] == ([] if "image" in wanted else ["a.jpg"])


@pytest.mark.parametrize(
    "wanted",
    [{}, {"image": "a.jpg"}, {"folder": "a"}, {"label": "cat"}, {"since": NOON}],
    ids=["all", "image", "folder", "label", "time"],
)
def test_tables_that_are_missing_are_empty_and_stay_missing(account: Account, wanted: dict[str, Any]) -> None:
    query = Query(account.clients.tables, account.table, Filter(account.incoming, **wanted))
    assert list(query.records()) == []
    assert query.requests > 0
    assert account.table not in {table.name for table in account.clients.tables.list_tables()}


@pytest.mark.parametrize(
    "wanted",
    [{}, {"image": "site a/03.jpg"}, {"folder": "site a"}, {"label": "cat"}, {"since": NOON}, {"model": "shapes"}],
    ids=["all", "image", "folder", "label", "time", "model"],
)
def test_the_requests_explained_are_those_that_were_sent(
    azurite: Azurite, scene: Scene, sent: list[str], wanted: dict[str, Any]
) -> None:
    clients = connect(Connection("ImageStorage", azurite.connection_string))
    query = Query(clients.tables, scene.table, Filter(scene.container, **wanted))
    assert list(query.records())
    assert query.requests == len(sent) > 0
    assert all(request.startswith("GET ") for request in sent)
    clients.close()


@pytest.fixture(scope="module")
def service() -> PagingService:
    """Fifty folders, one uploaded after the other; an image a minute."""
    service = PagingService()
    records = [
        record(
            f"site {number // 1000:02d}/{number:05d}.jpg",
            label=LABELS_OF_MANY[number % 5],
            classified_at=NOON - timedelta(minutes=number),
        )
        for number in range(MANY)
    ]
    service.put("rows", (to_entity(each) for each in records))
    index = (row for each in records for row in each.index_rows())
    service.put(
        "rowsindex",
        ({"PartitionKey": row.keys.partition_key, "RowKey": row.keys.row_key, **row.columns} for row in index),
    )
    return service


class TestFiftyThousandRows:
    """A service whose pages may be empty, and which counts what it is asked."""

    @pytest.fixture
    def ask(self, service: PagingService) -> Any:
        service.asked.clear()
        tables = service.client()
        return lambda **wanted: Query(tables, "rows", Filter("incoming", **wanted))

    def test_all_are_found_however_the_pages_come(self, service: PagingService, ask: Any) -> None:
        query = ask(status=Status.CLASSIFIED)
        assert query.count() == MANY
        assert query.requests == len(service.asked)
        assert 50 + 50 // 3 <= query.requests <= 50 * 3 // 2 + 1

    def test_the_first_row_needs_few_requests(self, service: PagingService, ask: Any) -> None:
        following = 16  # the first index rows, side by side
        for wanted, most in (
            ({}, 2),
            ({"folder": "site 07"}, 2),
            ({"label": "cat"}, 2 + following),
            ({"status": Status.CLASSIFIED}, 2 + following),
            ({"since": NOON - timedelta(days=3)}, 9 + following),
        ):
            service.asked.clear()
            next(ask(**wanted).records())
            assert len(service.asked) <= most, wanted

    def test_a_folder_is_read_and_no_other(self, service: PagingService, ask: Any) -> None:
        assert sum(1 for _ in ask(folder="site 07").records()) == 1000
        assert len(service.asked) <= 2

    def test_a_label_is_followed_in_far_fewer_requests_than_rows(self, service: PagingService, ask: Any) -> None:
        query = ask(label="cat", since=NOON - timedelta(minutes=9_999))
        answer = list(query.records())
        assert len(answer) == 10_000 // 5
        assert [each.classified_at for each in answer] == sorted((each.classified_at for each in answer), reverse=True)
        assert query.requests == len(service.asked) < len(answer) // 20

    def test_an_hour_costs_an_hour(self, service: PagingService, ask: Any) -> None:
        moment = NOON - timedelta(days=12)
        query = ask(since=moment, until=moment + timedelta(hours=1))
        assert sum(1 for _ in query.records()) == 60
        assert query.requests == len(service.asked) <= 3 * 2 + 60

    @pytest.mark.parametrize(
        ("patience", "least", "most"), [(1_000_000, 3, 20), (100, 500, 600)], ids=["few strangers", "many strangers"]
    )
    def test_rows_among_strangers_are_picked_by_storage_or_are_points(
        self, patience: int, least: int, most: int
    ) -> None:
        """Where storage itself gives up looking through a range, no more than that is spent on ranges."""
        apart = [record(f"site {number % 50:02d}/{number // 50:02d}.jpg") for number in range(500)]
        strangers = ({"PartitionKey": f"incoming|site {n % 50:02d}", "RowKey": f"{n:05d}.png"} for n in range(50_000))
        crowded = PagingService()
        crowded.put("rows", itertools.chain((to_entity(each) for each in apart), strangers))
        index = (row for each in apart for row in each.index_rows())
        crowded.put(
            "rowsindex",
            ({"PartitionKey": row.keys.partition_key, "RowKey": row.keys.row_key, **row.columns} for row in index),
        )
        crowded.empty_every, crowded.patience = 0, patience
        query = Query(crowded.client(), "rows", Filter("incoming", label="cat"))
        assert len(list(query.records())) == 500
        assert least <= query.requests <= most

    def test_counting_reads_the_index_alone(self, service: PagingService, ask: Any) -> None:
        assert ask(label="cat").count() == MANY // 5
        assert all(path.startswith("/rowsindex") for path in service.asked)
        assert len(service.asked) <= 10 * 3 // 2 + 1
