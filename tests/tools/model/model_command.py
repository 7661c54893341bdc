"""Runs ``python -m tools model`` in this process, and writes the folders that it is given."""

from __future__ import annotations

import io
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

from tests.inference.model.model_folders import folder, graph
from tools.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

LINES = "red\ngreen\nblue\n"
"""A label file for the graphs of ``model_folders``."""


def run_model(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command and capture its exit code and output."""
    command = ["model", *map(str, arguments)]
    with redirect_stdout(io.StringIO()) as stdout, redirect_stderr(io.StringIO()) as stderr:
        try:
            code = main(command)
        except SystemExit as ended:  # argparse
            code = int(str(ended.code))
    return subprocess.CompletedProcess(command, code, stdout.getvalue(), stderr.getvalue())


def hugging_face_folder(path: Path) -> Path:
    """Write a ViT as Optimum exports it."""
    preprocessor = {
        "do_resize": True, "size": {"shortest_edge": 10}, "resample": 3,
        "do_center_crop": True, "crop_size": {"height": 8, "width": 8},
        "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
        "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.25], "image_processor_type": "ViTImageProcessor",
    }  # fmt: skip
    config = {"id2label": {"0": "red", "1": "green", "2": "blue"}, "model_type": "vit"}
    return folder(path, graph(), config_json=config, preprocessor_config_json=preprocessor)
