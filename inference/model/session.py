"""The only module that touches ONNX Runtime: it builds sessions, runs them, and translates their errors.

onnxruntime is imported on first use (70 ms).
"""

from __future__ import annotations

import os
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from inference.errors import ConfigurationError, ModelError, TransientError
from inference.model.file_errors import is_passing
from inference.resources.cpus import usable_cpus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

_FATAL_SEVERITY = 4  # an error is raised too, and its sentence is then the only line on stderr


class ValueInfo(NamedTuple):
    """An input or output of the graph, as ONNX's ``ValueInfoProto``.

    Attributes:
        name: The graph's name for it.
        type: ONNX Runtime's type: ``tensor(float)``, ``seq(map(string,tensor(float)))`` ...
        shape: A number, a symbol's name or ``None`` for each axis.
    """

    name: str
    type: str
    shape: tuple[int | str | None, ...]


class Session:
    """One loaded graph. ``run`` may be called from many threads; as many run at once as there are CPUs, the rest wait.

    ONNX Runtime needs no lock. But every run holds memory for its activations, which the arena never gives back: more
    runs at once than CPUs finish no sooner and cost that memory for good.

    Attributes:
        inputs: The graph's inputs.
        outputs: The graph's outputs.
        metadata: The graph's ``metadata_props``.
        exact_int8: Whether 8-bit products are summed without saturation.
    """

    def __init__(self, graph: Path, *, intra_op_threads: int = 1, exact_int8: bool = False) -> None:
        """Load the graph.

        Args:
            graph: The ONNX file.
            intra_op_threads: Threads that share one inference. 1 with one caller per CPU gives the most images per
                second; all CPUs with one caller answers a single image sooner.
            exact_int8: Sum 8-bit products without saturation. x86 CPUs with AVX2 and without VNNI add two products of
                an unsigned and a signed byte in 16 bits, which overflows (``vpmaddubsw``): the same model then gives
                another label than on other CPUs. ONNX Runtime's option costs a fifth more time there, and nothing on
                other CPUs.

        Raises:
            ModelError: ONNX Runtime cannot load the graph; the message says why.
            TransientError: Memory or another resource of the machine ran out.
        """
        runtime = onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = intra_op_threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.enable_cpu_mem_arena = True
        options.log_severity_level = _FATAL_SEVERITY
        # Runs are many and short: a thread that spins for its next task takes the CPU from a decoder.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        if exact_int8:
            options.add_session_config_entry("session.x64quantprecision", "1")
        try:
            self._session = runtime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except MemoryError as error:
            raise TransientError(f"{graph} could not be loaded: memory ran out.") from error
        except onnxruntime_errors() as error:
            if is_passing(str(error)):  # before the import below: perhaps no more files can be opened
                raise TransientError(f"{graph} cannot be loaded for now: {error}.") from error
            from inference.model.refusals.session_errors import load_refusal

            raise ModelError(load_refusal(graph, str(error))) from error
        self.exact_int8 = exact_int8
        self._graph = graph
        self._slots = BoundedSemaphore(usable_cpus())
        self.inputs = tuple(_value_info(arg) for arg in self._session.get_inputs())
        self.outputs = tuple(_value_info(arg) for arg in self._session.get_outputs())
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[np.generic]]) -> list[Any]:
        """Run the graph once.

        Args:
            outputs: Names of the requested outputs.
            inputs: Every input by name.

        Returns:
            An array or a list of maps for each requested output, in their order.

        Raises:
            TransientError: Memory ran out; a later run may succeed.
            ModelError: The graph fails on an input of its own declared type and shape.
        """
        try:
            with self._slots:
                return list(self._session.run(list(outputs), dict(inputs)))
        except MemoryError as error:
            raise TransientError("Memory ran out during inference.") from error
        except _run_errors() as error:
            from inference.model.refusals.session_errors import plain_words

            reason = plain_words(str(error))
            if is_passing(str(error)):
                raise TransientError(f"Memory ran out during inference: {reason}.") from error
            raise ModelError(f"{self._graph} loads but does not run: {reason}.") from error


def onnxruntime() -> ModuleType:
    """Import ONNX Runtime with its telemetry off. Safe from many threads.

    From 1.29 the Linux wheel sends telemetry unless this variable is set before the import. This is the only place
    where ``inference`` touches the environment, and it only writes.

    Raises:
        ConfigurationError: It is not installed, or a library that it needs cannot be loaded.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime as runtime
    except ImportError as error:
        raise ConfigurationError(f"ONNX Runtime cannot be imported ({error}): install requirements.txt.") from error

    return cast("ModuleType", runtime)


def onnxruntime_errors() -> tuple[type[Exception], ...]:
    """Return every exception class that ONNX Runtime declares. They share no base class."""
    from onnxruntime.capi import onnxruntime_pybind11_state as declared

    return tuple(value for value in vars(declared).values() if isinstance(value, type) and issubclass(value, Exception))


def _run_errors() -> tuple[type[Exception], ...]:
    """Return what ``run`` raises: ONNX Runtime's own classes, and those of its binding for an unsuitable input."""
    return (*onnxruntime_errors(), ValueError, RuntimeError)


def _value_info(arg: Any) -> ValueInfo:
    return ValueInfo(arg.name, arg.type, tuple(arg.shape))
