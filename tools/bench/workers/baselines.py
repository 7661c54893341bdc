"""Baselines: the same job as it is usually written, with the default options of every library.

``sample`` follows Azure's own PyTorch-to-ONNX sample for Functions: decode the whole image, ``ImageOps.fit``, normalise
each channel in float64, a session with default options, softmax. ``reload`` also downloads and loads the model at every
call, as many tutorials do.
"""

from __future__ import annotations

import io
import itertools
import os
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from azure.storage.blob import BlobServiceClient
from PIL import Image, ImageOps
from pillow_heif import register_heif_opener

from inference.model.session import onnxruntime
from tools.bench.inputs.emulator import CONNECTION, INCOMING, MODELS, blob_names
from tools.bench.inputs.networks import DEFAULT_NETWORK, SIDE_PX, model_folder
from tools.bench.inputs.photos import KINDS, photos
from tools.bench.trials import Trial, run_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from tools.bench.workers.process import Functions

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def functions(cache_folder: Path) -> Functions:
    """``sample`` and ``reload``."""
    register_heif_opener()
    runtime = onnxruntime()

    @cache
    def session() -> Any:
        return runtime.InferenceSession(str(model_folder(DEFAULT_NETWORK, cache_folder) / "model.onnx"))

    def sample(photo: str, threads: int, seconds: float) -> Trial:
        files: Iterator[bytes] = itertools.cycle(photos(KINDS[photo], cache_folder))
        return run_for(seconds, lambda: classify(session(), next(files)), threads)

    def reload(photo: str, images: int, threads: int, seconds: float) -> Trial:
        names = itertools.cycle(blob_names(photo, images))

        def call() -> None:
            service = BlobServiceClient.from_connection_string(os.environ[CONNECTION])
            model = service.get_blob_client(MODELS, "model.onnx").download_blob().readall()
            content = service.get_blob_client(INCOMING, next(names)).download_blob().readall()
            classify(runtime.InferenceSession(model), content)

        return run_for(seconds, call, threads)

    return {"sample": sample, "reload": reload}


def classify(session: Any, content: bytes) -> int:
    """Return the index of the best class, computed as the sample does it."""
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
