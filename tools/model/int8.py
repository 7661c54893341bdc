"""Quantizes a graph with ``onnxruntime.quantization``."""

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

_QUANTIZED_OPERATORS = {
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger",
    "MatMulInteger",
}  # fmt: skip
_PER_CHANNEL_OPSET = 13  # DequantizeLinear has an axis since then
_WEIGHTED = {"Conv", "Gemm", "MatMul"}


def refuse_quantized(graph: Path) -> None:
    """Refuse a graph that is quantized already.

    Raises:
        ModelError: The graph holds an int8 operator.
    """
    operators = {node.op_type for node in onnx.load(graph, load_external_data=False).graph.node}
    if operators & _QUANTIZED_OPERATORS:
        raise ModelError(
            f"{graph} is quantized already (it holds {min(operators & _QUANTIZED_OPERATORS)}): give the float model."
        )


def write_int8(model: LoadedModel, tensors: Sequence[NDArray[np.generic]], target: Path) -> None:
    """Write the int8 form of a model's graph.

    Args:
        model: A float model.
        tensors: Its inputs for the images to calibrate on.
        target: The new ONNX file.

    Raises:
        ModelError: ONNX Runtime cannot quantize the graph.
    """
    onnxruntime()  # with telemetry off, before its quantization tools import it
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quant_pre_process,
        quantize_static,
    )

    graph = model.spec.graph

    class Images(CalibrationDataReader):  # type: ignore[misc]
        """Returns the tensors one by one, then ``None``."""

        def __init__(self) -> None:
            self._remaining = iter(tensors)

        def get_next(self) -> dict[str, Any] | None:
            tensor = next(self._remaining, None)
            return None if tensor is None else {model.spec.input.name: tensor}

    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it warns about steps that are done on purpose
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
            folded = Path(temporary) / "folded.onnx"
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
                # 7 bits: two products of 255 and 64 fit in 16 bits, where CPUs without VNNI add them.
                reduce_range=True,
                per_channel=opset >= _PER_CHANNEL_OPSET,
                nodes_to_exclude=_nodes_after_last_weights(content.graph),
            )
    except (ValueError, RuntimeError, TypeError, KeyError, AttributeError, NotImplementedError) as error:
        raise ModelError(f"{graph} cannot be quantized: {str(error).splitlines()[0]:.200}.") from error
    finally:
        logging.disable(level)


def _nodes_after_last_weights(graph: Any) -> list[str]:
    """Name the nodes after the last weighted one, such as a softmax. 8 bits are too coarse for scores."""
    nodes = list(graph.node)
    last = max((number for number, node in enumerate(nodes) if node.op_type in _WEIGHTED), default=len(nodes))
    return [node.name for node in nodes[last + 1 :] if node.name]
