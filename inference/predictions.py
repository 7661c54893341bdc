"""The vocabulary of results: plain frozen values that every room shares. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

UNKNOWN = "unknown"
"""The label of an image whose best score is below the wanted minimum."""


class Prediction(NamedTuple):
    """One label with its score.

    Attributes:
        label: The label's text, as the model's label file spells it.
        label_index: Position in the label file, from 0; equals the model's class index.
        score: Probability in [0, 1] (softmax or sigmoid of the model's output), never NaN.
    """

    label: str
    label_index: int
    score: float


class ImageInfo(NamedTuple):
    """What the image is, before any reduction.

    Attributes:
        width: Pixels, after EXIF orientation is applied.
        height: Pixels, after EXIF orientation is applied.
        format: Name by content, in lower case: ``jpeg``, ``png``, ``webp``, ``heif`` ...
    """

    width: int
    height: int
    format: str


class ModelIdentity(NamedTuple):
    """Which model answered.

    Attributes:
        name: The model's own name (``model.json``) or its folder's name.
        version: First 12 hex digits of a SHA-256 over graph, labels and preprocessing: another answer, another version.
    """

    name: str
    version: str


class Answer(NamedTuple):
    """What one of several models says of an image; the attributes are those of ``Classification``."""

    model: ModelIdentity
    label: str
    label_index: int | None
    score: float
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True, slots=True)
class Classification:
    """What is said of one image. Where several models were asked, the first one's answer is the verdict.

    Attributes:
        label: The verdict: the best prediction's label, or ``unknown`` when its score is below the wanted minimum.
        label_index: Its position in the label file; ``None`` for ``unknown``.
        score: The best prediction's probability in [0, 1], also when it is too low.
        predictions: The ``top_k`` best, best first; never empty.
        image: The image's own size and format.
        model: The identity of the model that really answered; of several, the one that they have together.
        answers: What each of several models says, in their order; empty where there is one model.
        decode_ms: Time from bytes to model input, in milliseconds.
        inference_ms: Time in the ONNX session and its postprocessing, in milliseconds.
    """

    label: str
    label_index: int | None
    score: float
    predictions: tuple[Prediction, ...]
    image: ImageInfo
    model: ModelIdentity
    answers: tuple[Answer, ...] = ()
    decode_ms: float = field(default=0.0, compare=False)
    inference_ms: float = field(default=0.0, compare=False)


class ImageClassifier(Protocol):
    """The port through which storage reaches inference. Implementations are safe to call from many threads."""

    @property
    def model(self) -> ModelIdentity:
        """The identity that the next ``classify`` will answer with."""
        ...

    def classify(self, content: bytes) -> Classification:
        """Classify one encoded image.

        Raises:
            PermanentError: The image can never be classified.
            ConfigurationError: The model cannot be used.
        """
        ...
