"""What is measured against: the same job as it is written elsewhere, with the defaults of every library.

``sample`` is the pattern of Azure's own PyTorch-to-ONNX sample for Functions: decode everything, ``ImageOps.fit``,
normalise channel by channel in float64, a session with default options, softmax. ``reload`` is the same with the model
fetched from storage and loaded at every call, as first versions of this app and many tutorials do.
"""

from __future__ import annotations

import io
import itertools
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from azure.storage.blob import BlobServiceClient
from PIL import Image, ImageOps
from pillow_heif import register_heif_opener

from inference.model.session import onnxruntime
from tools.bench.networks import SIDE_PX, model_folder
from tools.bench.photos import KINDS, photos
from tools.bench.storage_names import INCOMING, MODELS, blob_names
from tools.bench.trials import looped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tools.bench.worker_process import Contestants, Facts

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def contestants(facts: Facts) -> Contestants:
    """``sample`` and ``reload``."""
    register_heif_opener()
    kept = Path(facts.cache)
    runtime = onnxruntime()

    @cache
    def session() -> Any:
        return runtime.InferenceSession(str(model_folder("MobileNetV2", kept) / "model.onnx"))

    @cache
    def contents(photo: str) -> list[bytes]:
        return photos(KINDS[photo], kept)

    def sample(photo: str, threads: int, seconds: float) -> Any:
        files: Iterator[bytes] = itertools.cycle(contents(photo))
        return looped(lambda: classify(session(), next(files)), threads, seconds)

    def reload(photo: str, threads: int, seconds: float) -> Any:
        names = itertools.cycle(blob_names(photo, facts.uploads[photo]))

        def call() -> None:
            service = BlobServiceClient.from_connection_string(facts.connection_string)
            model = service.get_blob_client(MODELS, "model.onnx").download_blob().readall()
            content = service.get_blob_client(INCOMING, next(names)).download_blob().readall()
            classify(runtime.InferenceSession(model), content)

        return looped(call, threads, seconds)

    return {"sample": sample, "reload": reload}


def classify(session: Any, content: bytes) -> int:
    """Return the best class, the sample's way."""
    image = Image.open(io.BytesIO(content)).convert("RGB")
    fitted = ImageOps.fit(image, (SIDE_PX, SIDE_PX))
    (scores,) = session.run(None, {session.get_inputs()[0].name: _normalised(np.asarray(fitted).transpose(2, 0, 1))})
    exponentials = np.exp(scores[0] - scores[0].max())
    return int(np.argsort(exponentials / exponentials.sum())[::-1][0])


def _normalised(planes: NDArray[np.uint8]) -> NDArray[np.float32]:
    normalised = np.zeros(planes.shape)
    for channel in range(3):
        normalised[channel] = (planes[channel] / 255 - _MEAN[channel]) / _STD[channel]
    return normalised.reshape(1, 3, SIDE_PX, SIDE_PX).astype(np.float32)
