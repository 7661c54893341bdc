"""``python -m tools classify``: stdout, stderr and exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.inference.decoding.image_samples import encode, scene
from tests.inference.model.model_folders import BLUE, GREEN, MODEL_JSON, RED, folder, graph, noise, png
from tests.waiting import DEADLINE_SECONDS
from tools.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
KEYS = [
    "image", "status", "label", "label_index", "score", "predictions", "reason", "detail", "width", "height", "format",
    "model", "model_version", "damaged", "decoded_fraction",
]  # fmt: skip


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    return folder(tmp_path / "colours", graph(), labels_txt="red\ngreen\nblue\n", model_json=MODEL_JSON)


def classify(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the command in this process, which starts faster than a process of its own."""
    command = ["classify", *map(str, arguments)]
    with redirect_stdout(StringIO()) as stdout, redirect_stderr(StringIO()) as stderr, chdir(cwd):
        try:
            code = main(command)
        except SystemExit as ended:  # argparse
            code = int(str(ended.code))
    return subprocess.CompletedProcess(command, code, stdout.getvalue(), stderr.getvalue())


def rows(run: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.stdout.splitlines()]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    place = tmp_path / "photos"
    (place / "a" / "deep").mkdir(parents=True)
    (place / "b.png").write_bytes(png(GREEN, (5, 4)))
    (place / "a" / "no extension").write_bytes(png(RED))
    (place / "a" / "deep" / "Käse #1%20?.jpg").write_bytes(png(BLUE))
    (place / "a-first").write_bytes(png(RED))
    return place


def test_a_folder_is_every_file_below_it_in_path_order(photos: Path, model_dir: Path) -> None:
    run = classify(photos, "--model", model_dir, "--json")
    assert run.returncode == 0
    found = rows(run)
    assert [row["image"] for row in found] == [
        f"{photos}/a/deep/Käse #1%20?.jpg", f"{photos}/a/no extension", f"{photos}/a-first", f"{photos}/b.png",
    ]  # fmt: skip
    assert [row["label"] for row in found] == ["blue", "red", "red", "green"]
    assert all(list(row) == KEYS for row in found)


def test_files_of_the_operating_system_are_skipped_in_a_folder_and_counted(photos: Path, model_dir: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "a/desktop.ini", "a/._b.png", "._c.png"):
        (photos / name).write_bytes(b"no image")
    (photos / ".hidden").write_bytes(png(RED))
    run = classify(photos, "--model", model_dir, "--json")
    assert run.returncode == 0
    assert len(rows(run)) == 5, "the four photos, and the hidden file, which no system writes"
    assert "Skipped by name: 1 .DS_Store, 2 ._*, 1 Thumbs.db, 1 desktop.ini." in run.stderr
    named = classify(photos / ".DS_Store", "--model", model_dir, "--json")
    assert [row["status"] for row in rows(named)] == ["rejected"], "a path that was named is always tried"


def test_the_command_runs_as_a_process(photos: Path, model_dir: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tools", "classify", str(photos), "--model", str(model_dir), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE_SECONDS,
    )
    assert [row["label"] for row in rows(run)] == ["blue", "red", "red", "green"]
    assert len(run.stderr.splitlines()) == 1, "a summary and no noise"


def test_every_key_of_a_classified_image(photos: Path, model_dir: Path) -> None:
    (row,) = rows(classify(photos / "b.png", "--model", model_dir, "--json", "--top-k", "2"))
    assert row["status"] == "classified"
    assert (row["label_index"], row["width"], row["height"], row["format"]) == (1, 5, 4, "png")
    assert [one["label"] for one in row["predictions"]] == ["green", "red"]
    assert row["predictions"][0] == {"label": "green", "label_index": 1, "score": row["score"]}
    assert (row["reason"], row["detail"]) == (None, None)
    assert row["model"] == "colours"
    assert len(row["model_version"]) == 12


def test_rejections_are_rows_in_their_place_and_exit_1(photos: Path, model_dir: Path) -> None:
    (photos / "a" / "empty.jpg").touch()
    (photos / "a" / "notes.txt").write_text("no picture")
    run = classify(photos, "--model", model_dir, "--json")
    assert run.returncode == 1
    assert [(row["status"], row["reason"]) for row in rows(run)] == [
        ("classified", None), ("rejected", "empty"), ("classified", None), ("rejected", "not_an_image"),
        ("classified", None), ("classified", None),
    ]  # fmt: skip
    rejected = rows(run)[1]
    assert rejected["label"] is None
    assert rejected["score"] is None
    assert rejected["predictions"] == []
    assert rejected["detail"]
    assert rejected["model"] == "colours"


