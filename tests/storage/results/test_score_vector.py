"""The scores of all labels in a sidecar: they come back, and scores that are damaged cost only themselves."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from storage.results import score_vector
from storage.results.serialization import MAX_SIDECAR_BYTES, from_sidecar, to_entity, to_sidecar
from tests.storage.samples import record

SCORES = struct.pack("<3e", 0.75, 0.25, 1.0)
WRITTEN = {"encoding": "f16le+base64", "count": 3, "data": base64.b64encode(SCORES).decode()}


def of(*numbers: float) -> dict[str, Any]:
    data = base64.b64encode(struct.pack(f"<{len(numbers)}e", *numbers)).decode()
    return WRITTEN | {"count": len(numbers), "data": data}


def test_a_sidecar_holds_them_and_the_row_does_not() -> None:
    outcome = record(scores=SCORES)
    sidecar = to_sidecar(outcome)
    assert json.loads(sidecar)["scores"] == WRITTEN
    assert from_sidecar(sidecar).scores == SCORES
    assert "scores" not in to_entity(outcome)
    assert "scores" not in json.loads(to_sidecar(record()))


@pytest.mark.parametrize(
    "scores",
    [
        None,
        [],
        "AAAA",
        {},
        WRITTEN | {"encoding": "f32le+base64"},
        WRITTEN | {"count": 4},
        WRITTEN | {"count": True},
        WRITTEN | {"count": -3},
        WRITTEN | {"count": "3"},
        WRITTEN | {"count": 10**30},
        WRITTEN | {"count": 0, "data": ""},
        WRITTEN | {"data": None},
        WRITTEN | {"data": "not Base64!!"},
        WRITTEN | {"data": "\u00e9\ud800"},
        of(0.5, float("nan")),
        of(0.5, float("inf")),
        of(0.5, -0.25),
        of(0.5, 1.0009765625),
    ],
)
def test_other_scores_are_left_out_and_the_rest_is_read(scores: Any) -> None:
    document = json.loads(to_sidecar(record())) | {"scores": scores}
    read = from_sidecar(json.dumps(document).encode())
    assert read == record()
    assert read.scores is None


def test_more_scores_than_a_sidecar_holds_are_left_out() -> None:
    """A sidecar stays below the size up to which a copied one is recognised."""
    most = bytes(2 * score_vector.MAX_SCORES)
    sidecar = to_sidecar(record(scores=most))
    assert len(sidecar) < MAX_SIDECAR_BYTES
    assert from_sidecar(sidecar).scores == most
    assert score_vector.to_json(most + bytes(2)) is None
