"""Compares the memory that images take with the memory reserved for them, in every format and layout.

    python -m tests.inference.decoding.memory_table --megapixels 12

Each picture is written in one child process and becomes a model's input in another, a fork of a process that has
decoded a small one; the fork decodes that again, because it maps no code of libraries before it runs them. So neither
imports nor writers nor code are measured. The number is the peak of the resident set less
the resident set before, which holds the file. ``test_memory_cost.py`` has the small form.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from inference.classifier import Classifier
from inference.decoding.formats.image_format import PartialImageError
from inference.model.folder import load_model
from inference.model.loaded import LoadedModel
from inference.model_spec import Interpolation, Layout, ResizeMode
from inference.resources.memory import return_freed_memory, trim_heaps
from tests.inference.decoding.fuzz import RecordingAdmission
from tests.inference.decoding.memory_layouts import LAYOUTS, photo
from tools.process_stats import resident, restart_peak

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[3]
PROGRAM = [sys.executable, "-m", "tests.inference.decoding.memory_table"]
MIB = 1024 * 1024
_SMALL = (300, 200)

# What the model asks for: a reduced image, every pixel of it, or an input that is large itself.
INPUTS: dict[str, dict[str, Any]] = {
    "reduced": {"height": 224, "width": 224, "resized_height": 256, "resized_width": 256},
    "whole": {"interpolation": Interpolation.NEAREST},
    "large": {
        **dict.fromkeys(("height", "width", "resized_height", "resized_width"), 2048),
        "resize": ResizeMode.SQUASH,
        "layout": Layout.NHWC,
    },
}


class Measured(NamedTuple):
    """Bytes of one picture: of its file, reserved for it, and taken at the peak."""

    layout: str
    model_input: str
    file: int
    reserved: int
    taken: int


def measure(layouts: Iterable[str], inputs: Iterable[str], width: int, height: int) -> Iterator[Measured]:
    """Yield the memory of one picture of this size in each layout, for each of ``INPUTS``.

    Raises:
        RuntimeError: A writer or a decoder ended its process.
    """
    names = list(inputs)
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [*PROGRAM, "--serve", folder], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdin
        assert process.stdout
        for layout in layouts:
            process.stdin.write(json.dumps([layout, names, width, height]) + "\n")
            process.stdin.flush()
            for name in names:
                answer = process.stdout.readline()
                if not answer.strip():
                    raise RuntimeError(f"The process that writes or decodes {layout} ended.")
                yield Measured(layout, name, *json.loads(answer))
        process.stdin.close()


def _serve(folder: Path) -> None:
    """Answer each line of stdin with a line for each of its inputs."""
    return_freed_memory()
    admission = RecordingAdmission(1 << 40, 1 << 41)
    loaded = load_model(ROOT / "models" / "shapes")
    classifiers = {
        name: Classifier(
            [LoadedModel(loaded.spec._replace(input=loaded.spec.input._replace(**changes)), loaded.session)],
            admission=admission,
        )
        for name, changes in INPUTS.items()
    }
    seen: set[str] = set()
    for line in sys.stdin:
        layout, names, width, height = json.loads(line)
        _write(layout, _SMALL, folder / "small")
        _write(layout, (width, height), folder / "large")
        if LAYOUTS[layout].format not in seen:
            classifiers[names[0]].preprocess((folder / "small").read_bytes())
            seen.add(LAYOUTS[layout].format)
            trim_heaps()
        for name in names:
            print(_in_a_fork(classifiers[name], admission, folder), flush=True)  # noqa: T201 - the answer


def _in_a_fork(classifier: Classifier, admission: RecordingAdmission, folder: Path) -> str:
    readable, writable = os.pipe()
    if os.fork() == 0:
        os.write(writable, json.dumps(_preprocess(classifier, admission, folder)).encode())
        os._exit(0)
    os.close(writable)
    answer = os.read(readable, 1000).decode()
    os.close(readable)
    os.wait()
    return answer


def _write(layout: str, size: tuple[int, int], path: Path) -> None:
    picture = photo(*size)  # made once
    if os.fork() == 0:
        path.unlink(missing_ok=True)
        path.write_bytes(LAYOUTS[layout].write(picture))
        os._exit(0)
    _, status = os.wait()
    if status:
        raise RuntimeError(f"{layout} could not be written.")


def _preprocess(classifier: Classifier, admission: RecordingAdmission, folder: Path) -> tuple[int, int, int]:
    with suppress(PartialImageError):
        classifier.preprocess((folder / "small").read_bytes())
    trim_heaps()
    content = (folder / "large").read_bytes()
    before = restart_peak().now
    with suppress(PartialImageError):  # a damaged picture
        classifier.preprocess(content)
    return len(content), admission.reserved_bytes, resident().peak - before


def main() -> None:
    """Print a table of all layouts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--only", nargs="+", default=[""], help="only layouts whose name begins so")
    parser.add_argument("--inputs", nargs="+", default=["reduced", "whole"], choices=INPUTS)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        _serve(args.serve)
        return
    height = round((args.megapixels * 1e6 * 3 / 4) ** 0.5)
    width, height = height * 4 // 3 // 16 * 16, height // 16 * 16
    names = [name for name in LAYOUTS if name.startswith(tuple(args.only))]
    columns = "".join(f" {name}: estimate, MiB | taken, MiB | ratio |" for name in args.inputs)
    print(f"| layout | file, MiB |{columns}\n|---|---|{'---|---|---|' * len(args.inputs)}")  # noqa: T201
    for rows in zip(*[measure(names, args.inputs, width, height)] * len(args.inputs), strict=True):
        cells = "".join(
            f" {row.reserved / MIB:.0f} | {row.taken / MIB:.0f} | {row.reserved / max(1, row.taken):.2f} |"
            for row in rows
        )
        print(f"| {rows[0].layout} | {rows[0].file / MIB:.1f} |{cells}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
