"""The dev host's log: one line for each event, also where a name or an error is hostile."""

from __future__ import annotations

import logging

from hypothesis import example, given
from hypothesis import strategies as st

from tools.devhost.logs import _Formatter


@given(st.text(max_size=30))
@example("a\x1b[2J\u202egpj\r\n2026-11-20T12:00:00.000Z WARNING forged")
def test_no_text_can_begin_a_line_or_steer_the_terminal(text: str) -> None:
    record = logging.LogRecord("app", logging.WARNING, __file__, 1, "image=%s", (text,), None)
    first, *others = _Formatter().format(record).split("\n")
    assert " WARNING image=" in first
    assert all(line.startswith("    ") for line in others)
    assert all(line.isprintable() for line in (first, *others))
