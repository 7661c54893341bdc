"""The bench: that it measures what it says, counts what it should, and compares like with like."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from azure.storage.blob import BlobServiceClient
from PIL import Image as Picture

from inference.decoding.decode import decode, read_header
from inference.errors import ConfigurationError
from inference.limits import Limits
from inference.model.folder import load_model
from inference.preprocess import needed_size
from tests.tools.regenerate_figures import DOCUMENT, PICTURE, document, kept
from tools.bench import app, benchmarks, command, machine, runner, startup
from tools.bench.bare_sdk import _kind
from tools.bench.baselines import classify as classify_as_sample
from tools.bench.comparison import compared, read_kept, verdict
from tools.bench.emulator import fill
from tools.bench.networks import ARCHITECTURES, CLASSES, model_folder
from tools.bench.photos import KINDS, photos
from tools.bench.plot import drawing
from tools.bench.ratios import Ratio, ratios
from tools.bench.requests_seen import requests_seen
from tools.bench.storage_names import INCOMING, RESULTS, TABLE
from tools.bench.trials import Trial, looped
from tools.bench.worker_process import Facts, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference.model.loaded import LoadedModel
    from tools.azurite.azurite import Azurite

CALM, LOUD = machine.Disturbance(0.01, 0.0), machine.Disturbance(0.5, 0.2)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos and networks, rendered once."""
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="session")
def small_photos(cache: Path) -> list[bytes]:
    return photos(KINDS["0.3 MP"], cache)


def figure(*trials: tuple[float, float], disturbance: machine.Disturbance = CALM) -> runner.Figure:
    """Trials of (images per second, CPU ms)."""
    return runner.Figure(len(trials), [runner.Seen(Trial(10, rate, cpu_ms), disturbance) for rate, cpu_ms in trials])


def test_every_thread_of_a_trial_works_and_its_first_image_is_not_counted() -> None:
    seen: dict[int, int] = {}

    def work() -> None:
        seen[threading.get_ident()] = seen.get(threading.get_ident(), 0) + 1

    trial = looped(work, threads=3, seconds=0.01)
    assert trial.images == sum(seen.values()) - 3
    assert trial.images_per_s > 0


def test_a_trial_ends_when_its_work_fails() -> None:
    """It must not wait for a thread that will never come."""
    calls = iter(range(100))

    def work() -> None:
        if next(calls) == 1:
            raise ConfigurationError("broken")

    with pytest.raises(ConfigurationError, match="broken"):
        looped(work, threads=2, seconds=0.01)


def test_what_others_took_is_what_was_busy_and_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1})
    before = machine.Reading(wall=100.0, busy=50.0, steal=1.0, ours=10.0)
    after = machine.Reading(wall=110.0, busy=65.0, steal=2.0, ours=23.0)
    seen = machine.between(before, after)
    assert seen.foreign == pytest.approx(2.0 / 20)
    assert seen.steal == pytest.approx(1.0 / 20)
    assert not seen.is_quiet


def test_a_system_that_tells_nothing_disturbs_nothing() -> None:
    assert machine.between(None, None).is_quiet


def test_readings_count_this_process_as_ours() -> None:
    import os

    before = machine.read([os.getpid()])
    sum(number * number for number in range(3_000_000))
    after = machine.read([os.getpid()])
    assert before is not None
    assert after is not None
    assert after.ours > before.ours
    assert after.busy > before.busy


def test_disturbed_trials_do_not_count() -> None:
    seen = figure((100.0, 5.0), (101.0, 5.0), (102.0, 5.0))
    seen.trials.append(runner.Seen(Trial(10, 1.0, 900.0), LOUD))
    assert (seen.images_per_s, seen.cpu_ms, seen.quiet) == (101.0, 5.0, 3)


def test_where_all_are_disturbed_the_least_disturbed_half_stands() -> None:
    levels = (0.9, 0.1, 0.5, 0.2)
    seen = runner.Figure(4, [runner.Seen(Trial(1, level, level), machine.Disturbance(level, 0.0)) for level in levels])
    assert sorted(trial.cpu_ms for trial in seen.counting) == [0.1, 0.2]


class FakeLane:
    """Answers at once, and notes who was asked."""

    def __init__(self, asked: list[str]) -> None:
        self.process_id = 0
        self._asked = asked

    def ask(self, contestant: str, **_arguments: Any) -> Trial:
        self._asked.append(contestant)
        return Trial(1, 1.0, 1.0)


def extent(**changes: Any) -> benchmarks.Extent:
    usual = {"rounds": 3, "seconds": 0.01, "patience_seconds": 60.0, "events": {}, "backfilled": {}, "starts": 1}
    return benchmarks.Extent(**{**usual, **changes})


