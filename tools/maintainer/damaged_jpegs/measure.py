"""Damages each photo of a folder in every way and prints how many were refused, by kind of damage.

    python -m tools.maintainer.damaged_jpegs.measure FOLDER --seed 1

Each photo is damaged as it was taken, and saved again as a progressive JPEG and with restart markers. A damaged photo
that is classified counts as *unseen* if its picture differs from the intact one, and as *harmless* otherwise, as where
the damage lies behind the picture. Each unseen damage is listed.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from inference.decoding.decode import decode
from inference.decoding.formats.jpeg_segments import read_segments
from inference.decoding.header import read_header
from inference.decoding.plan import plan_decode
from inference.errors import PermanentError
from inference.limits import Limits
from tools.maintainer.damaged_jpegs.damage import KINDS, Sources

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_SHORTEST_SIDE_PX = 256
_VISIBLE_LEVELS = 8
_VISIBLE_PART = 0.001
_CODINGS: dict[str, dict[str, object]] = {
    "taken": {},
    "progressive": {"progressive": True},
    "restart": {"restart_marker_rows": 1},
}
_COLUMNS = ("damaged", "truncated", "corrupt", "harmless", "unseen")


class _Photo(NamedTuple):
    name: str
    content: bytes
    tables: bytes
    start: int

    @property
    def data(self) -> bytes:
        return self.content[self.start :]


class _Outcome(NamedTuple):
    kind: str
    outcome: str
    wrong: float
    label: str


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="photos; files that are no intact JPEG are listed and left out")
    parser.add_argument("--seed", default="1", help="of places and contents of the damage (default: 1)")
    parser.add_argument("--repeat", type=int, default=1, help="times that each kind is tried on each photo")
    parser.add_argument("--codings", nargs="+", choices=_CODINGS, default=list(_CODINGS), help="default: all")
    parser.add_argument("--kinds", default="", help="only kinds whose name contains this text")
    parser.add_argument("--processes", type=int, default=1, help="worker processes (default: 1)")
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.iterdir() if path.is_file())
    kinds = [name for name in KINDS if options.kinds in name]
    work = partial(_try_photo, paths, options.seed, options.repeat, kinds)
    tasks = [(path, coding) for path in paths for coding in options.codings]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        for outcomes in pool.map(work, tasks):
            for outcome in outcomes:
                counts[outcome.kind][outcome.outcome] += 1
                if outcome.outcome in {"unseen", "refused"}:
                    print(f"{outcome.outcome}: {outcome.label}: {outcome.kind}: {outcome.wrong:.1%}", flush=True)
    print("| damage | " + " | ".join(_COLUMNS) + " |")
    print("|---|" + "---|" * len(_COLUMNS))
    for kind in kinds:
        print(f"| {kind} | " + " | ".join(str(counts[kind][column]) for column in _COLUMNS) + " |")
    total = sum((counts[kind] for kind in kinds), Counter[str]())
    print("| all | " + " | ".join(str(total[column]) for column in _COLUMNS) + " |")
    print(f"intact: {counts['intact']['whole']} whole, {counts['intact']['refused']} refused")


def _try_photo(
    paths: Sequence[Path], seed: str, repeat: int, kinds: Sequence[str], task: tuple[Path, str]
) -> list[_Outcome]:
    path, coding = task
    try:
        photo = _load(path, coding)
    except PermanentError as error:
        return [_Outcome("intact", "refused", 0, f"{path.name}: {error.reason}: {error.detail}")]
    rng = random.Random(f"{seed} {path.name} {coding}")
    sources = _sources(photo, paths, coding, rng)
    found = [_Outcome("intact", "whole", 0, "")]
    for number in range(repeat):
        for kind in kinds:
            own = f"{seed} {path.name} {coding} {kind} {number}"
            damaged = KINDS[kind](photo.content, photo.start, sources, random.Random(own))
            found.append(_Outcome(kind, *_outcome(photo.content, damaged), own))
    return found


def _load(path: Path, coding: str) -> _Photo:
    content = path.read_bytes()
    if coding != "taken":
        file = BytesIO()
        picture = Image.open(BytesIO(content))
        picture.save(file, "JPEG", quality=90, **_CODINGS[coding])
        content = file.getvalue()
    _picture(content)
    segments = read_segments(content)
    tables = b"".join(content[start:end] for start, end in segments.needed if content[start + 1] == 0xC4)
    return _Photo(path.name, content, tables, segments.scan + 14)


def _sources(photo: _Photo, paths: Sequence[Path], coding: str, rng: random.Random) -> Sources:
    """Choose other photos at random; one with the same Huffman tables, if there is any."""
    others = [path for path in paths if path.name != photo.name]
    rng.shuffle(others)
    loaded = list(_readable(others[:40], coding))
    alike = next((other for other in loaded if other.tables == photo.tables), None)
    unlike = next((other for other in loaded if other.tables != photo.tables), loaded[0])
    return Sources(unlike.data, (alike or unlike).data)


def _readable(paths: Sequence[Path], coding: str) -> Iterator[_Photo]:
    for path in paths:
        try:
            photo = _load(path, coding)
        except PermanentError:
            continue
        if len(photo.data) > 1024:
            yield photo


def _outcome(content: bytes, damaged: bytes) -> tuple[str, float]:
    try:
        picture = _picture(damaged)
    except PermanentError as error:
        return str(error.reason), 0.0
    whole = _picture(content)
    if picture.shape != whole.shape:
        return "unseen", 1.0
    wrong = float((np.abs(picture.astype(np.int16) - whole).max(axis=2) > _VISIBLE_LEVELS).mean())
    return ("unseen" if wrong > _VISIBLE_PART else "harmless"), wrong


def _picture(content: bytes) -> NDArray[np.uint8]:
    """Decode as for a model whose shortest side is 256 pixels."""
    header = read_header(content, Limits())
    width, height = header.info.width, header.info.height
    shortest = min(width, height)
    needed = _SHORTEST_SIDE_PX * width // shortest, _SHORTEST_SIDE_PX * height // shortest
    return np.asarray(decode(content, plan_decode(header, needed), upright=False).image)


if __name__ == "__main__":
    main()
