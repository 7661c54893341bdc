"""The results of classification: immutable values that every package shares. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

UNKNOWN = "unknown"
"""The label of an image whose best score is below the configured minimum."""

DECISION_FILE = "decision.json"
"""The name of the user's rules for labels, in a model folder and in messages."""


class Prediction(NamedTuple):
    """One label with its score.

    Attributes:
        label: The label's text, as in the model's label file.
        label_index: Position in the label file, from 0; equals the model's class index.
        score: Probability in [0, 1] (softmax or sigmoid of the model's output), never NaN.
    """

    label: str
    label_index: int
    score: float


class CaptureFacts(NamedTuple):
    """What a photo's EXIF block says about its capture; ``None`` for what it does not say.

    Attributes:
        taken_at: On the camera's clock, ``YYYY-MM-DDTHH:MM:SS[.fff][+HH:MM]``; with an offset only where one is stated.
        camera_make: One line of printable characters, as the two below.
        camera_model: As the camera writes it.
        camera_serial: As the camera writes it.
        temperature_c: Of the air, in degrees Celsius.
        latitude: Degrees, -90 to 90, north positive.
        longitude: Degrees, -180 to 180, east positive.
        impossible_time: The text of a time at which no photo can have been taken, where no other is stated.
    """

    taken_at: str | None = None
    camera_make: str | None = None
    camera_model: str | None = None
    camera_serial: str | None = None
    temperature_c: float | None = None
    latitude: float | None = None
    longitude: float | None = None
    impossible_time: str | None = None


class ImageInfo(NamedTuple):
    """Size and format of an image, before any reduction.

    Attributes:
        width: Pixels, after EXIF orientation is applied.
        height: Pixels, after EXIF orientation is applied.
        format: The format that the content has, in lower case: ``jpeg``, ``png``, ``webp``, ``heif`` ...
        color_profile: The name of an embedded colour profile that differs from sRGB, which is not applied; one line of
            printable characters. ``None`` for all other images.
        capture: What the EXIF block says; ``None`` where it says nothing.
    """

    width: int
    height: int
    format: str
    color_profile: str | None = None
    capture: CaptureFacts | None = None


class ModelIdentity(NamedTuple):
    """Name and version of a model.

    Attributes:
        name: The name in ``model.json``, or the folder's name.
        version: First 12 hex digits of a SHA-256 over graph, labels and preprocessing: it changes when an answer can.
    """

    name: str
    version: str


class Decided(NamedTuple):
    """The decision about one image.

    Attributes:
        label: A label of the model, a new name for one or several of them, one of their ancestors, or ``unknown``.
        label_index: Position of that label in the label file; ``None`` where the model has no such label.
        score: The label's score, or the sum of several, in [0, 1]; of ``unknown``, the best label's.
    """

    label: str
    label_index: int | None
    score: float


class Decision(Protocol):
    """The rules that make a label out of the scores of all labels; safe to call from many threads."""

    version: str

    def decide(self, scores: bytes, blob_name: str) -> Decided:
        """Return the decision for one image.

        Args:
            scores: The scores of all labels, as ``inference.scores.pack_scores`` packs them.
            blob_name: The image's full name in its container.

        Raises:
            ValueError: These are not as many scores as the model has labels.
        """
        ...


class Answer(NamedTuple):
    """The result of one of several models; the attributes are those of ``Classification``."""

    model: ModelIdentity
    label: str
    label_index: int | None
    score: float
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True, slots=True)
class Classification:
    """The result for one image. With several models it is the first model's result.

    Attributes:
        label: The best prediction's label, or ``unknown`` when its score is below the configured minimum.
        label_index: Its position in the label file; ``None`` for ``unknown``.
        score: The best prediction's probability in [0, 1], also when it is below the minimum.
        predictions: The ``top_k`` best, best first; never empty.
        image: The image's own size and format.
        model: The identity of the model that answered; the common identity of several.
        answers: The result of each of several models, in their order; empty with one model.
        decoded_fraction: Of a truncated or damaged picture, the part of the stored height that was decoded: above 0, up
            to 1. ``None`` for a whole picture.
        phash: Perceptual hash of the picture, 16 lower-case hex digits (``inference.phash``). ``None`` for a damaged
            one.
        scores: The scores of all labels of the first model, as ``inference.scores.pack_scores`` packs them: float16,
            little endian, the position is the label index. ``None`` where a classifier does not know them.
        decision: The rules that decide the label of the row from ``scores``; without them it is ``label``.
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
    decoded_fraction: float | None = None
    phash: str | None = None
    scores: bytes | None = field(default=None, repr=False)
    decision: Decision | None = field(default=None, repr=False, compare=False)
    decode_ms: float = field(default=0.0, compare=False)
    inference_ms: float = field(default=0.0, compare=False)


class ImageClassifier(Protocol):
    """The interface through which ``storage`` calls ``inference``; safe to call from many threads."""

    @property
    def model(self) -> ModelIdentity:
        """The identity of the model that the next ``classify`` uses."""
        ...

    def classify(self, content: bytes) -> Classification:
        """Classify one encoded image.

        Raises:
            PermanentError: The image can never be classified.
            TransientError: Memory ran out.
            ConfigurationError: The model cannot be used.
        """
        ...
