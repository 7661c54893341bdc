"""One model, ready to answer: bytes in, ``Classification`` out, from as many threads as call.

``shared`` keeps one classifier per folder for the life of the process: it is built once, under a lock, however many
threads ask first, and a failed load is not remembered, so that the next call tries again.
"""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np

from inference.decode import decode, read_header
from inference.decode_cost import decode_cost
from inference.limits import Limits
from inference.model_folder import open_model
from inference.model_spec import ColorOrder, Layout
from inference.postprocess import predictions, scores
from inference.predictions import UNKNOWN, Classification
from inference.preprocess import batched, needed_size, preprocess

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from inference.admission import Admission
    from inference.model_spec import ModelSpec
    from inference.pixels import Mode
    from inference.predictions import ModelIdentity
    from inference.session import Session


class Classifier:
    """A loaded model. Safe to call from many threads at once; nothing in it changes after it is built."""

    def __init__(  # noqa: PLR0913 - settings of one thing, all by name
        self,
        spec: ModelSpec,
        session: Session,
        *,
        top_k: int = 5,
        min_score: float | None = None,
        limits: Limits | None = None,
        admission: Admission | None = None,
    ) -> None:
        """Put a loaded model to work; ``load`` is the usual way to one.

        Args:
            spec: What the model is.
            session: Its graph.
            top_k: How many predictions each answer carries, at least 1.
            min_score: Below this probability the label is ``unknown``; the predictions still show the best guess.
            limits: What is refused from the header.
            admission: Memory that decoding must ask for; without it nothing waits.
        """
        self.spec = spec
        self._session = session
        self._top_k = top_k
        self._min_score = min_score
        self._limits = limits or Limits()
        self._admission = admission

    @property
    def model(self) -> ModelIdentity:
        """Name and version of the model that answers."""
        return self.spec.identity

    def warm(self) -> None:
        """Run one inference, so that the first image does not pay for memory and threads."""
        spec = self.spec.input
        shape = (spec.height, spec.width, spec.channels) if spec.layout is Layout.NHWC else None
        shape = shape or (spec.channels, spec.height, spec.width)
        self._run(batched(spec, np.zeros(shape, spec.dtype)))

    def classify(self, content: bytes) -> Classification:
        """Classify one encoded image.

        Raises:
            PermanentError: The image can never be classified.
            TransientError: Memory ran out.
            ModelError: The model fails or answers nonsense.
        """
        started = time.perf_counter()
        spec = self.spec.input

        def needed(width: int, height: int) -> tuple[int, int]:
            return needed_size(spec, width, height)

        header = read_header(content, self._limits)
        mode: Mode = "L" if spec.color_order is ColorOrder.GREY else "RGB"
        with self._admission.reserve(decode_cost(header, needed)) if self._admission else nullcontext():
            tensor = preprocess(spec, decode(content, header, needed=needed, mode=mode))
        decoded = time.perf_counter()
        best = predictions(self.spec.labels, self._run(tensor), self._top_k)
        answered = time.perf_counter()
        unknown = self._min_score is not None and best[0].score < self._min_score
        return Classification(
            label=UNKNOWN if unknown else best[0].label,
            label_index=None if unknown else best[0].label_index,
            score=best[0].score,
            predictions=best,
            image=header.info,
            model=self.model,
            decode_ms=(decoded - started) * 1000,
            inference_ms=(answered - decoded) * 1000,
        )

    def _run(self, tensor: NDArray[np.generic]) -> NDArray[np.float64]:
        (output,) = self._session.run([self.spec.output.name], {self.spec.input.name: tensor})
        return scores(self.spec, output)


def load(  # noqa: PLR0913 - settings of one thing, all by name
    folder: Path,
    *,
    top_k: int = 5,
    min_score: float | None = None,
    limits: Limits | None = None,
    admission: Admission | None = None,
    intra_op_threads: int = 1,
) -> Classifier:
    """Open a model folder and return its classifier; the graph has answered once.

    Raises:
        ModelError: The folder cannot be used; one sentence says why and what to do.
        TransientError: Memory ran out.
    """
    spec, session = open_model(folder, intra_op_threads=intra_op_threads)
    return Classifier(spec, session, top_k=top_k, min_score=min_score, limits=limits, admission=admission)


_shared: dict[Path, Classifier] = {}
_shared_lock = threading.Lock()


def shared(  # noqa: PLR0913 - as load
    folder: Path,
    *,
    top_k: int = 5,
    min_score: float | None = None,
    limits: Limits | None = None,
    admission: Admission | None = None,
    intra_op_threads: int = 1,
) -> Classifier:
    """Return this process's one classifier for the folder, loading it on the first call.

    Threads that come meanwhile wait for the one that loads. The options of the call that loaded it hold: a process has
    one set of settings. A load that fails is not kept.

    Raises:
        ModelError: As ``load``; the next call tries again.
        TransientError: Memory ran out.
    """
    key = folder.resolve()
    with _shared_lock:
        if key not in _shared:
            _shared[key] = load(
                folder,
                top_k=top_k,
                min_score=min_score,
                limits=limits,
                admission=admission,
                intra_op_threads=intra_op_threads,
            )
        return _shared[key]
