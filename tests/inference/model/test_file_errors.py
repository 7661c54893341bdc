"""Whose fault a failure to load is: the content's, which stays; a missing file's; or a passing state of the machine."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from inference.errors import ModelError, ModelFileError, TransientError
from inference.model.file_errors import is_passing
from inference.model.folder import load_model
from tests.inference.model.loading import LINES, refusal
from tests.inference.model.model_folders import MODEL_JSON, folder, graph

_FILES = [
    "model.json", "labels.json", "labels.txt", "class_indices.json", "id2label.json", "config.json",
    "preprocessor_config.json", "processor_config.json", "metadata_properties.json", "metadata.json",
    "cvexport.manifest", "signature.json", "pipeline.json", "inference.yml", "environment.json", "data.yaml",
    "label_map.pbtxt",
]  # fmt: skip
_HOSTILE = {
    "brackets": b"[" * 200_000,
    "closed brackets": b"[" * 200_000 + b"]" * 200_000,
    "objects": b'{"labels":' * 200_000 + b"1" + b"}" * 200_000,
    "a wrapped nest": b'{"labels":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "a long number": b'{"labels": ' + b"9" * 10_000 + b"}",
    "no text": b"\xff\xfe\x00{",
    "empty": b"",
    "half": b'{"labels": ["a",',
}


@pytest.mark.parametrize("content", _HOSTILE.values(), ids=_HOSTILE.keys())
@pytest.mark.parametrize("name", _FILES)
def test_a_hostile_text_file_is_a_refusal_that_names_the_folder(tmp_path: Path, name: str, content: bytes) -> None:
    folder(tmp_path, graph())
    (tmp_path / name).write_bytes(content)
    refusal(tmp_path)


_ODD: list[Any] = [None, True, 0, -1, 10**400, float("inf"), "", "x" * 1000, "\ud800", "²", [], [[]], {}, {"a": {}}]
_DOCUMENTS: dict[str, dict[str, Any]] = {
    "model.json": {
        "name": "n", "graph": "model.onnx", "labels": ["a", "b", "c"],
        "input": {
            "layout": "NCHW", "color_order": "RGB", "size": [8, 8], "resize": "shortest_side_crop", "shortest_side": 9,
            "interpolation": "bilinear", "scale": 0.1, "mean": [0, 0, 0], "std": [1, 1, 1],
        },
        "output": {"name": "logits", "activation": "softmax"},
    },
    "config.json": {
        "id2label": {"0": "a", "1": "b", "2": "c"}, "model_type": "vit", "architecture": "resnet18",
        "pretrained_cfg": {"input_size": [3, 8, 8], "mean": [0, 0, 0], "std": [1, 1, 1], "crop_pct": 0.9},
    },
    "preprocessor_config.json": {
        "image_processor_type": "ViTImageProcessor", "size": {"height": 8, "width": 8}, "crop_size": 8,
        "do_rescale": True, "rescale_factor": 0.1, "image_mean": [0, 0, 0], "image_std": [1, 1, 1], "resample": 2,
    },
    "cvexport.manifest": {"DomainType": "Classification", "ModelFileName": "model.onnx", "LabelFileName": "labels.txt"},
    "metadata_properties.json": {"CustomVision.Preprocess.NormalizeMean": "[0, 0, 0]", "Image.BitmapPixelFormat": "a"},
    "metadata.json": {"labels": ["a", "b", "c"], "imageSize": 8, "tmVersion": "1"},
}  # fmt: skip


@pytest.mark.parametrize("name", _DOCUMENTS)
def test_a_value_of_a_wrong_type_is_a_refusal_or_is_ignored(tmp_path: Path, name: str) -> None:
    folder(tmp_path, graph(), labels_txt=LINES, model_json={"input": {"scale": 0.1}}, config_json={})
    refused = 0
    for document in _with_odd_values(_DOCUMENTS[name]):
        (tmp_path / name).write_text(json.dumps(document))
        try:
            load_model(tmp_path)
        except ModelError:
            refused += 1
    assert refused > 10


def _with_odd_values(document: Any) -> list[Any]:
    """Return copies of a document, each with one value replaced by an odd one."""
    changed: list[Any] = list(_ODD)
    if isinstance(document, dict):
        for key, value in document.items():
            changed += [document | {key: other} for other in _with_odd_values(value)]
    elif isinstance(document, list):
        changed += [[other, *document[1:]] for other in _with_odd_values(document[0])]
    return changed


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ENOSPC, errno.ESTALE])
@pytest.mark.parametrize("name", ["model.onnx", "labels.txt", "model.json"])
def test_a_state_of_the_machine_is_not_the_models_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    folder(tmp_path, graph(), labels_txt=LINES, model_json=MODEL_JSON)
    opened = Path.open

    def fails(self: Path, *args: Any, **options: Any) -> Any:
        if self.name == name:
            raise OSError(number, os.strerror(number), str(self))
        return opened(self, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", fails)
        with pytest.raises(TransientError, match="for now"):
            load_model(tmp_path)
    load_model(tmp_path)


def test_memory_that_ran_out_is_not_the_models_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_args: object, **_options: object) -> str:
        raise MemoryError

    monkeypatch.setattr(Path, "read_text", exhausted)
    with pytest.raises(TransientError, match="memory"):
        load_model(folder(tmp_path, graph(), labels_txt=LINES))


@pytest.mark.parametrize("name", ["model.onnx", "labels.txt"])
def test_a_missing_or_protected_file_is_not_bad_content(tmp_path: Path, name: str) -> None:
    folder(tmp_path, graph(), labels_txt=LINES, model_json=MODEL_JSON | {"labels": "labels.txt"})
    (tmp_path / name).rename(tmp_path / "elsewhere")
    with pytest.raises(ModelFileError):
        load_model(tmp_path)
    (tmp_path / name).write_text("<html>")
    with pytest.raises(ModelError) as bad:
        load_model(tmp_path)
    assert not isinstance(bad.value, ModelFileError)


_NO_FILES_LEFT = """
import os, resource, sys
from pathlib import Path

from inference.errors import TransientError
from inference.model.folder import load_model
from inference.model.session import Session

folder = Path(sys.argv[1])
load_model(folder)  # everything is imported
limit = 64
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
kinds = []
for load in (load_model, lambda path: Session(path / "model.onnx")):
    try:
        load(folder)
    except Exception as error:
        kinds.append(type(error).__name__)
for descriptor in taken:
    os.close(descriptor)
load_model(folder)
print(" ".join(kinds))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on open files that a process can lower")
def test_too_many_open_files_pass(tmp_path: Path) -> None:
    folder(tmp_path, graph(), labels_txt=LINES, model_json=MODEL_JSON)
    program = [sys.executable, "-c", _NO_FILES_LEFT, str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["TransientError", "TransientError"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Load model from a.onnx failed:system error number 24", True),
        ("Load model from a.onnx failed:system error number 2", False),
        ("Load model from a.onnx failed:std::bad_alloc", True),
        ("Failed to allocate memory for requested buffer of size 160000000", True),
        ("open file weights.bin fail, errcode = 24 - Too many open files", True),
        ("open file weights.bin fail, errcode = 2 - No such file or directory", False),
        ("This is an invalid model. Type Error: Type 'tensor(int64)'", False),
    ],
)
def test_reads_the_cause_from_onnx_runtimes_text(text: str, expected: object) -> None:
    assert is_passing(text) is expected
