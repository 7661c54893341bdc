"""A web server, model folders and photos for the tests of ``model``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.inference.model.model_folders import BLUE, GREEN, MODEL_JSON, RED, folder, graph, png
from tests.tools.model.flaky_server import Site, serving
from tests.tools.model.model_command import LINES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as running:
        yield running


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The folder that new models are added to; it does not exist yet."""
    return tmp_path / "models"


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """A model folder that distinguishes red, green and blue."""
    return folder(tmp_path / "colours", graph(), labels_txt=LINES, model_json=MODEL_JSON)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of three images of one colour each."""
    path = tmp_path / "photos"
    path.mkdir()
    for name, color in (("red", RED), ("green", GREEN), ("blue", BLUE)):
        (path / f"{name}.png").write_bytes(png(color))
    return path
