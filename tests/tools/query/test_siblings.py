"""Which names of a folder collide, as far as a run can know it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inference.errors import ConfigurationError, TransientError
from tools.query.siblings import MAX_NAMES, Siblings

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGE = 5000


class Folder:
    """A folder `big/` of many names, which counts its pages."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.pages = 0

    def list(self, container: str, folder: str) -> Iterator[list[str]]:
        assert (container, folder) == ("incoming", "big/")
        for start in range(0, self.length, _PAGE):
            self.pages += 1
            yield [f"big/{number:07}.jpg" for number in range(start, min(start + _PAGE, self.length))]


def test_a_folder_of_too_many_names_stays_unknown() -> None:
    """It is listed once, and not to its end."""
    reported: list[str] = []
    folder = Folder(2 * MAX_NAMES)
    siblings = Siblings(folder.list, reported.append)
    assert [siblings.colliding_below("incoming", "big/") for _ in range(2)] == [None, None]
    assert folder.pages == MAX_NAMES // _PAGE + 1
    (sentence,) = reported
    assert sentence.endswith("because big/ holds more than 100,000 names.")


def test_a_folder_of_as_many_names_as_are_compared_is_known() -> None:
    assert Siblings(Folder(MAX_NAMES).list, pytest.fail).colliding_below("incoming", "big/") == frozenset()


def refused(error: Exception) -> Iterator[list[str]]:
    yield ["a.jpg", "A.jpg"]
    raise error


def test_folders_that_cannot_be_listed_stay_unknown_for_one_cause() -> None:
    reported: list[str] = []
    siblings = Siblings(lambda *_: refused(ConfigurationError("refused.")), reported.append)
    assert [siblings.colliding_below("incoming", folder) for folder in ("", "a/", "b/")] == [None, None, None]
    (sentence,) = reported
    assert sentence.endswith("because refused.")


def test_a_failure_for_now_gives_no_name() -> None:
    """A name that depends on a failure would not be the same in the next run."""
    siblings = Siblings(lambda *_: refused(TransientError("busy.")), pytest.fail)
    with pytest.raises(TransientError):
        siblings.colliding_below("incoming", "")
