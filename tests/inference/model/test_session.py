"""ONNX Runtime: its errors, its options and its threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inference.errors import ModelError, TransientError
from inference.model import onnx_file, session
from inference.model.folder import load_model
from inference.model.session import Session
from tests.inference.model.loading import LINES, refusal
from tests.inference.model.model_folders import MODEL_JSON, folder, graph
from tests.waiting import DEADLINE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    return folder(tmp_path / "colours", graph(), labels_txt=LINES, model_json=MODEL_JSON)


def test_every_error_that_onnxruntime_declares_is_translated() -> None:
    session.onnxruntime()
    from onnxruntime.capi import onnxruntime_pybind11_state as declared

    names = {
        name for name, value in vars(declared).items() if isinstance(value, type) and issubclass(value, BaseException)
    }
    assert names == {error.__name__ for error in session.onnxruntime_errors()}


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer", TransientError),
        ("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input", ModelError),
    ],
    ids=["memory may be there next time", "a wrong shape never changes"],
)
def test_an_error_at_run_time_has_a_class(model_dir: Path, message: str, kind: type[Exception]) -> None:
    loaded = Session(model_dir / "model.onnx")
    declared = {error.__name__: error for error in session.onnxruntime_errors()}
    error = declared["RuntimeException" if "RUNTIME" in message else "InvalidArgument"](message)

    class Failing:
        def run(self, _outputs: list[str], _inputs: dict[str, object]) -> list[object]:
            raise error

    loaded._session = Failing()
    with pytest.raises(kind) as raised:
        loaded.run([], {})
    assert "ONNXRuntimeError" not in str(raised.value)


def test_no_more_run_at_once_than_there_are_cpus(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two CPUs, two of eight callers run; the others run when those have returned or failed."""
    monkeypatch.setattr(session, "usable_cpus", lambda: 2)
    loaded = Session(model_dir / "model.onnx")
    entered, leave = threading.Semaphore(0), threading.Semaphore(0)

    class Slow:
        def run(self, _outputs: list[str], _inputs: dict[str, object]) -> list[object]:
            entered.release()
            assert leave.acquire(timeout=DEADLINE_SECONDS)
            raise ValueError("a failed run frees its slot")

    loaded._session = Slow()
    with ThreadPoolExecutor(8) as pool:
        callers = [pool.submit(loaded.run, [], {}) for _ in range(8)]
        assert entered.acquire(timeout=DEADLINE_SECONDS)
        assert entered.acquire(timeout=DEADLINE_SECONDS)
        assert not entered.acquire(timeout=0.2)
        leave.release(len(callers))
        assert all(isinstance(caller.exception(timeout=DEADLINE_SECONDS), ModelError) for caller in callers)


def test_the_options_are_the_measured_ones(model_dir: Path) -> None:
    options = Session(model_dir / "model.onnx")._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.enable_cpu_mem_arena is True
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.graph_optimization_level == session.onnxruntime().GraphOptimizationLevel.ORT_ENABLE_ALL


def test_an_operator_that_onnxruntime_lacks_is_named(tmp_path: Path) -> None:
    model = graph()
    model.graph.node[0].op_type = "TurboEncabulator"
    assert "TurboEncabulator" in refusal(folder(tmp_path, model, labels_txt=LINES, model_json=MODEL_JSON))


def test_an_opset_that_is_too_new_is_refused(tmp_path: Path) -> None:
    message = refusal(folder(tmp_path, graph(opset=99), labels_txt=LINES, model_json=MODEL_JSON))
    assert "it has opset 99, and this one reads up to" in message


RESTRICTED = """
import json, os, sys

cpus, intra_op = json.loads(sys.argv[1])
os.sched_setaffinity(0, cpus)
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy, onnxruntime  # they may have threads of their own, which are none of model_json


def threads():
    found = {}
    for number in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{number}/status") as status:
            (allowed,) = [line.split()[1] for line in status if line.startswith("Cpus_allowed_list")]
        found[number] = allowed
    return found


before = threads()
if intra_op is None:
    session = onnxruntime.InferenceSession("models/shapes/model.onnx")
else:
    from pathlib import Path
    from inference.model.session import Session

    session = Session(Path("models/shapes/model.onnx"), intra_op_threads=intra_op)
    (port,) = session.inputs
    shape = [size if isinstance(size, int) else 1 for size in port.shape]
    session.run([session.outputs[0].name], {port.name: numpy.zeros(shape, numpy.float32)})
own = {number: allowed for number, allowed in threads().items() if number not in before}
print(json.dumps({"model_json": sorted(own.values()), "process": before[str(os.getpid())]}))
"""


@pytest.fixture
def restricted() -> Callable[..., tuple[list[str], str, str]]:
    """Open a session in a process with these CPUs; return its threads' CPUs, the process's, and stderr."""

    def run(cpus: list[int], intra_op: int | None) -> tuple[list[str], str, str]:
        command = [sys.executable, "-c", RESTRICTED, json.dumps([cpus, intra_op])]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        return answer["model_json"], answer["process"], done.stderr

    return run


