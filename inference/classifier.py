"""Classifies encoded images with one loaded model or several.

Three lines are enough::

    from inference import classifier

    result = classifier.load("models/shapes").classify(content)
    print(result.label, result.score)

An image is decoded once, at the largest size that any of the models needs.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from inference.decoding.decode import decode
from inference.decoding.formats.image_format import load_format
from inference.decoding.header import read_header
from inference.decoding.plan import plan_decode
from inference.limits import Limits
from inference.model.folder import load_model
from inference.model.loaded import LoadedModel, combined_identity
from inference.phash import phash
from inference.postprocess import top_predictions
from inference.predictions import DECISION_FILE, UNKNOWN, Answer, Classification
from inference.preprocess import memory_bytes, needed_size, shows_picture
from inference.scores import pack_scores

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import numpy as np
    from numpy.typing import NDArray

    from inference.decoding.pixels import Mode
    from inference.model_spec import ModelSpec
    from inference.predictions import Decision, ImageInfo
    from inference.resources.admission import Admission


class PreparedImage(NamedTuple):
    """An image, ready for the models.

    Attributes:
        info: The original's size and format.
        tensors: The input of each model, in their order.
        decoded_fraction: See ``Classification``.
        phash: See ``Classification``.
    """

    info: ImageInfo
    tensors: list[NDArray[np.generic]]
    decoded_fraction: float | None
    phash: str | None


class Classifier:
    """Loaded models. Safe to call from many threads at once; never changes.

    Attributes:
        model: Name and version of the model, or the common ones of several.
        decision: The rules for the row's label, from the first model's scores; ``None`` for the model's own label.
    """

    def __init__(  # noqa: PLR0913 - what decides an answer
        self,
        models: Sequence[LoadedModel],
        *,
        top_k: int = 5,
        min_score: float | None = None,
        limits: Limits | None = None,
        admission: Admission | None = None,
        decision: Decision | None = None,
    ) -> None:
        """Build a classifier from loaded models; ``load`` builds one from folders.

        Args:
            models: At least one; the image's label is the first model's.
            top_k: Number of predictions in each result, at least 1.
            min_score: Below this probability the label is ``unknown``; the predictions still show the best guess. A
                ``decision`` replaces it.
            limits: The images that are accepted; by default ``Limits()``.
            admission: Bounds the memory of concurrent decodes; without it, no decode waits.
            decision: Made for the labels of the first model.
        """
        self.model = combined_identity(models)
        self._models = tuple(models)
        self._mode: Mode = "L" if all(model.is_grey for model in models) else "RGB"
        self._top_k = top_k
        self._min_score = min_score if decision is None else None
        self.decision = decision
        self._limits = limits or Limits()
        self._admission = admission

    @property
    def spec(self) -> ModelSpec:
        """The specification of the model, or of the first of several."""
        return self._models[0].spec

    @property
    def exact_int8(self) -> bool:
        """Whether any of the models is quantized and runs without saturation; see ``Session``."""
        return any(model.session.exact_int8 for model in self._models)

    def warm(self) -> None:
        """Run each model once on zeros and import the JPEG reader, so that the first photo waits for neither."""
        load_format("jpeg")
        import_module("PIL.ImageFile")  # Pillow imports it when numpy first reads an image's pixels
        for model in self._models:
            model.warm()

    def classify(self, content: bytes) -> Classification:
        """Classify one encoded image of any supported format.

        Raises:
            PermanentError: The image can never be classified.
            TransientError: Memory ran out.
            ModelError: A model fails, or its output holds no probabilities.
        """
        started = time.perf_counter()
        image = self.preprocess(content)
        prepared = time.perf_counter()
        scores = [model.scores(model.run(tensor)) for model, tensor in zip(self._models, image.tensors, strict=True)]
        answers = tuple(map(self._answer, self._models, scores))
        answered = time.perf_counter()
        first = answers[0]
        return Classification(
            label=first.label,
            label_index=first.label_index,
            score=first.score,
            predictions=first.predictions,
            image=image.info,
            decoded_fraction=image.decoded_fraction,
            model=self.model,
            answers=answers if len(answers) > 1 else (),
            phash=image.phash,
            scores=pack_scores(scores[0]),
            decision=self.decision,
            decode_ms=(prepared - started) * 1000,
            inference_ms=(answered - prepared) * 1000,
        )

    def preprocess(self, content: bytes) -> PreparedImage:
        """Decode one encoded image once, and make the input of each model from it.

        Raises:
            PermanentError: The image can never be classified.
            TransientError: Memory ran out.
        """
        header = read_header(content, self._limits)
        width, height = header.info.width, header.info.height
        plan = plan_decode(header, self._needed_size(width, height), mode=self._mode)
        plan = plan._replace(keep_damaged=self._limits.accept_damaged)
        inputs_bytes = sum(memory_bytes(model.spec.input, width, height, plan.reduction) for model in self._models)
        with self._admission.reserve(plan.memory_with(inputs_bytes)) if self._admission else nullcontext():
            decoded = decode(content, plan, mode=self._mode, upright=False)
            damage = decoded.damage
            if damage and not any(shows_picture(model.spec.input, decoded) for model in self._models):
                raise damage.refusal
            tensors = [model.tensor(decoded) for model in self._models]
            # The filler of a damaged picture would decide most bits.
            fingerprint = None if damage else phash(decoded)
        return PreparedImage(header.info, tensors, damage.decoded_fraction if damage else None, fingerprint)

    def _needed_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the largest size that any of the models resizes an image to, each axis for itself."""
        sizes = [needed_size(model.spec.input, width, height) for model in self._models]
        return max(across for across, _ in sizes), max(down for _, down in sizes)

    def _answer(self, model: LoadedModel, scores: NDArray[np.float64]) -> Answer:
        best = top_predictions(model.spec.labels, scores, self._top_k)
        unknown = self._min_score is not None and best[0].score < self._min_score
        return Answer(
            model=model.spec.identity,
            label=UNKNOWN if unknown else best[0].label,
            label_index=None if unknown else best[0].label_index,
            score=best[0].score,
            predictions=best,
        )