def test_contests_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "between", lambda _before, _after: CALM)
    asked: list[str] = []
    pair = [benchmarks.Contest("a", "ours", "a"), benchmarks.Contest("b", "ours", "b")]
    runner.run_rounds(pair, {"ours": FakeLane(asked)}, extent())  # type: ignore[dict-item]
    assert asked == ["a", "b"] * 3


def test_only_what_was_disturbed_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    disturbances = iter([LOUD, CALM, CALM, CALM, LOUD, CALM, LOUD, CALM, CALM])
    monkeypatch.setattr(runner, "between", lambda _before, _after: next(disturbances))
    asked: list[str] = []
    pair = [benchmarks.Contest("a", "ours", "a"), benchmarks.Contest("b", "ours", "b")]
    figures = runner.run_rounds(pair, {"ours": FakeLane(asked)}, extent())  # type: ignore[dict-item]
    assert asked == ["a", "b"] * 3 + ["a", "a", "a"]
    assert {name: each.quiet for name, each in figures.items()} == {"a": 3, "b": 3}


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "between", lambda _before, _after: LOUD)
    asked: list[str] = []
    one = [benchmarks.Contest("a", "ours", "a")]
    figures = runner.run_rounds(one, {"ours": FakeLane(asked)}, extent(patience_seconds=0.0))  # type: ignore[dict-item]
    assert len(asked) == 3
    assert figures["a"].quiet == 0


def test_ratios_are_those_of_their_definition() -> None:
    figures = {
        "classify / 12 MP / 2": figure((50.0, 40.0)),
        "bare loop / 12 MP / 2": figure((51.0, 39.0)),
        "bare tensor / 12 MP / 1": figure((30.0, 34.0)),
        "infer / MobileNetV2 / 1": figure((250.0, 4.0)),
        "sample / 12 MP / 1": figure((10.0, 100.0)),
        "backfill / 12 MP": figure((8.0, 60.0)),
        "backfill / nothing": figure((4.0, 100.0)),
        "app function / 12 MP": figure((1.0, 60.0)),
        "app classify / 12 MP": figure((1.0, 40.0)),
        "calls / 12 MP": figure((1.0, 15.0)),
    }
    said = {ratio.name: ratio for ratio in ratios(figures, 2)}
    assert said["12 MP: rate / ceiling"].value == pytest.approx(50 / (2 / 0.038))
    assert said["12 MP: rate / bare loop"].value == pytest.approx(50 / 51)
    assert said["12 MP: rate / peer's, serial"].value == pytest.approx(5.0)
    assert said["12 MP: CPU ms beyond classify and bare calls"].value == pytest.approx(5.0)
    # Ten images took 1.25 s, of which a quarter of a second is starting and ending.
    assert said["12 MP: backfill rate / in memory"].value == pytest.approx(10 / 50)
    assert said["12 MP: in-memory CPU / backfill CPU"].value == pytest.approx(40 / 50)
    assert not any(name.startswith("2 MP") for name in said), "what was not measured is not said"


def test_the_band_of_a_steady_figure_is_narrow_and_of_a_wild_one_wide() -> None:
    steady = {
        "classify / 12 MP / 2": figure(*[(50.0, 1.0)] * 5),
        "bare loop / 12 MP / 2": figure(*[(50.0, 1.0)] * 5),
    }
    wild = {**steady, "bare loop / 12 MP / 2": figure((10.0, 1.0), (50.0, 1.0), (90.0, 1.0))}
    (calm,), (loud,) = ratios(steady, 2), ratios(wild, 2)
    assert (calm.low, calm.high) == (1.0, 1.0)
    assert loud.low < 1.0 < loud.high


@pytest.mark.parametrize(
    ("value", "more_is_better", "reached"), [(2.0, True, True), (0.5, True, False), (0.5, False, True)]
)
def test_a_goal_is_reached_in_its_own_direction(value: float, more_is_better: bool, reached: bool) -> None:  # noqa: FBT001
    assert Ratio("x", value, value, value, 1.0, more_is_better).is_reached is reached


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (Ratio("x", 2.0, 1.9, 2.1), "better"),
        (Ratio("x", 0.5, 0.4, 0.6), "worse"),
        (Ratio("x", 1.1, 1.0, 1.2), "same"),
        (Ratio("x", 2.0, 1.9, 2.1, more_is_better=False), "worse"),
    ],
    ids=["above the noise", "below the noise", "within the noise", "above where less is better"],
)
def test_a_change_counts_when_the_bands_do_not_touch(now: Ratio, said: str) -> None:
    assert verdict({"value": 1.0, "low": 0.9, "high": 1.05}, now) == said


def test_a_kept_run_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    file.write_text("[]")
    with pytest.raises(ConfigurationError, match=r"kept\.json"):
        read_kept(file)
    with pytest.raises(ConfigurationError, match=r"nowhere\.json"):
        read_kept(tmp_path / "nowhere.json")


