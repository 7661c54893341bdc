"""Measure the model that ships on photographs it has never seen.

    python -m tools.maintainer.shapes.evaluate --count 2000

The photographs come from a series of their own (see ``photographs``), in sizes from thumbnails to 12 megapixels, as
JPEG files with EXIF orientation. ``inference`` decodes and classifies them as it does uploads. Needs no PyTorch.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from inference.classifier import load
from tools.sample_photos.meshes import LABELS
from tools.sample_photos.photographs import EVALUATION, MIXED_PX, photograph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.classifier import Classifier

MODEL_FOLDER = Path("models/shapes")
_LARGE_PX = 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said of one photograph.

    Attributes:
        truth: What the photograph shows.
        label: What the model saw.
        score: How sure it was, in [0, 1].
        long_side_px: Size of the photograph.
    """

    truth: str
    label: str
    score: float
    long_side_px: int


def evaluate(count: int, model: Path = MODEL_FOLDER, long_sides_px: Sequence[int] = MIXED_PX) -> list[Answer]:
    """Classify ``count`` fresh photographs of those sizes, on every core."""
    # Spawned, not forked: whoever calls may have threads, and a session of its own, already.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        return list(pool.map(partial(_answer, model, long_sides_px), range(count), chunksize=10))


def accuracy(answers: list[Answer]) -> float:
    """Share of right answers, in [0, 1]."""
    return sum(answer.truth == answer.label for answer in answers) / len(answers)


def main() -> None:
    """Print accuracy over all, over large photographs and by label, and what was taken for what."""
    parser = argparse.ArgumentParser(description="Measure a shapes model on fresh renders.")
    parser.add_argument("--count", type=int, default=2000, help="photographs (default: %(default)s)")
    parser.add_argument("--model", type=Path, default=MODEL_FOLDER, help="model folder (default: %(default)s)")
    arguments = parser.parse_args()
    started = time.monotonic()
    answers = evaluate(arguments.count, arguments.model)
    print(f"accuracy {accuracy(answers):.2%} on {len(answers)} fresh renders in {time.monotonic() - started:.0f} s")
    if large := [answer for answer in answers if answer.long_side_px >= _LARGE_PX]:
        print(f"accuracy {accuracy(large):.2%} on the {len(large)} of {_LARGE_PX} px and more")
    if right := [answer.score for answer in answers if answer.truth == answer.label]:
        print(f"median score when right {median(right):.3f}")
    for label in LABELS:
        shown = [answer for answer in answers if answer.truth == label]
        print(f"  {label:10} {accuracy(shown):.1%} of {len(shown)}" if shown else f"  {label:10} none shown")
    taken = Counter((answer.truth, answer.label) for answer in answers if answer.truth != answer.label)
    for (truth, label), times in taken.most_common(8):
        print(f"  {truth} taken for {label}: {times}")


@cache
def _classifier(model: Path) -> Classifier:
    """One for each process."""
    return load(model)


def _answer(model: Path, long_sides_px: Sequence[int], number: int) -> Answer:
    taken = photograph(EVALUATION, number, long_sides_px)
    said = _classifier(model).classify(taken.content)
    return Answer(LABELS[taken.label_index], said.label, said.score, max(taken.width, taken.height))


if __name__ == "__main__":
    main()
