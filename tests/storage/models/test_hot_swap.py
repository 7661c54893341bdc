"""The model that serves, and its replacement: no invocation waits or is dropped, a bad version is refused once."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from inference.errors import ConfigurationError, ModelError, ModelFileError, TransientError
from inference.predictions import ModelIdentity
from storage.models.blob_models import ModelVersion
from storage.models.hot_swap import HotSwapModel
from storage.models.local import LocalModel
from tests.storage.samples import FixedClassifier
from tests.waiting import DEADLINE_SECONDS, until

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)


@dataclass
class Shelf:
    """A source whose versions a test puts there, and a loader that counts.

    Attributes:
        version: The current version.
        changed_at: Set for copied files.
        error: Raised by each check.
        broken: Versions that cannot be loaded.
    broken_decisions: Files that cannot be used.
        broken_decisions: Files that cannot be used.
        fetch_error: Raised by each fetch.
        load_error: Raised by each load.
        loaded: Every version a load was tried of.
        gate: Loading waits for it.
    """

    version: str = "1"
    is_shared: bool = True
    changed_at: datetime | None = None
    error: Exception | None = None
    broken: set[str] = field(default_factory=set)
    broken_decisions: set[Path] = field(default_factory=set)
    fetch_error: Exception | None = None
    load_error: Exception | None = None
    loaded: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def current_version(self) -> ModelVersion:
        if self.error is not None:
            raise self.error
        return ModelVersion(self.version, changed_at=self.changed_at)

    def fetch(self, version: ModelVersion) -> Path:
        if self.fetch_error is not None:
            raise self.fetch_error
        return Path(version.version)

    def load(self, *folders: Path, decision: Path | None = None) -> FixedClassifier:
        names = ";".join(str(folder) for folder in folders)
        if decision in self.broken_decisions:
            raise ModelError(f"{decision} is broken.")
        self.loaded.append(names)
        assert self.gate.wait(DEADLINE_SECONDS)
        if self.load_error is not None:
            raise self.load_error
        if names in self.broken:
            raise ModelError(f"version {names} is broken.")
        return FixedClassifier(model=ModelIdentity("birds", names))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def models(shelf: Shelf, clock: Clock) -> HotSwapModel[FixedClassifier]:
    return HotSwapModel([shelf], shelf.load, refresh_seconds=60, clock=clock, now=clock.now)


def version(models: HotSwapModel[FixedClassifier]) -> str:
    return models.current().model.version


def rested(models: HotSwapModel[FixedClassifier]) -> None:
    """Wait until no check is running."""
    until(lambda: not models._refreshing.locked())


def test_the_first_call_loads_and_the_others_wait_for_it(models: HotSwapModel[FixedClassifier], shelf: Shelf) -> None:
    shelf.gate.clear()
    with ThreadPoolExecutor(16) as pool:
        calls = [pool.submit(models.current) for _ in range(16)]
        until(lambda: bool(shelf.loaded))
        shelf.gate.set()
        assert len({id(call.result()) for call in calls}) == 1
    assert shelf.loaded == ["1"]


def test_no_check_is_made_before_it_is_due(models: HotSwapModel[FixedClassifier], shelf: Shelf, clock: Clock) -> None:
    models.current()
    shelf.version = "2"
    clock.seconds += 59
    assert version(models) == "1"
    rested(models)
    assert version(models) == "1"


def test_a_new_version_is_swapped_in_and_no_call_waits(
    models: HotSwapModel[FixedClassifier], shelf: Shelf, clock: Clock
) -> None:
    began_with = models.current()
    shelf.version = "2"
    shelf.gate.clear()
    clock.seconds += 61
    assert version(models) == "1", "the call that triggers the check is served at once"
    until(lambda: shelf.loaded == ["1", "2"])
    clock.seconds += 61
    assert version(models) == "1", "while the new one loads, the old one serves, and no second check begins"
    shelf.gate.set()
    until(lambda: version(models) == "2")
    assert began_with.model.version == "1"
    assert shelf.loaded == ["1", "2"]


def test_never_means_never(shelf: Shelf, clock: Clock) -> None:
    models = HotSwapModel([shelf], shelf.load, refresh_seconds=0, clock=clock)
    models.current()
    shelf.version = "2"
    clock.seconds += 10**9
    assert version(models) == "1"
    rested(models)
    assert version(models) == "1"


PASSING = [
    TransientError("model.onnx cannot be read for now (Too many open files)."),
    ModelFileError("model.onnx cannot be read (No such file or directory)."),
    ConfigurationError("The model cache cannot be written (No space left on device)."),
    MemoryError(),
    OSError(24, "Too many open files"),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_a_first_load_that_failed_is_tried_again(
    models: HotSwapModel[FixedClassifier], shelf: Shelf, error: Exception
) -> None:
    shelf.load_error = error
    with pytest.raises(type(error)):
        models.current()
    shelf.load_error = None
    assert version(models) == "1"
    assert shelf.loaded == ["1", "1"]


@pytest.mark.parametrize("error", [*PASSING, ModelError("model.onnx is not the file that was published.")], ids=repr)
def test_a_fetch_that_failed_is_tried_again(
    models: HotSwapModel[FixedClassifier], shelf: Shelf, error: Exception
) -> None:
    """Also a download with wrong bytes: publishing the same version again repairs the blob, not the version."""
    shelf.fetch_error = error
    with pytest.raises(type(error)):
        models.current()
    shelf.fetch_error = None
    assert version(models) == "1"


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_a_newer_version_that_failed_for_another_reason_is_tried_at_the_next_check(
    models: HotSwapModel[FixedClassifier], shelf: Shelf, clock: Clock, error: Exception
) -> None:
    models.current()
    shelf.version, shelf.load_error = "2", error
    clock.seconds += 61
    assert version(models) == "1"
    until(lambda: shelf.loaded == ["1", "2"])
    rested(models)
    shelf.load_error = None
    clock.seconds += 61
    until(lambda: version(models) == "2")


def test_bad_content_is_not_loaded_again_until_there_is_another_version(
    models: HotSwapModel[FixedClassifier], shelf: Shelf
) -> None:
    shelf.broken = {"1"}
    for _ in range(3):
        with pytest.raises(ModelError, match="version 1 is broken"):
            models.current()
    assert shelf.loaded == ["1"]
    shelf.version = "2"
    assert version(models) == "2"


def test_a_broken_version_is_refused_loudly_and_once(
    models: HotSwapModel[FixedClassifier], shelf: Shelf, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    models.current()
    shelf.version, shelf.broken = "2", {"2"}
    for _ in range(5):
        clock.seconds += 61
        assert version(models) == "1"
        rested(models)
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    for word in ("model_refused", "version 2 is broken", "keeps=birds:1", "do="):
        assert word in errors[0]
    assert shelf.loaded == ["1", "2"], "it is not loaded again and again"

    shelf.version = "3"
    clock.seconds += 61
    models.current()
    until(lambda: version(models) == "3")


def test_a_second_broken_version_is_reported_too(
    models: HotSwapModel[FixedClassifier], shelf: Shelf, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    models.current()
    shelf.broken = {"2", "3"}
    for shelf.version in ("2", "3"):
        clock.seconds += 61
        models.current()
        rested(models)
    assert sum(record.levelno >= logging.ERROR for record in caplog.records) == 2


def test_going_back_to_the_version_that_serves_ends_the_report(
    models: HotSwapModel[FixedClassifier], shelf: Shelf, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    models.current()
    shelf.broken = {"2"}
    for shelf.version in ("2", "1", "2"):
        clock.seconds += 61
        models.current()
        rested(models)
    assert sum(record.levelno >= logging.ERROR for record in caplog.records) == 2
    assert shelf.loaded == ["1", "2"]


@pytest.mark.parametrize(
    ("error", "level", "times"),
    [(TransientError("503."), logging.WARNING, 3), (ConfigurationError("403."), logging.ERROR, 1)],
    ids=["storage is down", "access is gone"],
)
def test_storage_that_fails_leaves_the_model_serving(  # noqa: PLR0917 - fixtures
    models: HotSwapModel[FixedClassifier],
    shelf: Shelf,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    level: int,
    times: int,
) -> None:
    models.current()
    shelf.error = error
    for _ in range(3):
        clock.seconds += 61
        assert version(models) == "1"
        rested(models)
    assert [record.levelno for record in caplog.records if record.levelno >= logging.WARNING] == [level] * times


def test_without_a_model_each_call_checks_again_and_loads_a_refused_version_once(
    models: HotSwapModel[FixedClassifier], shelf: Shelf
) -> None:
    shelf.broken = {"1"}
    for _ in range(3):
        with pytest.raises(ModelError, match="version 1 is broken"):
            models.current()
    assert shelf.loaded == ["1"]
    shelf.version = "2"
    assert version(models) == "2"


def test_files_that_changed_just_now_may_be_incomplete(
    models: HotSwapModel[FixedClassifier], shelf: Shelf, clock: Clock
) -> None:
    """Copied files arrive one by one: new labels beside the old graph would name every bird wrong."""
    shelf.changed_at = clock.now()
    assert version(models) == "1", "with nothing that serves, what is there is better than nothing"
    clock.seconds += 61
    shelf.version, shelf.changed_at = "2 half", clock.now()
    models.current()
    rested(models)
    clock.seconds += 5
    shelf.version, shelf.changed_at = "2", clock.now()
    models.current()
    rested(models)
    clock.seconds += 11
    models.current()
    until(lambda: version(models) == "2")
    assert shelf.loaded == ["1", "2"]


def test_several_models_are_one_version(clock: Clock) -> None:
    one, other = Shelf(), Shelf("b")
    models = HotSwapModel([one, other], one.load, refresh_seconds=60, clock=clock)
    assert version(models) == "1;b"
    other.version = "c"
    clock.seconds += 61
    models.current()
    until(lambda: version(models) == "1;c")


def test_loading_in_the_background_logs_its_errors(
    models: HotSwapModel[FixedClassifier], shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.broken = {"1"}
    models.load_in_background()
    until(lambda: any("model_not_loaded" in record.getMessage() for record in caplog.records))
    shelf.broken, shelf.version = set(), "2"
    models.load_in_background()
    until(lambda: shelf.loaded == ["1", "2"])
    assert version(models) == "2"


def test_a_local_folder_that_is_repaired_serves_the_next_call(tmp_path: Path) -> None:
    folder = tmp_path / "birds"

    def load(*folders: Path) -> FixedClassifier:
        if not (folders[0] / "onnx" / "model.onnx").is_file():
            raise ModelError("no graph.")
        return FixedClassifier()

    models = HotSwapModel([LocalModel(folder)], load, refresh_seconds=0)
    with pytest.raises(ModelError):
        models.current()
    (folder / "onnx").mkdir(parents=True)
    with pytest.raises(ModelError):
        models.current()
    (folder / "onnx" / "model.onnx").touch()
    assert models.current() is models.current()


class TestIsCurrent:
    """Whether a model may replace the result of another one."""

    def test_only_what_the_place_names_now(self, models: HotSwapModel[FixedClassifier], shelf: Shelf) -> None:
        assert models.current().model.version == "1"
        assert models.is_current("1") is True
        shelf.version = "2"
        assert models.is_current("1") is False

    def test_an_outdated_model_is_replaced_without_waiting_for_the_next_check(
        self, models: HotSwapModel[FixedClassifier], shelf: Shelf
    ) -> None:
        models.current()
        shelf.version = "2"
        assert models.is_current("1") is False
        until(lambda: version(models) == "2")
        assert models.is_current("2") is True
        assert models.is_current("1") is False

    def test_a_roll_back_makes_the_old_one_current_again(
        self, models: HotSwapModel[FixedClassifier], shelf: Shelf
    ) -> None:
        models.current()
        shelf.version = "2"
        assert models.is_current("1") is False
        until(lambda: version(models) == "2")
        shelf.version = "1"
        assert models.is_current("2") is False
        assert models.is_current("1") is True, "an attempt that began before both swaps"

    def test_a_refused_version_does_not_count(
        self, models: HotSwapModel[FixedClassifier], shelf: Shelf, clock: Clock
    ) -> None:
        """All workers keep the old model then, so its results count."""
        models.current()
        shelf.version, shelf.broken = "2", {"2"}
        clock.seconds += 61
        models.current()
        until(lambda: shelf.loaded == ["1", "2"])
        rested(models)
        assert models.is_current("1") is True

    def test_folders_of_this_machine_do_not_decide(self, models: HotSwapModel[FixedClassifier], shelf: Shelf) -> None:
        models.current()
        shelf.is_shared = False
        assert models.is_current("1") is None

    def test_a_place_that_cannot_be_read_does_not_decide(
        self, models: HotSwapModel[FixedClassifier], shelf: Shelf
    ) -> None:
        models.current()
        shelf.error = ModelError("there is no model.")
        assert models.is_current("1") is None
        shelf.error = TransientError("throttled")
        with pytest.raises(TransientError):
            models.is_current("1")

    def test_several_places_must_all_agree(self, clock: Clock) -> None:
        first, second = Shelf(), Shelf(version="a")
        both = HotSwapModel([first, second], first.load, refresh_seconds=60, clock=clock, now=clock.now)
        assert both.current().model.version == "1;a"
        assert both.is_current("1;a") is True
        second.version = "b"
        assert both.is_current("1;a") is False


def test_a_decision_is_loaded_with_the_model_and_is_no_part_of_its_version(
    shelf: Shelf, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    rules = Shelf("a")
    models = HotSwapModel(
        [shelf], shelf.load, decision=cast(Any, rules), refresh_seconds=60, clock=clock, now=clock.now
    )
    assert version(models) == "1"

    for changed, loads in (("b", 2), ("c", 3)):
        rules.version = changed
        if changed == "c":
            shelf.broken_decisions.add(Path("c", "decision.json"))
        assert models.is_current("1"), "the model did not change"
        clock.seconds += 61
        models.current()
        rested(models)
        assert (models.is_current("1"), version(models)) == (True, "1")
        assert len(shelf.loaded) == min(loads, 2), "the broken decision ends before the model counts as loaded"
    assert "model_refused" in caplog.text
    assert str(rules) in caplog.text, "the place of the decision, instead of its copy here"

    shelf.version = "2"
    assert models.is_current("1") is False
    rules.version = "d"
    clock.seconds += 61
    models.current()
    rested(models)
    assert version(models) == "2"
