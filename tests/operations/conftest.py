"""One run of all outcomes, shared by the tests of this folder."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image as Picture

from tests.operations.captured import capture_all_outcomes
from tests.operations.kusto import Insights

if TYPE_CHECKING:
    from tests.operations.captured import Rows
    from tools.azurite.azurite import Azurite


@pytest.fixture(scope="session")
def rows(azurite: Azurite) -> Rows:
    file = io.BytesIO()
    Picture.effect_mandelbrot((160, 120), (-2, -1, 1, 1), 40).convert("RGB").save(file, "JPEG")
    return capture_all_outcomes(azurite, file.getvalue())


@pytest.fixture(scope="session")
def insights(rows: Rows) -> Insights:
    """Application Insights with the captured rows."""
    made = Insights()
    made.add("traces", rows.traces)
    made.add("exceptions", rows.exceptions)
    return made
