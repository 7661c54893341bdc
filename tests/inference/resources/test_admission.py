"""Admission by memory: the budget is never exceeded, and every request is granted in turn."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.errors import PermanentError, Reason
from inference.resources.admission import Admission, Budget
from tests.waiting import DEADLINE_SECONDS, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1024 * 1024


class Gauge:
    """The bytes that are held now, and their maximum so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.held = 0
        self.peak = 0

    @contextmanager
    def holding(self, cost: int) -> Iterator[None]:
        with self._lock:
            self.held += cost
            self.peak = max(self.peak, self.held)
        yield
        with self._lock:
            self.held -= cost


def start_waiting(budget: Budget, cost: int, call: Callable[[], object]) -> threading.Thread:
    """Start a thread that requests ``cost``, and return when it is in the queue."""

    def ask() -> None:
        with budget.reserve(cost):
            call()

    ahead = len(budget._waiting)
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    until(lambda: len(budget._waiting) > ahead, "the thread in the queue")
    return thread


@settings(max_examples=40, deadline=None)
@given(total=st.integers(1, 100), costs=st.lists(st.integers(0, 150), max_size=40))
def test_the_budget_is_never_exceeded_and_every_request_is_granted(total: int, costs: list[int]) -> None:
    budget, gauge = Budget(total), Gauge()

    def work(cost: int) -> None:
        with budget.reserve(cost), gauge.holding(min(cost, total)):
            pass

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, cost) for cost in costs]:
            done.result(DEADLINE_SECONDS)
    assert gauge.peak <= total
    with budget.reserve(total):  # everything was given back
        assert not budget._waiting


def test_a_request_for_more_than_the_budget_runs_alone() -> None:
    budget = Budget(100)
    entered = threading.Event()
    with budget.reserve(1_000_000):
        start_waiting(budget, 1, entered.set)
        assert not entered.is_set()
    assert entered.wait(DEADLINE_SECONDS)


def test_a_small_request_does_not_overtake_a_waiting_large_one() -> None:
    """Otherwise a stream of small images would starve the large one."""
    budget = Budget(100)
    large, small = threading.Event(), threading.Event()
    with budget.reserve(50):
        start_waiting(budget, 80, large.set)
        start_waiting(budget, 10, small.set)
        assert not large.is_set()
        assert not small.is_set()
    assert large.wait(DEADLINE_SECONDS)
    assert small.wait(DEADLINE_SECONDS)


def test_a_queue_of_large_requests_does_not_starve_a_small_one() -> None:
    """The large ones stay until the small one is in: it asked second, and fits beside the first."""
    budget = Budget(100)
    small = threading.Event()
    with budget.reserve(100):
        threads = [start_waiting(budget, 90, partial(small.wait, DEADLINE_SECONDS))]
        threads.append(start_waiting(budget, 1, small.set))
        threads += [start_waiting(budget, 90, partial(small.wait, DEADLINE_SECONDS)) for _ in range(20)]
    assert small.wait(DEADLINE_SECONDS)
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert not any(thread.is_alive() for thread in threads)


def test_a_stream_of_large_requests_does_not_starve_a_small_one() -> None:
    """Each large request that is granted adds another; the small one is still granted in its turn."""
    budget = Budget(100)
    order: list[str] = []
    threads: list[threading.Thread] = []

    def one_more(name: str) -> None:
        order.append(name)
        if len(threads) < 30:
            threads.append(start_waiting(budget, 90, partial(one_more, f"large {len(threads)}")))

    with budget.reserve(100):
        threads.append(start_waiting(budget, 90, partial(one_more, "first")))
        threads.append(start_waiting(budget, 90, partial(one_more, "second")))
        small = start_waiting(budget, 20, partial(order.append, "small"))  # fits beside none of them
    small.join(DEADLINE_SECONDS)
    assert order[:3] == ["first", "second", "small"]
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert len(order) == 31


def test_a_file_is_counted_while_it_is_held() -> None:
    admission = Admission(800 * MIB, ceiling_bytes=800 * MIB)
    with admission.reserve_content(30 * MIB):  # the share of files is 100 MiB
        assert admission._content._free_bytes == 70 * MIB


def test_a_file_larger_than_the_share_is_read_alone() -> None:
    admission = Admission(800 * MIB, ceiling_bytes=800 * MIB)
    with admission.reserve_content(128 * MIB):
        assert admission._content._free_bytes == 0
    assert admission._content._free_bytes == 100 * MIB


@pytest.mark.parametrize(("cost", "trims"), [(63 * MIB, 0), (64 * MIB, 1)], ids=["a small decode", "a large decode"])
def test_the_heaps_are_trimmed_after_a_large_decode_and_before_the_next(
    monkeypatch: pytest.MonkeyPatch, cost: int, trims: int
) -> None:
    admission = Admission(800 * MIB, ceiling_bytes=800 * MIB)
    free_then: list[int] = []
    monkeypatch.setattr(
        "inference.resources.admission.trim_heaps", lambda: free_then.append(admission._decoding._free_bytes)
    )
    with pytest.raises(ValueError, match="inside"), admission.reserve(cost):
        raise ValueError("inside")
    assert free_then == [700 * MIB - cost] * trims
    assert admission._decoding._free_bytes == 700 * MIB


def test_a_request_beyond_the_ceiling_is_refused() -> None:
    """A two-kilobyte WebP may declare a canvas of three gigabytes, which would end the worker."""
    admission = Admission(8 * MIB, ceiling_bytes=100 * MIB)
    with admission.reserve(99 * MIB):
        pass
    with pytest.raises(PermanentError, match="takes 200 MiB of memory; at most 99 MiB") as caught:
        admission.reserve(200 * MIB)
    assert caught.value.reason is Reason.TOO_MANY_PIXELS


def test_an_error_gives_the_memory_back() -> None:
    budget = Budget(10)
    with pytest.raises(ValueError, match="inside"), budget.reserve(10):
        raise ValueError("inside")
    with budget.reserve(10):
        pass


def test_a_request_that_is_interrupted_while_it_waits_leaves_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its bytes would be granted to no one, and every later request would wait behind it for ever."""
    budget = Budget(10)

    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            raise KeyboardInterrupt

    with budget.reserve(10):
        with monkeypatch.context() as patched:
            patched.setattr("inference.resources.admission.threading.Event", Interrupted)
            with pytest.raises(KeyboardInterrupt), budget.reserve(4):
                pass
        assert not budget._waiting
    with budget.reserve(10):
        assert budget._free_bytes == 0


def test_an_empty_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="admits nothing"):
        Budget(0)


def test_content_and_pixels_cannot_deadlock() -> None:
    """Sixteen downloads that fill their share must not keep the one decode from finishing."""
    admission = Admission(1000)
    finished = []

    def work(number: int) -> None:
        with admission.reserve_content(100), admission.reserve(10_000):
            finished.append(number)

    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(work, number) for number in range(64)]:
            done.result(DEADLINE_SECONDS)
    assert len(finished) == 64
