"""Tensors come out of a checkpoint as they were; code that a file names is never run."""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from inference.errors import ModelError
from tests.tools.model.efficientnet_lite.checkpoints import Storage, Tensor, checkpoint, whole
from tools.model.efficientnet_lite.checkpoint import read_tensors

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = np.arange(24, dtype=np.float32)


def test_tensors_come_back_with_shape_and_type() -> None:
    weight, count = NUMBERS.reshape(2, 3, 4), np.array([7], np.int64)
    read = read_tensors(checkpoint({"conv.weight": whole("0", weight), "bn.count": whole("1", count)}))
    assert list(read) == ["conv.weight", "bn.count"]
    np.testing.assert_array_equal(read["conv.weight"], weight)
    np.testing.assert_array_equal(read["bn.count"], count)
    assert [str(array.dtype) for array in read.values()] == ["float32", "int64"]


def test_two_views_of_one_storage() -> None:
    shared = Storage("0", NUMBERS)
    read = read_tensors(
        checkpoint({"transposed": Tensor(shared, (4, 6), (1, 4)), "tail": Tensor(shared, (2, 2), (2, 1), offset=20)})
    )
    np.testing.assert_array_equal(read["transposed"], NUMBERS.reshape(6, 4).T)
    np.testing.assert_array_equal(read["tail"], [[20, 21], [22, 23]])


class _Calls:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        return self._call


@pytest.mark.parametrize(
    "function", [os.mkdir, os.system, eval, getattr, np.load], ids=lambda function: function.__name__
)
def test_a_function_that_the_file_names_is_not_called(tmp_path: Path, function: Any) -> None:
    evidence = tmp_path / "evidence"
    argument = f"mkdir {evidence}" if function is os.system else str(evidence)
    with pytest.raises(ModelError, match="which is not loaded"):
        read_tensors(checkpoint({"x": _Calls(function, argument)}))
    with pytest.raises(ModelError, match="which is not loaded"):
        read_tensors(pickle.dumps(_Calls(function, argument)))
    assert not evidence.exists()


@pytest.mark.parametrize(
    "tensor",
    [
        pytest.param(Tensor(Storage("0", NUMBERS), (25,), (1,)), id="one number too many"),
        pytest.param(Tensor(Storage("0", NUMBERS), (4, 6), (6, 2)), id="strides beyond the end"),
        pytest.param(Tensor(Storage("0", NUMBERS), (4,), (1,), offset=21), id="offset beyond the end"),
        pytest.param(Tensor(Storage("0", NUMBERS), (4,), (1,), offset=-1), id="negative offset"),
        pytest.param(Tensor(Storage("0", NUMBERS), (1 << 34,), (0,)), id="64 GB by stride 0"),
        pytest.param(Tensor(Storage("0", NUMBERS), (2, 2), (1,)), id="too few strides"),
        pytest.param("text", id="no tensor"),
    ],
)
def test_a_tensor_outside_of_its_storage_is_refused(tensor: object) -> None:
    with pytest.raises(ModelError):
        read_tensors(checkpoint({"x": tensor}))


def test_a_damaged_file_is_refused_at_every_length() -> None:
    content = checkpoint({"weight": whole("0", NUMBERS)})
    for length in range(len(content)):
        with pytest.raises(ModelError):
            read_tensors(content[:length])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"PK\x03\x04" + bytes(100), id="the format since PyTorch 1.6"),
        pytest.param(checkpoint({}, magic=1), id="another magic number"),
        pytest.param(checkpoint({}, little_endian=False), id="big-endian"),
        pytest.param(b"<html>not found</html>", id="a web page"),
    ],
)
def test_another_format_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError):
        read_tensors(content)
