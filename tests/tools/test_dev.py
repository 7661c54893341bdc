from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tools.dev import row


def test_a_finished_image_is_one_row() -> None:
    message = 'image_finished image="in/a \\"b\\".jpg" status=classified label="tabby cat" score=0.93 total_ms=41.2'
    assert str(row(message)).split() == ["in/a", '"b".jpg', "classified", "tabby", "cat", "0.93", "41.2"]


def test_a_rejected_image_shows_its_reason() -> None:
    assert "not_an_image" in str(row('image_finished image="x" status=rejected reason=not_an_image total_ms=3'))


def test_other_messages_are_not_rows() -> None:
    assert row("invocation_started id=1") is None


@given(st.text(max_size=100))
def test_no_name_can_break_the_row_or_steer_the_terminal(name: str) -> None:
    printed = row(f"image_finished image={json.dumps(name)} status=classified label={json.dumps(name)} score=0.5")
    assert printed is not None
    assert printed.isprintable()