# Weights of the published networks: batch normalisation has two numbers per channel, its folded form one.
@pytest.mark.parametrize(("name", "parameters"), [("MobileNetV2", 3_504_872), ("ResNet-18", 11_689_512)])
def test_networks_have_the_published_number_of_weights(cache: Path, name: str, parameters: int) -> None:
    graph = onnx.load(model_folder(name, cache) / "model.onnx").graph
    sizes = {weight.name: int(np.prod(weight.dims)) for weight in graph.initializer}
    folded = sum(sizes[node.input[2]] for node in graph.node if node.op_type == "Conv")
    clips = sum(len(node.input) - 1 for node in graph.node if node.op_type == "Clip")
    assert sum(sizes.values()) - clips + folded == parameters


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_networks_tell_photos_apart_and_meet_no_denormals(cache: Path, small_photos: list[bytes], name: str) -> None:
    model = load_model(model_folder(name, cache))
    outputs = [model.run(tensor_of(model, photo)) for photo in small_photos[:2]]
    assert outputs[0].shape == (1, CLASSES)
    assert not np.allclose(outputs[0], outputs[1])
    assert all(0.01 < float(np.std(output)) < 1e4 for output in outputs)


def tensor_of(model: LoadedModel, photo: bytes) -> Any:
    spec = model.spec.input
    header = read_header(photo, Limits())
    return model.tensor(decode(photo, header, needed=lambda width, height: needed_size(spec, width, height)))


def test_photos_are_as_heavy_as_a_phones_and_rendered_once(
    cache: Path, small_photos: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = KINDS["0.3 MP"]
    for photo in small_photos:
        assert len(photo) / (kind.megapixels * 1e6) == pytest.approx(kind.bytes_per_px, rel=0.1)
    monkeypatch.setattr("tools.bench.photos.render", None)
    assert photos(kind, cache) == small_photos


def test_the_bare_loop_sees_what_the_app_sees(cache: Path, small_photos: list[bytes]) -> None:
    """Otherwise it would be no measure of it."""
    model = load_model(model_folder("MobileNetV2", cache))
    for photo in small_photos:
        difference = np.abs(app._bare_tensor(photo).astype(float) - tensor_of(model, photo))
        assert difference.mean() < 0.02  # of values of unit spread: a tenth of a grey level of 0..255 is 0.002


def test_the_peer_classifies(cache: Path, small_photos: list[bytes]) -> None:
    session = load_model(model_folder("MobileNetV2", cache)).session._session
    assert {classify_as_sample(session, photo) for photo in small_photos} <= set(range(CLASSES))


@pytest.fixture
def server() -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving.server_port
        serving.shutdown()


def test_requests_are_seen_while_the_block_runs_and_not_after(server: int) -> None:
    def put() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server)
        connection.request("PUT", "/devstoreaccount1/results/a%20b.json?comp=x")
        connection.getresponse().read()
        connection.close()

    with requests_seen({server: "blob"}) as seen:
        put()
    put()
    assert seen == ["blob PUT results/a b.json"]


def test_a_request_without_a_bare_counterpart_is_named() -> None:
    known = {("blob", "GET"): None, ("table", "BATCH"): None}
    assert _kind("table POST $batch", known) == ("table", "BATCH")
    with pytest.raises(ConfigurationError, match="queue POST classify-requests"):
        _kind("queue POST classify-requests/messages", known)


@pytest.fixture(scope="module")
def facts(azurite: Azurite, cache: Path, small_photos: list[bytes]) -> Iterator[tuple[Facts, dict[str, str]]]:
    """An emulator that holds four small photos, under the names that the bench uses."""
    assert small_photos
    service = BlobServiceClient.from_connection_string(azurite.connection_string)
    uploads = {"0.3 MP": 4}
    fill(azurite.connection_string, cache, uploads)
    environ = {
        "ImageStorage": azurite.connection_string,
        "INCOMING_CONTAINER": INCOMING,
        "RESULTS_CONTAINER": RESULTS,
        "RESULTS_TABLE": TABLE,
        "MODEL_DIR": str(model_folder("MobileNetV2", cache)),
        "MODEL_BLOB": "",
    }
    yield Facts(str(cache), 2, azurite.connection_string, uploads), environ
    for container in service.list_containers():
        if container.name in {INCOMING, RESULTS, "models"}:
            service.delete_container(container.name)


def test_the_function_path_and_its_bare_calls_send_the_same_requests(facts: tuple[Facts, dict[str, str]]) -> None:
    """The goal of six and two requests is held here, not only told."""
    told, environ = facts
    with opened("app", told, environ=environ) as app, opened("sdk", told, environ=environ) as sdk:
        requests = app.ask("requests", photo="0.3 MP").more
        assert len(requests["fresh"]) <= 6
        assert len(requests["duplicate"]) <= 2
        for contestant in ("function", "duplicate", "classify"):
            assert app.ask(contestant, photo="0.3 MP", images=4).images == 4
        threads = app.ask("threads").images
        assert sdk.ask("calls", photo="0.3 MP", images=4, threads=threads, requests=requests["fresh"]).images == 4


