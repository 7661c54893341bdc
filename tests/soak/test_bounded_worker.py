"""The whole worker keeps to its budget: the short form of ``python -m tests.soak bounded``."""

from __future__ import annotations

import sys

import pytest

from tests.programs import needed
from tests.soak.bounded import bounded

BUDGET_MIB = 120


@pytest.mark.skipif(sys.platform != "linux", reason="reads the resident set from /proc")
def test_sixteen_images_invoked_at_once_stay_within_the_budget() -> None:
    """One WebP of 5 megapixels takes 80 MiB: without admission the sixteen would take some 700."""
    needed("python3.13")
    (measured,) = bounded(5, 0, 1228, ["mixed"], {"DECODE_BUDGET_MIB": str(BUDGET_MIB)})
    assert measured["rows"] == {"classified": 16}
    assert measured["oom_kills"] == 0
    # Beside the budget: the stacks, connections and inference of sixteen threads.
    assert measured["peak_mib"] - measured["before_mib"] <= BUDGET_MIB + 48
