"""The quantisation itself, through ``onnxruntime.quantization``; imported only where ``onnx`` is installed."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from inference.errors import ModelError
from inference.model.session import onnxruntime

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from inference.model.loaded import LoadedModel

_ALREADY = {
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger",
    "MatMulInteger",
}  # fmt: skip
_PER_CHANNEL_OPSET = 13  # DequantizeLinear has an axis since then
_WEIGHTED = {"Conv", "Gemm", "MatMul"}


def refuse_quantized(graph: Path) -> None:
    """Say at once that there is nothing to gain.

    Raises:
        ModelError: The graph is int8 already.
    """
    operators = {node.op_type for node in onnx.load(graph, load_external_data=False).graph.node}
    if operators & _ALREADY:
        raise ModelError(f"{graph} is quantised already (it holds {min(operators & _ALREADY)}): give the float model.")


def quantized(model: LoadedModel, tensors: Sequence[NDArray[np.generic]], target: Path) -> None:
    """Write the int8 form of a model's graph.

    Args:
        model: A float model.
        tensors: Its inputs for the images to calibrate on.
        target: The new ONNX file.

    Raises:
        ModelError: The graph is of a kind that cannot be quantised.
    """
    onnxruntime()  # before its quantisation tools import it with telemetry on
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quant_pre_process,
        quantize_static,
    )

    graph = model.spec.graph

    class Images(CalibrationDataReader):  # type: ignore[misc]
        """Hands the tensors out one by one, then ``None``."""

        def __init__(self) -> None:
            self._left = iter(tensors)

        def get_next(self) -> dict[str, Any] | None:
            tensor = next(self._left, None)
            return None if tensor is None else {model.spec.input.name: tensor}

    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it tells what we do anyway
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as place:
            folded = Path(place) / "folded.onnx"
            quant_pre_process(str(graph), str(folded), skip_symbolic_shape=True)
            content = onnx.load(folded, load_external_data=False)
            opset = max(entry.version for entry in content.opset_import if entry.domain in {"", "ai.onnx"})
            quantize_static(
                str(folded),
                str(target),
                Images(),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=opset >= _PER_CHANNEL_OPSET,
                nodes_to_exclude=_ending(content.graph),
            )
    except (ValueError, RuntimeError, TypeError, KeyError, AttributeError, NotImplementedError) as error:
        raise ModelError(f"{graph} cannot be quantised: {str(error).splitlines()[0]:.200}.") from error
    finally:
        logging.disable(level)


def _ending(graph: Any) -> list[str]:
    """Name the nodes behind the last weighted one, a softmax say, kept in float: eight bits would make steps of it."""
    nodes = list(graph.node)
    last = max((number for number, node in enumerate(nodes) if node.op_type in _WEIGHTED), default=len(nodes))
    return [node.name for node in nodes[last + 1 :] if node.name]
