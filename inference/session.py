"""The one place that touches ONNX Runtime: builds sessions, runs them, and turns its errors into ours.

onnxruntime is imported on first use (70 ms), once: Python's import lock sees to that. Its exceptions share no base
class, so they are named here, and nowhere else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from inference.errors import ModelError, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

_ERROR_SEVERITY = 3


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the graph.

    Attributes:
        name: As the graph calls it.
        type: ONNX Runtime's word: ``tensor(float)``, ``seq(map(string,tensor(float)))`` ...
        shape: A number, a symbol's name or ``None`` for each axis.
    """

    name: str
    type: str
    shape: tuple[int | str | None, ...]


class Session:
    """One loaded graph. ``run`` may be called from many threads at once: ONNX Runtime needs no lock for it."""

    def __init__(self, graph: Path, *, intra_op_threads: int = 1) -> None:
        """Load the graph.

        Args:
            graph: The ONNX file.
            intra_op_threads: Threads that share one inference. 1 and as many callers as CPUs is fastest when images are
                many; all CPUs and one caller answers a single image sooner.

        Raises:
            ModelError: ONNX Runtime cannot load it; the sentence says what it lacks.
        """
        runtime = onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = intra_op_threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.enable_cpu_mem_arena = True
        options.log_severity_level = _ERROR_SEVERITY
        # Callers are many and short: a thread that spins for its next task takes the CPU from a decoder.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        try:
            self._session = runtime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except MemoryError as error:
            raise TransientError(f"{graph} could not be loaded: memory ran out.") from error
        except _onnxruntime_errors() as error:
            raise ModelError(_load_refusal(graph, str(error))) from error
        self._graph = graph
        self.inputs = tuple(Port(port.name, port.type, tuple(port.shape)) for port in self._session.get_inputs())
        self.outputs = tuple(Port(port.name, port.type, tuple(port.shape)) for port in self._session.get_outputs())
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[np.generic]]) -> list[Any]:
        """Run the graph once.

        Args:
            outputs: Names of the wanted outputs.
            inputs: Every input by name.

        Returns:
            An array or a list of maps for each wanted output, in their order.

        Raises:
            TransientError: Memory ran out; another time it may not.
            ModelError: The graph fails on an input of its own declared type and shape.
        """
        try:
            return list(self._session.run(list(outputs), dict(inputs)))
        except MemoryError as error:
            raise TransientError("Memory ran out during inference.") from error
        except _run_errors() as error:
            said = _first_sentence(str(error))
            if "allocat" in said.lower() or "bad_alloc" in said.lower():
                raise TransientError(f"Memory ran out during inference: {said}.") from error
            raise ModelError(f"{self._graph} loads but does not run: {said}.") from error


def onnxruntime() -> ModuleType:
    """Import ONNX Runtime with its telemetry off.

    From 1.29 the Linux wheel reports home unless this variable is set before the import. It is the one place where
    this room touches the environment, and it only writes.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime as runtime

    return cast("ModuleType", runtime)


def _onnxruntime_errors() -> tuple[type[Exception], ...]:
    """Every exception ONNX Runtime declares; a test compares this with what its module holds."""
    from onnxruntime.capi import onnxruntime_pybind11_state as declared

    return tuple(value for value in vars(declared).values() if isinstance(value, type) and issubclass(value, Exception))


def _run_errors() -> tuple[type[Exception], ...]:
    """What ``run`` raises: its own, and what its binding raises for an input it cannot take."""
    return (*_onnxruntime_errors(), ValueError, RuntimeError)


def _load_refusal(graph: Path, said: str) -> str:
    """Turn ONNX Runtime's words into one sentence with a way out."""
    reason = _first_sentence(said)
    lowered = said.lower()
    if "opset" in lowered or "unsupported model ir version" in lowered:
        return f"{graph} is newer than this ONNX Runtime: {reason}; export it with a lower opset."
    if "is not a registered function/op" in lowered or "not_implemented" in lowered or "no op registered" in lowered:
        return f"{graph} uses an operator that ONNX Runtime lacks: {reason}; export it with standard ONNX operators."
    if "external data" in lowered or "external_data" in lowered or "external initializer" in lowered:
        return f"{graph} cannot read its weight file: {reason}; put that file beside it."
    return f"{graph} is refused by ONNX Runtime: {reason}; export it again."


def _first_sentence(said: str) -> str:
    """Strip ``[ONNXRuntimeError] : 1 : FAIL :`` and source positions, keep one line of at most 300 characters."""
    line = " ".join(said.split())
    for _ in range(3):
        head, separator, rest = line.partition(" : ")
        if not separator or " " in head.strip("[]"):
            break
        line = rest
    return line[:300].rstrip(" .")
