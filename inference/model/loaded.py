"""A loaded model: a decoded image becomes its input, its input an output, its output predictions."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.model_spec import ColorOrder
from inference.postprocess import scores, top_predictions
from inference.predictions import ModelIdentity
from inference.preprocess import add_batch_axis, preprocess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inference.decoding.decode import DecodedImage
    from inference.model.session import Session
    from inference.model_spec import ModelSpec
    from inference.predictions import Prediction


class LoadedModel:
    """A session and the specification of its graph. Safe to use from many threads at once; never changes.

    Attributes:
        spec: Everything that decides an answer.
        session: The loaded graph.
    """

    __slots__ = ("session", "spec")

    def __init__(self, spec: ModelSpec, session: Session) -> None:
        self.spec = spec
        self.session = session

    @property
    def is_grey(self) -> bool:
        """Whether the input has one channel, brightness."""
        return self.spec.input.color_order is ColorOrder.GREY

    def tensor(self, decoded: DecodedImage) -> NDArray[np.generic]:
        """Turn a decoded image (``RGB``, or ``L`` for a grey model) into the model's input; see ``preprocess``."""
        if self.is_grey and decoded.image.mode != "L":  # decoded in colour for another model of the same classifier
            decoded = decoded._replace(image=decoded.image.convert("L"))
        return preprocess(self.spec.input, decoded)

    def run(self, tensor: NDArray[np.generic]) -> Any:
        """Return the raw output that holds the scores.

        Raises:
            ModelError: The graph fails.
            TransientError: Memory ran out.
        """
        (output,) = self.session.run([self.spec.output.name], {self.spec.input.name: tensor})
        return output

    def scores(self, output: Any) -> NDArray[np.float64]:
        """Return one probability in [0, 1] per label, in the order of the label file.

        Raises:
            ModelError: The output holds NaN, values that are no probabilities, or the wrong number of values.
        """
        return scores(self.spec, output)

    def predictions(self, output: Any, top_k: int) -> tuple[Prediction, ...]:
        """Return the ``top_k`` best predictions, best first.

        Raises:
            ModelError: See ``scores``.
        """
        return top_predictions(self.spec.labels, self.scores(output), top_k)

    def warm(self) -> None:
        """Run one inference on zeros, so that the first image does not wait for memory and threads."""
        spec = self.spec.input
        self.run(add_batch_axis(spec, np.zeros(spec.image_shape, spec.dtype)))


def combined_identity(models: Sequence[LoadedModel]) -> ModelIdentity:
    """Return the identity of one model, or a common one of several, which depends on their order."""
    identities = [model.spec.identity for model in models]
    if len(identities) == 1:
        return identities[0]
    versions = ";".join(identity.version for identity in identities)
    name = "+".join(identity.name for identity in identities)
    return ModelIdentity(name, hashlib.sha256(versions.encode()).hexdigest()[:12])
