"""The one place that touches ONNX Runtime: builds sessions, runs them, and turns its errors into ours.

onnxruntime is imported on first use (70 ms), once: Python's import lock sees to that. Its exceptions share no base
class, so they are named here, and nowhere else.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, cast

from inference.errors import ModelError, TransientError
from inference.resources.cpus import usable_cpus

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
    """One loaded graph. ``run`` may be called from many threads at once; as many run as there are CPUs, the rest wait.

    ONNX Runtime needs no lock. But every run holds memory for its activations, which the arena never gives back: what
    runs at once beyond the CPUs ends no sooner, and costs that memory for good.
    """

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
        self._turns = BoundedSemaphore(usable_cpus())
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
            with self._turns:
                return list(self._session.run(list(outputs), dict(inputs)))
        except MemoryError as error:
            raise TransientError("Memory ran out during inference.") from error
        except _run_errors() as error:
            said = _plain_words(str(error))
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
    reason = _plain_words(said)
    lowered = said.lower()
    if any(
        words in lowered
        for words in ("not a registered function", "no op registered", "not_implemented", "for domain '")
    ):
        return f"{graph} uses an operator that ONNX Runtime lacks: {reason}; export it with standard ONNX operators."
    if versions := _OPSETS.search(said):
        reason = f"it is of opset {versions[1]}, and this one reads up to {versions[2]}"
        return f"{graph} is newer than this ONNX Runtime: {reason}; export it with a lower opset."
    if "opset" in lowered or "ir version" in lowered or "ir_version" in lowered:
        return f"{graph} is newer than this ONNX Runtime: {reason}; export it with a lower opset."
    if "external data" in lowered or "external_data" in lowered or "external initializer" in lowered:
        return f"{graph} cannot read its weight file: {reason}; put that file beside it."
    return f"{graph} is refused by ONNX Runtime: {reason}; export it again."


_OPSETS = re.compile(r"Opset (\d+) is under development.*till opset (\d+)", re.DOTALL)
_CODE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_PREAMBLE = re.compile(r"^(Load model from .+? failed:)?\s*(This is an invalid model\. )?")
_SOURCE_POSITION = re.compile(r"/onnxruntime_src/\S+:\d+ .*\)(?: const)? (?=[A-Z]\w* )")


def _plain_words(said: str) -> str:
    """Strip error codes, source positions and C++ signatures; keep one line of at most 300 characters."""
    line = " ".join(said.split())
    for noise in (_CODE, _PREAMBLE, _SOURCE_POSITION):
        line = noise.sub("", line, count=1)
    return line[:300].rstrip(" .")
