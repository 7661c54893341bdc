"""One loaded model: an upright image becomes its input, its input an output, its output predictions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.model_spec import ColorOrder, Layout
from inference.postprocess import predictions, scores
from inference.predictions import ModelIdentity
from inference.preprocess import batched, preprocess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inference.decoding.decode import DecodedImage
    from inference.model.session import Session
    from inference.model_spec import ModelSpec
    from inference.predictions import Prediction


@dataclass(frozen=True, slots=True)
class Model:
    """A graph, and everything that decides what it answers. Safe to use from many threads at once.

    Attributes:
        spec: What the model is.
        session: Its graph.
    """

    spec: ModelSpec
    session: Session

    @property
    def is_grey(self) -> bool:
        """Whether it looks at brightness alone."""
        return self.spec.input.color_order is ColorOrder.GREY

    def tensor(self, decoded: DecodedImage) -> NDArray[np.generic]:
        """Turn an upright image (``RGB``, or ``L`` for a grey model) into the model's input; see ``preprocess``."""
        if self.is_grey and decoded.image.mode != "L":  # decoded in colour for a model beside this one
            decoded = replace(decoded, image=decoded.image.convert("L"))
        return preprocess(self.spec.input, decoded)

    def run(self, tensor: NDArray[np.generic]) -> Any:
        """Return the raw output that holds the scores.

        Raises:
            ModelError: The graph fails.
            TransientError: Memory ran out.
        """
        (output,) = self.session.run([self.spec.output.name], {self.spec.input.name: tensor})
        return output

    def predictions(self, output: Any, top_k: int) -> tuple[Prediction, ...]:
        """Return the ``top_k`` best, best first.

        Raises:
            ModelError: The output is nonsense.
        """
        return predictions(self.spec.labels, scores(self.spec, output), top_k)

    def warm(self) -> None:
        """Run one inference, so that the first image does not pay for memory and threads."""
        spec = self.spec.input
        shape = (spec.height, spec.width, spec.channels) if spec.layout is Layout.NHWC else None
        shape = shape or (spec.channels, spec.height, spec.width)
        self.run(batched(spec, np.zeros(shape, spec.dtype)))


def identity(models: Sequence[Model]) -> ModelIdentity:
    """Return the identity of one model, or the one that several have together: another order is another identity."""
    identities = [model.spec.identity for model in models]
    if len(identities) == 1:
        return identities[0]
    versions = ";".join(one.version for one in identities)
    return ModelIdentity("+".join(one.name for one in identities), hashlib.sha256(versions.encode()).hexdigest()[:12])
