"""``python -m tools classify``: classifies local files and folders, without storage.

Prints one line per image in input order, as soon as it is known. Exit codes: 0 every image was classified, 1 some were
rejected or could not be read, 2 misuse or a model that is refused.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections import Counter, deque
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from inference.errors import ConfigurationError, PermanentError, Reason, TransientError
from inference.limits import Limits
from inference.resources.admission import Admission
from inference.resources.cpus import usable_cpus
from inference.resources.memory import default_budget_bytes
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from concurrent.futures import Future

    from inference.predictions import Answer, Classification, ImageClassifier, ImageInfo

DEFAULT_MODEL = Path(__file__).parent.parent / "models" / "shapes"

_DAMAGED = ("reject", "classify")  # as the setting; ``storage.settings`` would import an Azure package
_SYSTEM_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})  # macOS and Windows write them beside photos
_APPLE_DOUBLE = "._"  # macOS writes such a file beside each file on a disk that cannot hold its attributes
_READ_AHEAD = 4  # files per thread: no thread waits for a slow file, and memory stays bounded


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="an image, or a folder: every file below it")
    parser.add_argument(
        "--model",
        type=Path,
        action="append",
        metavar="DIR",
        help="model folder (default: models/shapes); given again, each model answers and the first one's label counts",
    )
    parser.add_argument("--top-k", type=int, default=5, metavar="N", help="predictions per image (default: 5)")
    parser.add_argument(
        "--min-score", type=float, metavar="P", help='below this probability the label is "unknown" (default: none)'
    )
    parser.add_argument(
        "--damaged",
        choices=_DAMAGED,
        help="reject a truncated or damaged picture, or classify the part that can be decoded (default: the setting "
        "DAMAGED_IMAGES, else reject)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per image instead of a table")
    parser.epilog = "example: python -m tools classify photos/ --model models/shapes --json"


def run(args: argparse.Namespace) -> int:
    """Classify every image and return the exit code."""
    if args.top_k < 1:
        raise ConfigurationError(f"--top-k is {args.top_k}, but must be at least 1.")
    if args.min_score is not None and not 0 <= args.min_score <= 1:
        raise ConfigurationError(f"--min-score is {args.min_score:g}, but must be from 0 to 1.")
    damaged = args.damaged or os.environ.get("DAMAGED_IMAGES", "").strip() or _DAMAGED[0]
    if damaged not in _DAMAGED:
        raise ConfigurationError(f"DAMAGED_IMAGES must be {' or '.join(_DAMAGED)}.")
    for path in args.paths:
        _check_path(path)
    # Without this, numpy starts an OpenBLAS thread for each CPU. The threads spin, although no matrix is multiplied:
    # they took a fifth of the CPU time until the first line.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from inference import classifier

    admission = Admission(default_budget_bytes())
    model = classifier.load(
        *(args.model or [DEFAULT_MODEL]),
        top_k=args.top_k,
        min_score=args.min_score,
        limits=Limits(accept_damaged=damaged == "classify"),
        admission=admission,
    )
    started = time.perf_counter()
    counts = {"classified": 0, "damaged": 0, "rejected": 0, "failed": 0}
    problems: list[str] = []
    skipped: list[str] = []
    show = _show_json if args.json else _show_row
    for outcome in _classify_all(model, admission, _files(args.paths, problems, skipped)):
        counts[outcome.status] += 1
        counts["damaged"] += outcome.decoded_fraction is not None
        print(show(outcome, model), flush=True)
    for problem in problems:
        print(problem, file=sys.stderr)
    if skipped:
        print(f"Skipped by name: {_counted(skipped)}.", file=sys.stderr)
    seconds = time.perf_counter() - started
    summary = ", ".join(f"{count} {status}" for status, count in counts.items() if count or status == "classified")
    print(f"{summary} in {seconds:.1f} s by {model.model.name} {model.model.version}", file=sys.stderr)
    return 1 if problems or counts["rejected"] or counts["failed"] else 0


class Outcome(NamedTuple):
    """The outcome of one file.

    Attributes:
        image: The path as given, joined with the path below a folder.
        status: ``classified``, ``rejected`` (the image is at fault) or ``failed`` (the file could not be read).
        classification: The result of a classified image.
        reason: The stable code of any other status.
        detail: The sentence of any other status.
        info: Size and format as far as they are known.
    """

    image: str
    status: str
    classification: Classification | None = None
    reason: str | None = None
    detail: str | None = None
    info: ImageInfo | None = None

    @property
    def decoded_fraction(self) -> float | None:
        """Of a damaged picture, the part of the height that was decoded; ``None`` for every other file."""
        return self.classification.decoded_fraction if self.classification else None


def _check_path(path: str) -> None:
    if not os.path.lexists(path):
        raise ConfigurationError(f"{printable(path)} does not exist.")
    if not os.path.exists(path):  # noqa: PTH110 - a path may hold bytes that are no characters, so it stays text
        raise ConfigurationError(f"{printable(path)} is a link to something that does not exist.")
    if not (os.path.isfile(path) or os.path.isdir(path)):  # noqa: PTH112, PTH113
        raise ConfigurationError(f"{printable(path)} is neither a file nor a folder.")


def _counted(skipped: list[str]) -> str:
    """The numbers of the skipped files by name: ``2 .DS_Store, 1 ._*``."""
    return ", ".join(f"{count:,} {name}" for name, count in sorted(Counter(skipped).items()))


def _files(paths: list[str], problems: list[str], skipped: list[str]) -> Iterator[str]:
    """Yield every regular file, links to files included, in path order; each folder is listed when its turn comes.

    Files that macOS and Windows write beside photos are skipped in a folder, not where a path names one.
    """
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112
            yield from _below(path, problems, skipped)
        else:
            yield path


def _system_file(path: str) -> str | None:
    """The name under which a file of the operating system is counted; ``None`` for every other file."""
    name = os.path.basename(path)  # noqa: PTH119 - the path stays text
    return name if name in _SYSTEM_FILES else f"{_APPLE_DOUBLE}*" if name.startswith(_APPLE_DOUBLE) else None


def _below(folder: str, problems: list[str], skipped: list[str]) -> Iterator[str]:
    pending = [folder]
    while pending:
        path = pending.pop()
        if os.path.isfile(path):  # noqa: PTH113
            if system_file := _system_file(path):
                skipped.append(system_file)
            else:
                yield path
        elif os.path.isdir(path) and (path == folder or not os.path.islink(path)):  # noqa: PTH112, PTH114 - no loops
            try:
                pending += sorted((os.path.join(path, name) for name in os.listdir(path)), reverse=True)  # noqa: PTH118, PTH208
            except OSError as error:
                problems.append(f"{printable(path)} cannot be listed: {error.strerror or error}.")
        elif os.path.islink(path) and not os.path.exists(path):  # noqa: PTH110, PTH114
            problems.append(f"{printable(path)} is a link to something that does not exist; skipped.")


def _classify_all(model: ImageClassifier, admission: Admission, files: Iterator[str]) -> Iterator[Outcome]:
    """Classify on as many threads as there are usable CPUs; outcomes come in the order of the files."""
    first = list(itertools.islice(files, 2))
    if len(first) == 1:  # one image needs no threads
        yield _classify_file(model, admission, first[0])
        return
    from concurrent.futures import ThreadPoolExecutor

    threads = usable_cpus()
    with ThreadPoolExecutor(threads, thread_name_prefix="classify") as pool:
        waiting: deque[Future[Outcome]] = deque()
        try:
            for file in itertools.chain(first, files):
                waiting.append(pool.submit(_classify_file, model, admission, file))
                if len(waiting) > threads * _READ_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _classify_file(model: ImageClassifier, admission: Admission, file: str) -> Outcome:
    try:
        size = os.stat(file).st_size  # noqa: PTH116 - the path stays text
        if size > Limits().max_bytes:
            # Refused unread: a disk image may be larger than the memory.
            detail = f"The file has {size:,} bytes; the limit is {Limits().max_bytes:,}."
            return Outcome(file, "rejected", reason=Reason.TOO_MANY_BYTES.value, detail=detail)
        with admission.reserve_content(size):
            with open(file, "rb") as opened:  # noqa: PTH123
                content = opened.read(size + 1)  # one more byte reveals a file that grows, within the reserved memory
            answer = _decided(model.classify(content), file)
    except OSError as error:
        detail = f"The file cannot be read: {error.strerror or error}."
        return Outcome(file, "failed", reason="unreadable", detail=detail)
    except PermanentError as error:
        return Outcome(file, "rejected", reason=error.reason.value, detail=error.detail, info=error.image)
    except TransientError as error:
        return Outcome(file, "failed", reason="out_of_memory", detail=str(error))
    return Outcome(file, "classified", answer, info=answer.image)


def _decided(answer: Classification, file: str) -> Classification:
    """The answer with the label that the model folder's ``decision.json`` gives a blob of this name."""
    if answer.decision is None or answer.scores is None:
        return answer
    return replace(answer, **answer.decision.decide(answer.scores, file)._asdict())


