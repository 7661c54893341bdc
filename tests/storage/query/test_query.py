"""Every query has the right answer, from few keys, newest first, and without holding the answer in memory."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from storage.clients import connect
from storage.connection import Connection
from storage.query.plan import Filter, Kind, plan
from storage.query.query import Query
from storage.results.index_rows import index_rows
from storage.results.record import IndexRow, Record, Status
from storage.results.serialization import to_entity
from storage.results.store import Results
from tests.conftest import Names
from tests.storage.query.paging_service import PagingService
from tests.storage.samples import AWKWARD_NAMES, NOON, record, rejected, write_results
from tests.waiting import DEADLINE_SECONDS

if TYPE_CHECKING:
    from azure.data.tables import TableServiceClient

    from storage.clients import Clients
    from tests.storage.conftest import Account
    from tools.azurite.azurite import Azurite

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
A_MICROSECOND = timedelta(microseconds=1)
LABELS = ["cat", "Cat", "it's", "a/b|c#?%", "caf\u00e9", "cafe\u0301", "\U0001f431", "l" * 600, "unknown"]
# Times at each edge of a day, and just before it.
TIMES = [
    MIDNIGHT + timedelta(days=days) + shift
    for days in (-30, -2, -1, 0, 1)
    for shift in (timedelta(0), -A_MICROSECOND, timedelta(hours=13, microseconds=7))
]
MANY = 20_000
LABELS_OF_MANY = ("cat", "dog", "fox", "owl", "elk")
FOLDERS = ["", "site a/", "site a/2026/", "site b\U0001f431/", "/", "a//", "site a-2/"]


TAKEN = [
    datetime(2024, 5, 1, 23, 59, 59, tzinfo=UTC),
    datetime(2024, 5, 2, tzinfo=UTC),
    datetime(2025, 1, 1, tzinfo=UTC),
]
CAPTURES: list[dict[str, Any]] = [
    {},
    {"taken_at": "2024-05-01T23:59:59", "camera_make": "RECONYX", "camera_model": "HC600", "camera_serial": "SN 1"},
    {"taken_at": "2024-05-02T00:00:00+10:00", "camera_make": "RECONYX", "camera_model": "HC600"},
    {"taken_at": "2024-05-02T00:00:00.500", "camera_make": "RECONYX"},
    {"taken_at": "2025-02-03T04:05:06", "camera_serial": "SN 2"},
]


def some_records(container: str) -> list[Record]:
    """All kinds of names, labels, times and outcomes, the same on every call."""
    choose = random.Random(7)
    names = [f"{folder}{number:02d}.jpg" for folder in FOLDERS for number in range(16)]
    records = []
    for name in [*names, *AWKWARD_NAMES.values(), "long/" + "\u661f" * 700]:
        changes: dict[str, Any] = {
            "container": container,
            "classified_at": choose.choice(TIMES),
            "etag": f"0x{choose.randrange(2**32):X}",
            "model": choose.choice(["shapes", "old one"]),
        } | choose.choice(CAPTURES)
        kind = choose.random()
        if kind < 0.7:
            score = choose.choice([0.0, 0.00001, 0.5, 0.875, 1.0])
            damaged = {"damaged": True, "decoded_fraction": 0.5} if kind < 0.2 else {}
            records.append(record(name, label=choose.choice(LABELS), score=score, **damaged, **changes))
        else:
            status = Status.REJECTED if kind < 0.85 else Status.FAILED
            reason = choose.choice(["empty", "unreadable"])
            records.append(rejected(name, **changes | {"status": status, "reason": reason}))
    return records


@dataclass
class Scene:
    tables: TableServiceClient
    table: str
    container: str
    records: list[Record]

    def query(self, **parts: Any) -> Query:
        return Query(self.tables, self.table, Filter(self.container, **parts))

    def matching(self, **parts: Any) -> list[Record]:
        """The matching records, found by comparing each one."""

        def matches(each: Record) -> bool:
            folder, slash, _ = each.blob_name.rpartition("/")
            return (
                parts.get("image") in {None, each.blob_name}
                and ("folder" not in parts or (folder if slash else "") == parts["folder"].removesuffix("/"))
                and parts.get("label") in {None, each.label}
                and ("min_score" not in parts or (each.score is not None and each.score >= parts["min_score"]))
                and ("since" not in parts or each.classified_at >= parts["since"])
                and ("until" not in parts or each.classified_at < parts["until"])
                and parts.get("status") in {None, each.status}
                and parts.get("model") in {None, each.model, each.model_version}
                and parts.get("reason") in {None, each.reason}
                and ("damaged" not in parts or each.damaged)
                and self.was_taken(each, **parts)
            )

        return [each for each in self.records if matches(each)]

    def was_taken(self, each: Record, **parts: Any) -> bool:
        """Times without their zones compare as text here."""
        taken = (each.taken_at or "")[:19]
        since, until = (
            f"{parts[name]:%Y-%m-%dT%H:%M:%S}" if name in parts else "" for name in ("taken_since", "taken_until")
        )
        stated = {each.camera_serial, each.camera_model, f"{each.camera_make} {each.camera_model}"}
        has_camera = each.camera_serial or each.camera_model
        return (
            (not since or (taken >= since and bool(taken)))
            and (not until or ("" < taken < until))
            and (
                "camera" not in parts
                or parts["camera"] in (stated if has_camera else {each.blob_name.rpartition("/")[0]})
            )
        )


@pytest.fixture(scope="module")
def scene(clients: Clients) -> Scene:
    """Rows that no test changes, and rows of another container whose name has the same beginning."""
    names = Names()
    container, table = names.container("incoming"), names.table("rows")
    results = Results(clients, table=table, container=names.container("results"))
    records = some_records(container)
    write_results(results, *records, *(each for each in some_records(f"{container}-old")[::4]))
    return Scene(clients.tables, table, container, records)


def by_name(records: list[Record]) -> list[Record]:
    return sorted(records, key=lambda each: each.blob_name)


COLUMNS_OF_VERSION_1 = ("container", "blob_name", "status", "label", "score", "etag", "classified_at")

filters = {
    "image": st.sampled_from([*AWKWARD_NAMES.values(), "site a/03.jpg", "site a/", "no such.jpg"]),
    "folder": st.sampled_from(["", "site a", "site a/2026", "site b\U0001f431", "a//", "a/", "site", "nowhere"]),
    "label": st.sampled_from([*LABELS, "ca", "cat|"]),
    "min_score": st.sampled_from([0.0, 0.00001, 0.3, 0.875, 1.0]),
    "since": st.sampled_from([*TIMES, datetime(1, 1, 1, tzinfo=UTC)]),
    "until": st.sampled_from([*TIMES, datetime(9999, 12, 31, tzinfo=UTC)]),
    "status": st.sampled_from(Status),
    "model": st.sampled_from(["shapes", "old one", "0123456789ab", "other"]),
    "reason": st.sampled_from(["empty", "unreadable", "other"]),
    "damaged": st.just(value=True),
    "taken_since": st.sampled_from(TAKEN),
    "taken_until": st.sampled_from(TAKEN),
    "camera": st.sampled_from(["SN 1", "HC600", "RECONYX HC600", "site a", "RECONYX"]),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.fixed_dictionaries({}, optional=filters))
@example(parts={})
@example(parts={"min_score": 1.0})
@example(parts={"folder": "", "since": datetime(1, 1, 1, tzinfo=UTC)})
@example(parts={"since": TIMES[0], "until": TIMES[-1]})
@example(parts={"label": "cat", "since": MIDNIGHT, "until": MIDNIGHT})
def test_an_answer_holds_exactly_the_matching_rows(scene: Scene, parts: dict[str, Any]) -> None:
    query = scene.query(**parts)
    answer = list(query.records())
    assert by_name(answer) == by_name(scene.matching(**parts))
    if plan(Filter(scene.container, **parts)).in_index and not Filter(scene.container, **parts).is_by_capture:
        assert [each.classified_at for each in answer] == sorted((each.classified_at for each in answer), reverse=True)
    assert scene.query(**parts).count() == len(answer)


@pytest.mark.parametrize("name", AWKWARD_NAMES.values(), ids=AWKWARD_NAMES)
def test_an_image_of_any_name_is_one_point(scene: Scene, name: str) -> None:
    query = scene.query(image=name)
    assert [each.blob_name for each in query.records()] == [name]
    assert (query.kind, query.table, query.requests) == (Kind.POINT, scene.table, 1)


def test_a_slash_at_the_end_of_a_folder_is_ignored(scene: Scene) -> None:
    assert list(scene.query(folder="site a/").records()) == list(scene.query(folder="site a").records())
    assert list(scene.query(folder="/").records()) == list(scene.query(folder="").records())


def test_a_limit_limits_the_requests_too(scene: Scene) -> None:
    everything = list(scene.query(status=Status.CLASSIFIED).records())
    query = scene.query(status=Status.CLASSIFIED)
    assert list(query.records(5)) == everything[:5]
    assert query.requests == 1
    verified = Query(scene.tables, scene.table, Filter(scene.container, status=Status.CLASSIFIED), verify=True)
    assert list(verified.records(5)) == everything[:5]
    assert verified.requests == 1 + 5
    assert scene.query(status=Status.CLASSIFIED).count(5) == 5


def test_times_within_a_second_are_compared_exactly_without_the_index(account: Account) -> None:
    """The emulator compares them as text, in which ``00Z`` is later than ``00.5Z``."""
    times = [MIDNIGHT + timedelta(microseconds=each) for each in (-1, 0, 1, 500_000, 1_000_000)]
    write_results(
        account.results,
        *(record(f"a/{at}.jpg", container=account.incoming, classified_at=time) for at, time in enumerate(times)),
    )
    for since in times:
        for until in times:
            in_folder = Filter(account.incoming, folder="a", since=since, until=until)
            found = {each.classified_at for each in Query(account.clients.tables, account.table, in_folder).records()}
            assert found == {time for time in times if since <= time < until}


def test_a_wrong_index_row_is_skipped_where_it_is_verified(account: Account) -> None:
    true = record("a.jpg", container=account.incoming)
    write_results(account.results, true)
    status_row, label_row = index_rows(true)
    earlier = NOON - timedelta(hours=1)
    for wrong in (
        record("a.jpg", container=account.incoming, classified_at=earlier),
        record("a.jpg", container=account.incoming, label="dog"),
        record("gone.jpg", container=account.incoming),
    ):
        for row in index_rows(wrong):
            if row.keys != status_row.keys:
                account.results.write_index_row(row)
    other_content = {**label_row.columns, "etag": "0xOTHER"}
    tried: list[dict[str, Any]] = [
        {"label": "cat"},
        {"label": "dog"},
        {"status": Status.CLASSIFIED},
        {"since": NOON},
    ]
    for parts in tried:
        query = Query(account.clients.tables, account.table, Filter(account.incoming, **parts), verify=True)
        assert [each.blob_name for each in query.records()] == ([] if parts == {"label": "dog"} else ["a.jpg"]), parts
    account.results.write_index_row(IndexRow(label_row.keys, other_content))
    query = Query(account.clients.tables, account.table, Filter(account.incoming, label="cat"), verify=True)
    assert list(query.records()) == []


def test_an_index_row_whose_keys_belong_to_other_columns_is_skipped(account: Account) -> None:
    """A person edited it. One that an attempt wrote and has yet to remove is an answer, unless it is verified."""
    true = record("a.jpg", container=account.incoming)
    write_results(account.results, true)
    _, label_row = index_rows(true)
    for edited in ({"label": "dog"}, {"blob_name": 7}, {"top_k": "["}, {"score": "much"}):
        account.results.write_index_row(IndexRow(label_row.keys, {**label_row.columns, **edited}))
        assert list(Query(account.clients.tables, account.table, Filter(account.incoming, label="cat")).records()) == []
    earlier = record("a.jpg", container=account.incoming, label="dog")
    account.results.write_index_row(index_rows(earlier)[1])
    of_dog = Filter(account.incoming, label="dog")
    assert [each.label for each in Query(account.clients.tables, account.table, of_dog).records()] == ["dog"]
    assert list(Query(account.clients.tables, account.table, of_dog, verify=True).records()) == []


@pytest.mark.parametrize("edited", [7, NOON, True], ids=["number", "time", "flag"])
def test_a_capture_time_that_a_person_replaced_is_none(account: Account, edited: object) -> None:
    image = record("a/1.jpg", container=account.incoming, taken_at="2024-05-02T01:02:03")
    write_results(account.results, image)
    account.clients.tables.get_table_client(account.table).upsert_entity({**to_entity(image), "taken_at": edited})
    tried: list[dict[str, Any]] = [{"folder": "a"}, {"image": "a/1.jpg"}]
    for parts in tried:
        of_2024 = Filter(account.incoming, taken_since=datetime(2024, 1, 1, tzinfo=UTC), **parts)
        assert list(Query(account.clients.tables, account.table, of_2024).records()) == []


def test_an_index_row_of_version_1_leads_to_its_row(account: Account) -> None:
    old, new = (record(f"{name}.jpg", container=account.incoming, model="shapes") for name in ("old", "new"))
    write_results(account.results, old, new)
    for row in index_rows(old):
        few = {name: row.columns[name] for name in COLUMNS_OF_VERSION_1}
        account.results.write_index_row(IndexRow(row.keys, few))
    tried: list[dict[str, Any]] = [{"label": "cat"}, {"status": Status.CLASSIFIED, "model": "shapes"}, {"since": NOON}]
    for parts in tried:
        query = Query(account.clients.tables, account.table, Filter(account.incoming, **parts))
        assert by_name(list(query.records())) == [new, old], parts
        assert query.count() == 2
    others: list[dict[str, Any]] = [
        *({"model": "other"}, {"reason": "empty"}, {"damaged": True}, {"camera": "HC600"}, {"taken_since": NOON})
    ]
    for parts in others:
        query = Query(account.clients.tables, account.table, Filter(account.incoming, label="cat", **parts))
        assert (list(query.records()), query.count()) == ([], 0), parts


def test_a_row_of_another_program_is_skipped(account: Account) -> None:
    write_results(account.results, record("a.jpg", container=account.incoming))
    table = account.clients.tables.get_table_client(account.table)
    table.create_entity({"PartitionKey": account.incoming, "RowKey": "b.jpg", "note": "mine"})
    table.create_entity(
        {"PartitionKey": account.incoming, "RowKey": "c.jpg", "container": account.incoming, "blob_name": 7}
    )
    tried: list[dict[str, Any]] = [{}, {"folder": ""}, {"image": "b.jpg"}]
    for parts in tried:
        query = Query(account.clients.tables, account.table, Filter(account.incoming, **parts))
        assert [each.blob_name for each in query.records()] == ([] if "image" in parts else ["a.jpg"])


@pytest.mark.parametrize(
    "parts",
    [{}, {"image": "a.jpg"}, {"folder": "a"}, {"label": "cat"}, {"since": NOON}],
    ids=["all", "image", "folder", "label", "time"],
)
def test_missing_tables_read_as_empty_and_are_not_created(account: Account, parts: dict[str, Any]) -> None:
    query = Query(account.clients.tables, account.table, Filter(account.incoming, **parts))
    assert list(query.records()) == []
    assert query.requests > 0
    assert account.table not in {table.name for table in account.clients.tables.list_tables()}


@pytest.mark.parametrize(
    "parts",
    [{}, {"image": "site a/03.jpg"}, {"folder": "site a"}, {"label": "cat"}, {"since": NOON}, {"model": "shapes"}],
    ids=["all", "image", "folder", "label", "time", "model"],
)
def test_the_reported_requests_are_those_that_were_sent(
    azurite: Azurite, scene: Scene, sent: list[str], parts: dict[str, Any]
) -> None:
    clients = connect(Connection("ImageStorage", azurite.connection_string))
    query = Query(clients.tables, scene.table, Filter(scene.container, **parts))
    assert list(query.records())
    assert query.requests == len(sent) > 0
    assert all(request.startswith("GET ") for request in sent)
    clients.close()


@pytest.fixture(scope="module")
def service() -> PagingService:
    """Twenty folders, one uploaded after the other; an image a minute."""
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
    index = (row for each in records for row in index_rows(each))
    service.put(
        "rowsindex",
        ({"PartitionKey": row.keys.partition_key, "RowKey": row.keys.row_key, **row.columns} for row in index),
    )
    return service


class TestTwentyThousandRows:
    """The service's pages may be empty, and it counts requests."""

    @pytest.fixture
    def query_of(self, service: PagingService) -> Any:
        service.asked.clear()
        tables = service.client()
        return lambda **parts: Query(tables, "rows", Filter("incoming", **parts))

    def test_all_are_found_with_any_pages(self, service: PagingService, query_of: Any) -> None:
        query = query_of(status=Status.CLASSIFIED)
        assert query.count() == MANY
        assert query.requests == len(service.asked)
        pages = MANY // 1000
        assert pages + pages // 3 <= query.requests <= pages * 3 // 2 + 1

    def test_the_first_row_needs_few_requests(self, service: PagingService, query_of: Any) -> None:
        for parts, most in (
            ({}, 2),
            ({"folder": "site 07"}, 2),
            ({"label": "cat"}, 2),
            ({"status": Status.CLASSIFIED}, 2),
            ({"since": NOON - timedelta(days=3)}, 3 * 2),
        ):
            service.asked.clear()
            next(query_of(**parts).records())
            assert len(service.asked) <= most, parts

    def test_the_first_rows_do_not_wait_for_a_thousand(self, service: PagingService, query_of: Any) -> None:
        service.empty_every = 0
        for parts in ({}, {"folder": "site 07"}, {"label": "cat"}, {"status": Status.CLASSIFIED}):
            service.asked.clear()
            service.given = 0
            next(query_of(**parts).records())
            assert (len(service.asked), service.given) == (1, 100), parts
        service.empty_every = 3

    def test_the_ranges_of_a_period_are_asked_for_at_once(
        self, service: PagingService, query_of: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No request is answered before all three have arrived."""
        send, together = service.send, threading.Barrier(3)

        def send_when_all_are_here(request: Any, **options: Any) -> Any:
            if len(service.asked) < 3:
                together.wait(DEADLINE_SECONDS)
            return send(request, **options)

        service.empty_every = 0
        monkeypatch.setattr(service, "send", send_when_all_are_here)
        assert next(query_of(since=NOON - timedelta(days=3)).records()).classified_at == NOON
        service.empty_every = 3

    def test_a_folder_is_read_and_no_other(self, service: PagingService, query_of: Any) -> None:
        assert sum(1 for _ in query_of(folder="site 07").records()) == 1000
        assert len(service.asked) <= 2

    def test_a_label_takes_far_fewer_requests_than_rows(self, service: PagingService, query_of: Any) -> None:
        query = query_of(label="cat", since=NOON - timedelta(minutes=9_999))
        answer = list(query.records())
        assert len(answer) == 10_000 // 5
        assert [each.classified_at for each in answer] == sorted((each.classified_at for each in answer), reverse=True)
        assert query.requests == len(service.asked) <= 3 + len(answer) // 1000

    def test_an_hour_costs_an_hour(self, service: PagingService, query_of: Any) -> None:
        moment = NOON - timedelta(days=12)
        query = query_of(since=moment, until=moment + timedelta(hours=1))
        assert sum(1 for _ in query.records()) == 60
        assert query.requests == len(service.asked) <= 3 * 3 // 2 + 1

    def test_counting_reads_the_index_alone(self, service: PagingService, query_of: Any) -> None:
        assert query_of(label="cat").count() == MANY // 5
        assert all(path.startswith("/rowsindex") for path in service.asked)
        assert len(service.asked) <= MANY // 5 // 1000 * 3 // 2 + 1
