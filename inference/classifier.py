"""One model or several, ready to answer: bytes in, ``Classification`` out, from as many threads as call.

An image is decoded once, at the largest size that any of the models needs, and shown to each of them.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from inference.decoding.decode import decode, read_header
from inference.decoding.memory_cost import decode_cost
from inference.limits import Limits
from inference.model.folder import load_model
from inference.model.loaded import LoadedModel, combined_identity
from inference.predictions import UNKNOWN, Answer, Classification
from inference.preprocess import needed_size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from inference.decoding.pixels import Mode
    from inference.model_spec import ModelSpec
    from inference.resources.admission import Admission


class Classifier:
    """Loaded models. Safe to call from many threads at once; nothing in it changes after it is built.

    Attributes:
        model: Name and version of the model that answers; of several, those that they have together.
    """

    def __init__(
        self,
        models: Sequence[LoadedModel],
        *,
        top_k: int = 5,
        min_score: float | None = None,
        limits: Limits | None = None,
        admission: Admission | None = None,
    ) -> None:
        """Put loaded models to work; ``load`` is the usual way to them.

        Args:
            models: At least one; the first one's answer is the verdict.
            top_k: How many predictions each answer carries, at least 1.
            min_score: Below this probability the label is ``unknown``; the predictions still show the best guess.
            limits: What is refused from the header.
            admission: Memory that decoding must ask for; without it nothing waits.
        """
        self.model = combined_identity(models)
        self._models = tuple(models)
        self._mode: Mode = "L" if all(model.is_grey for model in models) else "RGB"
        self._top_k = top_k
        self._min_score = min_score
        self._limits = limits or Limits()
        self._admission = admission

    @property
    def spec(self) -> ModelSpec:
        """What the model is; of several, the first."""
        return self._models[0].spec

    def warm(self) -> None:
        """Run one inference of each model, so that the first image does not pay for memory and threads."""
        for model in self._models:
            model.warm()

    def classify(self, content: bytes) -> Classification:
        """Classify one encoded image.

        Raises:
            PermanentError: The image can never be classified.
            TransientError: Memory ran out.
            ModelError: A model fails or answers nonsense.
        """
        started = time.perf_counter()
        header = read_header(content, self._limits)
        cost = decode_cost(header, self._needed)
        with self._admission.reserve(cost) if self._admission else nullcontext():
            decoded = decode(content, header, needed=self._needed, mode=self._mode, upright=False)
            tensors = [model.tensor(decoded) for model in self._models]
            del decoded
        prepared = time.perf_counter()
        answers = tuple(
            self._answer(model, model.run(tensor)) for model, tensor in zip(self._models, tensors, strict=True)
        )
        answered = time.perf_counter()
        verdict = answers[0]
        return Classification(
            label=verdict.label,
            label_index=verdict.label_index,
            score=verdict.score,
            predictions=verdict.predictions,
            image=header.info,
            model=self.model,
            answers=answers if len(answers) > 1 else (),
            decode_ms=(prepared - started) * 1000,
            inference_ms=(answered - prepared) * 1000,
        )

    def _needed(self, width: int, height: int) -> tuple[int, int]:
        """Return the largest size that any of the models resizes an image to, each axis for itself."""
        sizes = [needed_size(model.spec.input, width, height) for model in self._models]
        return max(across for across, _ in sizes), max(down for _, down in sizes)

    def _answer(self, model: LoadedModel, output: object) -> Answer:
        best = model.predictions(output, self._top_k)
        unknown = self._min_score is not None and best[0].score < self._min_score
        return Answer(
            model=model.spec.identity,
            label=UNKNOWN if unknown else best[0].label,
            label_index=None if unknown else best[0].label_index,
            score=best[0].score,
            predictions=best,
        )


def load(
    *folders: Path,
    top_k: int = 5,
    min_score: float | None = None,
    limits: Limits | None = None,
    admission: Admission | None = None,
    intra_op_threads: int = 1,
) -> Classifier:
    """Open one model folder or several and return their classifier; each graph has answered once.

    Raises:
        ModelError: A folder cannot be used; one sentence says why and what to do.
        TransientError: Memory ran out.
    """
    models = [load_model(folder, intra_op_threads=intra_op_threads) for folder in folders]
    return Classifier(models, top_k=top_k, min_score=min_score, limits=limits, admission=admission)
