from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tools.dev import columns, row


def test_a_finished_image_is_one_row() -> None:
    message = 'image_finished image="in/a \\"b\\".jpg" status=classified label="tabby cat" score=0.93 total_ms=41.2'
    assert str(row(message)).split() == ["in/a", '"b".jpg', "classified", "tabby", "cat", "0.93", "41.2"]


def test_a_rejected_image_shows_its_reason() -> None:
    assert "not_an_image" in str(row('image_finished image="x" status=rejected reason=not_an_image total_ms=3'))


def test_other_messages_are_not_rows() -> None:
    assert row("invocation_started id=1") is None


@given(st.text(max_size=100), st.sampled_from([None, 34, 40, 60, 80, 200]))
def test_no_name_can_break_the_row_or_steer_the_terminal(name: str, terminal: int | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda: terminal is not None))
        patch.setenv("COLUMNS", str(terminal))
        widths = columns()
    text = json.dumps(name)
    printed = row(f"image_finished image={text} status=classified label={text} score=0.5 total_ms=41.2", widths)
    assert printed is not None
    assert printed.isprintable()
    assert cell_len(printed) == sum(widths.values()) + len(widths) - 1 <= (terminal or 94)