def _show_json(outcome: Outcome, model: ImageClassifier) -> str:
    answer, info = outcome.classification, outcome.info
    identity = answer.model if answer else model.model
    row: dict[str, Any] = {
        "image": outcome.image,
        "status": outcome.status,
        "label": answer.label if answer else None,
        "label_index": answer.label_index if answer else None,
        "score": answer.score if answer else None,
        "predictions": [prediction._asdict() for prediction in answer.predictions] if answer else [],
        "reason": outcome.reason,
        "detail": outcome.detail,
        "width": info.width if info else None,
        "height": info.height if info else None,
        "format": info.format if info else None,
        "model": identity.name,
        "model_version": identity.version,
        "damaged": True if outcome.decoded_fraction is not None else None,
        "decoded_fraction": outcome.decoded_fraction,
    }
    if answer and answer.answers:
        row["answers"] = [_answer_json(one) for one in answer.answers]
    return json.dumps(row, allow_nan=False)  # ASCII, because a file name may hold bytes that no encoding can print


def _answer_json(answer: Answer) -> dict[str, Any]:
    return {
        "model": answer.model.name,
        "model_version": answer.model.version,
        "label": answer.label,
        "label_index": answer.label_index,
        "score": answer.score,
        "predictions": [prediction._asdict() for prediction in answer.predictions],
    }


def _show_row(outcome: Outcome, _model: ImageClassifier) -> str:
    answer = outcome.classification
    if answer is None:
        return f"{outcome.status:<10} {outcome.reason or '':<24} {'':>5}  {printable(outcome.image)}: {outcome.detail}"
    row = f"{outcome.status:<10} {_labelled(answer)}  {printable(outcome.image)}"
    if outcome.decoded_fraction is not None:
        row += f"  (damaged: {outcome.decoded_fraction:.0%} of the height decoded)"
    others = [f"\n{'':<10} {_labelled(other)}  {printable(other.model.name)}" for other in answer.answers[1:]]
    return row + "".join(others)


def _labelled(answer: Answer | Classification) -> str:
    label = printable(answer.label)
    label = label if len(label) <= 24 else f"{label[:23]}…"
    return f"{label:<24} {answer.score:>5.2f}"