def really_usable() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="CPUs are assigned to processes on Linux only")
class TestOnnxRuntime:
    """When it chooses its threads itself, it pins them, and prints an error for each CPU that a container hides."""

    CPUS = really_usable()

    def test_has_no_thread_to_pin_and_prints_nothing_on_the_last_cpu(
        self, restricted: Callable[..., tuple[list[str], str, str]]
    ) -> None:
        assert restricted(self.CPUS[-1:], 1) == ([], str(self.CPUS[-1]), "")

    def test_does_not_pin_several_threads(self, restricted: Callable[..., tuple[list[str], str, str]]) -> None:
        model_json, process, errors = restricted(self.CPUS, 3)
        assert model_json == [process, process]
        assert errors == ""

    @pytest.mark.skipif(len(CPUS) < 2, reason="with one CPU there is no other one to be pinned to")
    def test_pins_threads_when_the_number_is_not_set(
        self, restricted: Callable[..., tuple[list[str], str, str]]
    ) -> None:
        """The tests above would detect pinned threads."""
        model_json, process, _ = restricted(self.CPUS, None)
        assert model_json
        assert process not in model_json


def saturating(form: str) -> tuple[onnx.ModelProto, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return an 8-bit graph, its input, and its exact answer by integer arithmetic.

    Every sum of two products is above 32,767, which is where CPUs without VNNI saturate.
    """
    rng = np.random.default_rng(1)
    pixels = rng.integers(200, 256, (1, 64)).astype(np.uint8)
    weights = rng.integers(90, 128, (64, 16)).astype(np.int8)
    weights[:, ::2] *= -1
    exact = (pixels.astype(np.int64) @ weights.astype(np.int64)).reshape(-1)
    constants = {"w": weights, "one": np.float32(1), "zero": np.uint8(0), "weight_zero": np.int8(0)}
    coarse = {"scale": np.float32(2**14), "middle": np.uint8(128)}
    quantized = (np.clip(np.rint(exact / 2**14) + 128, 0, 255) - 128) * 2**14
    node = helper.make_node
    dequantized = [
        node("DequantizeLinear", ["x", "one", "zero"], ["float_x"]),
        node("DequantizeLinear", ["w", "one", "weight_zero"], ["float_w"]),
    ]
    requantized = [
        node("QuantizeLinear", ["float_y", "scale", "middle"], ["q"]),
        node("DequantizeLinear", ["q", "scale", "middle"], ["y"]),
    ]
    operands = ["x", "one", "zero", "w", "one", "weight_zero", "scale", "middle"]
    nodes = {
        "QLinearMatMul": [node("QLinearMatMul", operands, ["q"]), requantized[1]],
        "QLinearConv": [node("QLinearConv", operands, ["q"]), requantized[1]],
        "MatMulInteger": [
            node("MatMulInteger", ["x", "w", "zero", "weight_zero"], ["sum"]),
            node("Cast", ["sum"], ["y"], to=TensorProto.FLOAT),
        ],
        "MatMul": [*dequantized, node("MatMul", ["float_x", "float_w"], ["float_y"]), *requantized],
        "Conv": [*dequantized, node("Conv", ["float_x", "float_w"], ["float_y"]), *requantized],
    }[form]
    if form.endswith("Conv"):
        pixels, constants["w"] = pixels.reshape(1, 64, 1, 1), weights.T.reshape(16, 64, 1, 1)
    model = helper.make_model(
        helper.make_graph(
            nodes,
            form,
            [helper.make_tensor_value_info("x", TensorProto.UINT8, pixels.shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants | coarse).items()],
        ),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    return model, pixels, exact if form == "MatMulInteger" else quantized


@pytest.mark.parametrize("form", ["QLinearMatMul", "QLinearConv", "MatMulInteger", "MatMul", "Conv"])
def test_8_bit_products_are_summed_exactly_on_every_cpu(tmp_path: Path, form: str) -> None:
    model, pixels, exact = saturating(form)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert onnx_file.read(path).is_quantized
    (answer,) = Session(path, exact_int8=True).run(["y"], {"x": pixels})
    assert answer.reshape(-1).tolist() == exact.tolist()


def test_a_quantized_model_is_loaded_without_saturation(
    tmp_path: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries: list[tuple[str, str]] = []
    runtime = session.onnxruntime()

    class Options(runtime.SessionOptions):  # type: ignore[name-defined,misc]
        def add_session_config_entry(self, key: str, value: str) -> None:
            entries.append((key, value))
            super().add_session_config_entry(key, value)

    monkeypatch.setattr(runtime, "SessionOptions", Options)
    assert not load_model(model_dir).session.exact_int8
    assert "session.x64quantprecision" not in dict(entries)
    quantized = graph()
    del quantized.graph.node[-1]
    quantized.graph.initializer.append(numpy_helper.from_array(np.float32(0.01), "scale"))
    quantized.graph.node.add(op_type="QuantizeLinear", input=["step0", "scale"], output=["q"])
    quantized.graph.node.add(op_type="DequantizeLinear", input=["q", "scale"], output=["logits"])
    stated = MODEL_JSON | {"output": {"activation": "softmax"}}
    assert load_model(folder(tmp_path / "int8", quantized, labels_txt=LINES, model_json=stated)).session.exact_int8
    assert dict(entries)["session.x64quantprecision"] == "1"
