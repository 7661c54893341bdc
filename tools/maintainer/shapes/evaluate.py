"""Measures the model that ships on photographs that were not used in training.

    python -m tools.maintainer.shapes.evaluate --count 2000

The photographs are from a series of their own (see ``photographs``): JPEG files with EXIF orientation, from thumbnails
to 12 megapixels. ``inference`` decodes and classifies them like uploads. PyTorch is not needed.
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
from tools.sample_photos.photographs import EVALUATION, MIXED_PX, photograph
from tools.sample_photos.shapes import LABELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.classifier import Classifier

MODEL_FOLDER = Path("models/shapes")
_LARGE_PX = 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one photograph.

    Attributes:
        truth: Its true label.
        label: The model's label.
        score: The model's score, in [0, 1].
        long_side_px: Size of the photograph.
    """

    truth: str
    label: str
    score: float
    long_side_px: int


def evaluate(count: int, model: Path = MODEL_FOLDER, long_sides_px: Sequence[int] = MIXED_PX) -> list[Answer]:
    """Classify ``count`` photographs of the evaluation series, in those sizes, on every core."""
    # Processes are spawned, because the caller may have threads and a session, which must not be forked.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        return list(pool.map(partial(_answer, model, long_sides_px), range(count), chunksize=10))


def accuracy(answers: list[Answer]) -> float:
    """Return the share of correct labels, in [0, 1]."""
    return sum(answer.truth == answer.label for answer in answers) / len(answers)


def main() -> None:
    """Print the accuracy in total, for large photographs and by label, and the most frequent confusions."""
    parser = argparse.ArgumentParser(description="Measure a shapes model on fresh renders.")
    parser.add_argument("--count", type=int, default=2000, help="number of photographs (default: %(default)s)")
    parser.add_argument("--model", type=Path, default=MODEL_FOLDER, help="model folder (default: %(default)s)")
    arguments = parser.parse_args()
    started = time.monotonic()
    answers = evaluate(arguments.count, arguments.model)
    print(f"accuracy {accuracy(answers):.2%} on {len(answers)} fresh renders in {time.monotonic() - started:.0f} s")
    if large := [answer for answer in answers if answer.long_side_px >= _LARGE_PX]:
        print(f"accuracy {accuracy(large):.2%} on the {len(large)} of {_LARGE_PX} px and more")
    if right := [answer.score for answer in answers if answer.truth == answer.label]:
        print(f"median score of correct labels {median(right):.3f}")
    for label in LABELS:
        of_label = [answer for answer in answers if answer.truth == label]
        print(
            f"  {label:10} {accuracy(of_label):.1%} of {len(of_label)}" if of_label else f"  {label:10} no photograph"
        )
    confusions = Counter((answer.truth, answer.label) for answer in answers if answer.truth != answer.label)
    for (truth, label), times in confusions.most_common(8):
        print(f"  {truth} classified as {label}: {times}")


@cache
def _classifier(model: Path) -> Classifier:
    """Return the classifier of this process."""
    return load(model)


def _answer(model: Path, long_sides_px: Sequence[int], number: int) -> Answer:
    photo = photograph(EVALUATION, number, long_sides_px)
    answer = _classifier(model).classify(photo.content)
    return Answer(LABELS[photo.label_index], answer.label, answer.score, max(photo.width, photo.height))


if __name__ == "__main__":
    main()
