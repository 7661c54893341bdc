"""The command, its result as JSON, as tables and as a picture, and the comparison with a kept run."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from inference.errors import ConfigurationError
from tests.tools.regenerate_figures import DOCUMENT, PICTURE, document, kept
from tools.bench import benchmarks, command, startup
from tools.bench.ratios import Ratio
from tools.bench.result import change, read_kept
from tools.bench.tables import comparison, plot

if TYPE_CHECKING:
    import argparse

ROOT = Path(__file__).resolve().parents[3]


def arguments(**changes: Any) -> argparse.Namespace:
    usual = {"short": True, "only": ["networks"], "compare": None, "json": None, "plot": None, "torch_python": None}
    return SimpleNamespace(**{**usual, **changes})  # type: ignore[return-value]  # the same attributes


def test_the_command_measures_keeps_and_compares(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    effort = benchmarks.Effort(rounds=1, seconds=0.01, retry_seconds=0.0, events={}, backfilled={}, starts=1)
    monkeypatch.setattr(command, "_CACHE", cache)
    monkeypatch.setattr(benchmarks, "SHORT", effort)
    file = tmp_path / "kept.json"
    assert command.run(arguments(json=file)) == 0
    first = json.loads(file.read_text())
    assert first["figures"]["infer / MobileNetV2 / 1"]["images_per_s"] > 0
    assert first["machine"]["usable_cpus"] >= 1
    capsys.readouterr()
    assert command.run(arguments(compare=file, json="-")) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["figures"].keys() == first["figures"].keys()
    assert "Compared with the run of" in output.err


def test_a_start_ends_at_its_first_line(cache: Path, small_photos: list[bytes]) -> None:
    assert small_photos
    figures = startup.measure_starts(cache, 1)
    assert figures.keys() == {
        *(startup.APP, startup.BARE, startup.SESSION, startup.PYTHON),
        *(startup.CLASSIFY, startup.CLASSIFY_BARE),
    }
    assert all(figure.images_per_s > 0 for figure in figures.values())


def test_a_start_without_a_classified_image_is_an_error(cache: Path) -> None:
    with pytest.raises(ConfigurationError, match="did not classify"):
        startup._start([sys.executable, "-c", "raise SystemExit(1)"], startup._environ(cache))


def test_a_start_may_write_compiled_modules(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    program = [sys.executable, "-c", "import sys; print(sys.dont_write_bytecode)"]
    done = subprocess.run(program, env=startup._environ(cache), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (Ratio("x", 2.0, 1.9, 2.1), "better"),
        (Ratio("x", 0.5, 0.4, 0.6), "worse"),
        (Ratio("x", 1.1, 1.0, 1.2), "same"),
        (Ratio("x", 2.0, 1.9, 2.1, more_is_better=False), "worse"),
        (Ratio("x", 2.0, 2.0, 2.0, is_noisy=True), "noisy"),
    ],
    ids=["above the noise", "below the noise", "within the noise", "above where less is better", "too few trials"],
)
def test_a_change_counts_if_the_bands_do_not_overlap(now: Ratio, expected: str) -> None:
    assert change({"value": 1.0, "low": 0.9, "high": 1.05}, now) == expected


@pytest.mark.parametrize("content", ["[]", "{", None], ids=["another document", "not JSON", "no file"])
def test_a_file_that_holds_no_run_is_named(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "kept.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"kept\.json"):
        read_kept(tmp_path / "kept.json")


def test_the_comparison_names_new_and_missing_ratios() -> None:
    before = {"started": "then", "ratios": [{"name": "gone", "value": 1.0, "low": 1.0, "high": 1.0}]}
    table = comparison(before, SimpleNamespace(ratios=[Ratio("fresh", 2.0, 2.0, 2.0)]))  # type: ignore[arg-type]  # no more is read
    assert list(table.columns[0].cells) == ["fresh", "gone"]
    assert list(table.columns[-1].cells) == ["new", "not measured"]


def test_the_kept_run_of_the_release_can_be_compared_with() -> None:
    """Names of ratios and keys of the document are a format: an older file stays comparable."""
    before = read_kept(ROOT / "benchmarks" / "0.1.0.json")
    same = [Ratio(**each) for each in before["ratios"]]
    table = comparison(before, SimpleNamespace(ratios=same))  # type: ignore[arg-type]  # no more is read
    assert set(table.columns[-1].cells) == {"same"}
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table)
    assert "12 MP: rate / peer's, serial" in capture.get()


def test_the_plot_has_a_bar_for_each_rate() -> None:
    figures: dict[str, Any] = {"infer / MobileNetV2 / 1": {"images_per_s": 250.0, "cpu_ms": 4.0}}
    for photo in ("12 MP", "2 MP", "0.3 MP"):
        for name, rate in (("sample / {} / 1", 10.0), ("sample / {} / 2", 16.0), ("classify / {} / 2", 50.0)):
            figures[name.format(photo)] = {"images_per_s": rate, "cpu_ms": 1000 / rate}
        figures[f"bare tensor / {photo} / 1"] = {"images_per_s": 30.0, "cpu_ms": 34.0}
    root = ET.fromstring(plot({"machine": {"usable_cpus": 2}, "figures": figures}))
    widths = [float(bar.attrib["width"]) for bar in root.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert len(widths) == 12
    serial, _threads, app, ceiling = widths[:4]
    assert app / serial == pytest.approx(5.0, rel=0.01)
    assert ceiling == max(widths[:4])


def test_a_plot_needs_the_rates() -> None:
    with pytest.raises(ConfigurationError, match="jpeg"):
        command.run(arguments(plot=Path("x.svg")))


def test_the_document_and_its_picture_show_the_kept_run() -> None:
    """If this fails: python -m tests.tools.regenerate_figures"""
    assert DOCUMENT.read_text(encoding="utf-8") == document()
    assert PICTURE.read_text(encoding="utf-8") == plot(kept())