def test_a_backfill_is_measured_on_results_that_are_new_each_time(facts: tuple[Facts, dict[str, str]]) -> None:
    told, environ = facts
    with opened("backfill", told, environ=environ) as lane:
        assert [lane.ask("backfill", photo="0.3 MP").images for _ in range(2)] == [4, 4]
        assert lane.ask("backfill", photo="").images == 1


def test_a_lane_that_fails_is_named(cache: Path) -> None:
    with (
        opened("ours", Facts(str(cache), 2)) as lane,
        pytest.raises(ConfigurationError, match="ours ended at nonsense"),
    ):
        lane.ask("nonsense")


def test_the_command_measures_keeps_and_compares(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_CACHE", cache)
    monkeypatch.setattr(benchmarks, "SHORT", extent(rounds=1, patience_seconds=0.0))
    file = tmp_path / "kept.json"
    arguments = SimpleNamespace(short=True, only=["networks"], compare=None, json=file, plot=None, torch_python=None)
    assert command.run(arguments) == 0  # type: ignore[arg-type]
    first = json.loads(file.read_text())
    assert first["figures"]["infer / MobileNetV2 / 1"]["images_per_s"] > 0
    assert first["machine"]["usable_cpus"] >= 1
    capsys.readouterr()
    arguments.compare, arguments.json = file, "-"
    assert command.run(arguments) == 0  # type: ignore[arg-type]
    said = capsys.readouterr()
    assert json.loads(said.out)["figures"].keys() == first["figures"].keys()
    assert "Compared with the run of" in said.err


def test_starts_keep_their_compiled_modules_whatever_the_shell_says(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    asked = [sys.executable, "-c", "import sys; print(sys.dont_write_bytecode)"]
    said = subprocess.run(asked, env=startup._environ(cache), capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"


def test_the_comparison_shows_what_is_new_and_what_is_missing() -> None:
    before = {"started": "then", "ratios": [{"name": "gone", "value": 1.0, "low": 1.0, "high": 1.0}]}
    table = compared(before, SimpleNamespace(ratios=[Ratio("fresh", 2.0, 2.0, 2.0)]))  # type: ignore[arg-type]
    assert list(table.columns[0].cells) == ["fresh", "gone"]
    assert list(table.columns[-1].cells) == ["new", "not measured"]


def test_the_plot_is_a_picture_of_the_rates() -> None:
    figures: dict[str, Any] = {"infer / MobileNetV2 / 1": {"images_per_s": 250.0, "cpu_ms": 4.0}}
    for photo in ("12 MP", "2 MP", "0.3 MP"):
        for contestant, rate in (("sample / {} / 1", 10.0), ("sample / {} / 2", 16.0), ("classify / {} / 2", 50.0)):
            figures[contestant.format(photo)] = {"images_per_s": rate, "cpu_ms": 1000 / rate}
        figures[f"bare tensor / {photo} / 1"] = {"images_per_s": 30.0, "cpu_ms": 34.0}
    root = ET.fromstring(drawing({"machine": {"usable_cpus": 2}, "figures": figures}))
    widths = [float(bar.attrib["width"]) for bar in root.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert len(widths) == 12
    serial, _threads, app, ceiling = widths[:4]
    assert app / serial == pytest.approx(5.0, rel=0.01)
    assert ceiling == max(widths[:4])


def test_a_plot_needs_the_rates() -> None:
    arguments = SimpleNamespace(
        short=True, only=["networks"], compare=None, json=None, plot=Path("x.svg"), torch_python=None
    )
    with pytest.raises(ConfigurationError, match="jpeg"):
        command.run(arguments)  # type: ignore[arg-type]


def test_every_kind_of_photo_is_measured_somewhere() -> None:
    whole = benchmarks.programme(list(benchmarks.SECTIONS), benchmarks.WHOLE, 2, torch=True)
    assert {contest.arguments.get("photo") for contest in whole} >= set(KINDS)
    assert len({contest.key for contest in whole}) == len(whole)


def test_pictures_have_the_size_they_are_named_for(small_photos: list[bytes]) -> None:
    import io

    assert {Picture.open(io.BytesIO(photo)).size for photo in small_photos} == {KINDS["0.3 MP"].size}


def test_the_document_and_its_picture_say_what_the_kept_run_says() -> None:
    """If this fails: python -m tests.tools.regenerate_figures"""
    assert DOCUMENT.read_text(encoding="utf-8") == document()
    assert PICTURE.read_text(encoding="utf-8") == drawing(kept())