class TestDamagedPictures:
    @pytest.fixture
    def cut(self, photos: Path) -> Path:
        content = encode(noise(256, 192), "PNG")
        path = photos / "cut.png"
        path.write_bytes(content[: len(content) // 2])
        return path

    def test_they_are_rejected_by_default(self, cut: Path, model_dir: Path) -> None:
        run = classify(cut, "--model", model_dir, "--json")
        assert run.returncode == 1
        (row,) = rows(run)
        assert (row["status"], row["reason"]) == ("rejected", "truncated")
        assert (row["damaged"], row["decoded_fraction"]) == (None, None)

    @pytest.mark.parametrize("by_setting", [False, True], ids=["--damaged classify", "DAMAGED_IMAGES=classify"])
    def test_they_are_classified_where_that_is_asked_for(
        self,
        cut: Path,
        model_dir: Path,
        monkeypatch: pytest.MonkeyPatch,
        by_setting: bool,  # noqa: FBT001 - a case
    ) -> None:
        options = [] if by_setting else ["--damaged", "classify"]
        monkeypatch.setenv("DAMAGED_IMAGES", "classify" if by_setting else "reject")
        run = classify(cut, cut.parent / "b.png", "--model", model_dir, "--json", *options)
        assert run.returncode == 0
        damaged, whole = rows(run)
        assert (damaged["status"], damaged["reason"], damaged["detail"]) == ("classified", None, None)
        assert damaged["damaged"] is True
        assert damaged["decoded_fraction"] == pytest.approx(0.5, abs=0.1)
        assert (damaged["width"], damaged["height"]) == (256, 192)
        assert (whole["damaged"], whole["decoded_fraction"]) == (None, None)
        assert run.stderr.startswith("2 classified, 1 damaged in ")
        table = classify(cut, "--model", model_dir, *options)
        assert re.search(r"classified .* \(damaged: \d\d% of the height decoded\)$", table.stdout)

    def test_the_option_wins_over_the_setting(
        self, cut: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DAMAGED_IMAGES", "classify")
        assert classify(cut, "--model", model_dir, "--damaged", "reject").returncode == 1

    def test_a_wrong_setting_is_one_sentence(self, cut: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DAMAGED_IMAGES", "keep")
        run = classify(cut, "--model", model_dir)
        assert run.returncode == 2
        assert "DAMAGED_IMAGES must be reject or classify." in run.stderr


def test_the_path_stays_as_it_was_given(photos: Path, model_dir: Path) -> None:
    run = classify("./photos/a/", "photos/b.png", "--model", model_dir, "--json", cwd=photos.parent)
    assert [row["image"] for row in rows(run)] == [
        "./photos/a/deep/Käse #1%20?.jpg", "./photos/a/no extension", "photos/b.png",
    ]  # fmt: skip


def test_a_name_with_undecodable_bytes_is_a_row(photos: Path, model_dir: Path) -> None:
    odd = os.path.join(os.fsencode(photos / "a"), b"\xff\n.png")  # noqa: PTH118 - bytes that no Path decodes
    with open(odd, "wb") as file:  # noqa: PTH123
        file.write(png(RED))
    run = classify(photos / "a", "--model", model_dir, "--json")
    assert run.returncode == 0
    assert rows(run)[-1]["image"].endswith("\udcff\n.png")
    table = classify(photos / "a", "--model", model_dir)
    assert len(table.stdout.splitlines()) == 3, "a line break in a name breaks no line"


@pytest.mark.parametrize("command", [["nowhere.jpg"], ["photos", "nowhere"], ["link"], ["pipe"], []], ids=str)
def test_misuse_is_one_sentence_and_exit_2(photos: Path, model_dir: Path, command: list[str]) -> None:
    (photos.parent / "link").symlink_to(photos.parent / "gone")
    os.mkfifo(photos.parent / "pipe")
    run = classify(*command, "--model", model_dir, "--json", cwd=photos.parent)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("option", [("--top-k", "0"), ("--min-score", "1.5"), ("--top-k", "x")], ids=str)
def test_options_out_of_range_are_misuse(photos: Path, model_dir: Path, option: tuple[str, str]) -> None:
    run = classify(photos, "--model", model_dir, *option)
    assert (run.returncode, run.stdout) == (2, "")


def test_a_refused_model_is_one_sentence_and_nothing_on_stdout(photos: Path, tmp_path: Path) -> None:
    bad = folder(tmp_path / "bad", b"<!doctype html><html>404</html>")
    for model in (bad, tmp_path / "none"):
        run = classify(photos, "--model", model, "--json")
        assert (run.returncode, run.stdout) == (2, "")
        assert len(run.stderr.splitlines()) == 1
        assert str(model) in run.stderr


def test_an_unreadable_entry_is_reported_and_the_rest_is_classified(photos: Path, model_dir: Path) -> None:
    (photos / "a" / "dangling.png").symlink_to(photos / "gone")
    (photos / "a" / "loop").symlink_to(photos, target_is_directory=True)
    (photos / "a" / "linked.png").symlink_to(photos / "b.png")
    os.mkfifo(photos / "a" / "pipe")
    run = classify(photos, "--model", model_dir, "--json")
    assert run.returncode == 1
    assert [Path(row["image"]).name for row in rows(run)] == [
        "Käse #1%20?.jpg", "linked.png", "no extension", "a-first", "b.png",
    ]  # fmt: skip
    assert "dangling.png" in run.stderr


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that cannot be read")
def test_a_file_that_cannot_be_read_is_failed_and_not_rejected(model_dir: Path) -> None:
    run = classify("/proc/self/mem", "--model", model_dir, "--json")
    assert run.returncode == 1
    assert (rows(run)[0]["status"], rows(run)[0]["reason"]) == ("failed", "unreadable")


def test_a_file_too_large_is_rejected_unread(photos: Path, model_dir: Path) -> None:
    with (photos / "b.png").open("wb") as file:
        file.truncate(1 << 40)  # sparse: reading it would take an hour
    run = classify(photos / "b.png", "--model", model_dir, "--json")
    assert run.returncode == 1
    assert rows(run)[0]["reason"] == "too_many_bytes"


def test_min_score_makes_the_label_unknown(photos: Path, model_dir: Path) -> None:
    run = classify(photos / "b.png", "--model", model_dir, "--json", "--min-score", "0.99")
    (row,) = rows(run)
    assert run.returncode == 0
    assert (row["status"], row["label"], row["label_index"]) == ("classified", "unknown", None)
    assert row["predictions"][0]["label"] == "green"


def test_a_decision_in_the_model_folder_makes_the_label(photos: Path, model_dir: Path) -> None:
    rules = {"min_score": 1, "labels": {"green": {"as": "leaf"}, "leaf": {"min_score": 0}}, "allow": {"b": ["red"]}}
    (model_dir / "decision.json").write_text(json.dumps(rules))
    found = rows(classify(".", "--model", model_dir, "--min-score", "0.1", "--json", cwd=photos))
    for row in found:
        best = row["predictions"][0]["label"]
        assert row["label"] == ("leaf" if best == "green" else "unknown")
        assert row["label_index"] is None
    assert {row["label"] for row in found} == {"leaf", "unknown"}


def test_lines_arrive_while_later_images_are_still_waiting(photos: Path, model_dir: Path) -> None:
    """Answers are streamed: the reader of a pipe sees the first line although the last file has no end in sight."""
    late = photos.parent / "late"
    late.mkdir()
    for number in range(200):
        (late / f"{number:04}.png").write_bytes(png(RED))
    process = subprocess.Popen(
        [sys.executable, "-m", "tools", "classify", str(late), "--model", str(model_dir), "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    process.stdout.close()  # the reader closes the pipe, as `head -1` does
    assert json.loads(first)["image"].endswith("0000.png")
    assert process.stderr is not None
    messages = process.stderr.read()
    assert process.wait(timeout=DEADLINE_SECONDS) in (0, 141)
    assert "Traceback" not in messages
    process.stderr.close()


# Every module of the product that one ordinary JPEG and a plain model folder need. Each takes some time at every start:
# add a new one on purpose, or import it where it is needed.
NEEDED_FOR_A_JPEG = """
inference
inference.classifier inference.errors inference.limits inference.model_spec inference.postprocess inference.predictions
inference.phash inference.preprocess inference.scores
inference.capture
inference.capture.exif_facts inference.capture.exif_tags inference.capture.maker_notes inference.capture.times
inference.decoding
inference.decoding.color_profile
inference.decoding.decode inference.decoding.decoder_errors inference.decoding.header inference.decoding.memory_cost
inference.decoding.orientation inference.decoding.partial inference.decoding.pixels inference.decoding.plan
inference.decoding.formats
inference.decoding.formats.chunk_limit inference.decoding.formats.detect inference.decoding.formats.image_format
inference.decoding.formats.jpeg inference.decoding.formats.jpeg_damage inference.decoding.formats.jpeg_pixels
inference.decoding.formats.jpeg_breaks inference.decoding.formats.jpeg_colours inference.decoding.formats.jpeg_stream
inference.decoding.formats.jpeg_segments inference.decoding.formats.refusals
inference.model
inference.model.file_errors inference.model.folder inference.model.labels inference.model.labels.find
inference.model.labels.lines inference.model.labels.parsed inference.model.labels.read inference.model.loaded
inference.model.graph inference.model.graph.protobuf
inference.model.onnx_file inference.model.read_sources inference.model.resolve_activation
inference.model.resolve_input inference.model.resolve_output
inference.model.session inference.model.sourced_values inference.model.value_checks
inference.model.exporters
inference.model.exporters.json_file inference.model.exporters.model_json
inference.resample inference.resources
inference.resources.admission inference.resources.cgroups inference.resources.cpus inference.resources.memory
tools tools.__main__ tools.classify tools.terminal
"""


def test_an_ordinary_jpeg_and_a_plain_model_folder_import_only_the_modules_they_need(tmp_path: Path) -> None:
    """The modules of the product, the image readers and the Azure packages, in a process that classifies one photo."""
    Image.fromarray(scene(640, 480)).save(tmp_path / "photo.jpg")
    script = f"""
import sys
from tools.__main__ import main
code = main(["classify", {str(tmp_path / "photo.jpg")!r}, "--json"])
packages = "inference", "storage", "tools", "azure", "azurefunctions", "pillow_heif"
mine = [name for name in sys.modules if name.split(".")[0] in packages or name.endswith("Plugin")]
print(*sorted(mine), file=sys.stderr)
sys.exit(code)
"""
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=DEADLINE_SECONDS
    )
    namespaces = {"azure"}  # a .pth file may put the bare name into every interpreter
    assert set(run.stderr.splitlines()[-1].split()) - namespaces == set(NEEDED_FOR_A_JPEG.split())


def test_several_models_answer_and_the_first_one_counts(photos: Path, model_dir: Path, tmp_path: Path) -> None:
    bgr = MODEL_JSON | {"input": MODEL_JSON["input"] | {"color_order": "BGR"}}
    other = folder(tmp_path / "turned", graph(), labels_txt="red\ngreen\nblue\n", model_json=bgr)
    run = classify(photos, "--model", model_dir, "--model", other, "--json", "--top-k", "1")
    assert run.returncode == 0
    row = rows(run)[0]
    assert list(row) == [*KEYS, "answers"]
    assert (row["label"], row["model"]) == ("blue", "colours+turned")
    assert [(one["model"], one["label"]) for one in row["answers"]] == [("colours", "blue"), ("turned", "red")]
    assert row["predictions"] == row["answers"][0]["predictions"]
    alone = {rows(classify(photos, "--model", one, "--json"))[0]["model_version"] for one in (model_dir, other)}
    assert {one["model_version"] for one in row["answers"]} == alone
    assert row["model_version"] not in alone


def test_the_table_shows_each_models_answer(photos: Path, model_dir: Path) -> None:
    (photos / "empty.jpg").touch()
    run = classify(photos, "--model", model_dir, "--model", model_dir)
    lines = run.stdout.splitlines()
    assert lines[0].split()[:2] == ["classified", "blue"]
    assert lines[1].split()[0] == "blue"
    assert lines[1].endswith("colours")
    assert len(lines) == 9, "two for each image and one for what is none"


def test_the_model_that_ships_is_the_default(photos: Path) -> None:
    assert rows(classify(photos / "b.png", "--json"))[0]["model"] == "shapes"


def test_the_table_is_for_people(photos: Path, model_dir: Path) -> None:
    (photos / "empty.jpg").touch()
    run = classify(photos, "--model", model_dir)
    assert run.returncode == 1
    lines = run.stdout.splitlines()
    assert lines[0].split()[:2] == ["classified", "blue"]
    assert lines[-1].split()[:2] == ["rejected", "empty"]
    assert "4 classified, 1 rejected" in run.stderr