def load(  # noqa: PLR0913 - what decides an answer
    *folders: str | PathLike[str],
    top_k: int = 5,
    min_score: float | None = None,
    limits: Limits | None = None,
    admission: Admission | None = None,
    intra_op_threads: int = 1,
    decision: str | PathLike[str] | None = None,
) -> Classifier:
    """Load one model folder or several, and the ``decision.json``. Each graph has then run once, on zeros.

    Args:
        folders: At least one; see ``docs/models.md``.
        top_k: See ``Classifier``.
        min_score: See ``Classifier``.
        limits: See ``Classifier``.
        admission: See ``Classifier``.
        intra_op_threads: Threads that share one inference; see ``Session``.
        decision: A file to use instead of the ``decision.json`` in the first folder.

    Raises:
        ModelError: A folder or the ``decision.json`` cannot be used. The message is one sentence that says what to do.
        TransientError: Memory ran out.
    """
    models = [load_model(Path(folder), intra_op_threads=intra_op_threads) for folder in folders]
    path = Path(decision) if decision is not None else Path(folders[0]) / DECISION_FILE
    rules = read_rules(path, models[0].spec) if decision is not None or path.is_file() else None
    return Classifier(models, top_k=top_k, min_score=min_score, limits=limits, admission=admission, decision=rules)


def read_rules(path: Path, spec: ModelSpec) -> Decision:
    """Read a ``decision.json`` for a model.

    Args:
        path: The file.
        spec: The model, whose labels it names.

    Raises:
        ModelError: The file is missing, or cannot be used with this model.
        TransientError: It cannot be read for now.
    """
    from inference.decision.rules import load_rules  # most models have none

    return load_rules(path, spec.labels, one_is_true=spec.one_is_true)
