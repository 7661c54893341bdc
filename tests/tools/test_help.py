"""The help of every command: its form, its example, and its copy in docs/tools.md."""

from __future__ import annotations

import re

import pytest

from tests.tools.regenerate_help import DOCUMENT, document, help_of
from tools.__main__ import COMMANDS


def test_the_document_is_the_help() -> None:
    """If this fails: python -m tests.tools.regenerate_help

    Word for word; Python's own layout of help changes between its versions (3.13 writes ``-o, --output FILE``).
    """
    assert words(DOCUMENT.read_text(encoding="utf-8")) == words(document())


def words(text: str) -> list[str]:
    return re.sub(r"(-\w) [A-Z]+, --", r"\1, --", text).split()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_opens_with_a_verb_and_ends_with_an_example(command: str) -> None:
    text = help_of(command)
    assert text.startswith(f"usage: python -m tools {command}")
    *_, last = text.split("\n\n")
    assert last.startswith("example"), f"{command} --help ends with: {last!r}"
    assert f"python -m tools {command}" in last


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_terminal(command: str) -> None:
    assert [line for line in help_of(command).splitlines() if len(line) > 120] == []


def test_commands_are_listed_by_name() -> None:
    assert list(COMMANDS) == sorted(COMMANDS)
