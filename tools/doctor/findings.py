"""The findings of the checks: a level, a topic and a sentence, which states a remedy if one is needed."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """Severity."""

    OK = "ok"
    WARNING = "warning"  # works, possibly not as expected
    PROBLEM = "problem"  # does not work


class Finding(NamedTuple):
    """The result of one check.

    Attributes:
        level: Severity.
        about: Topic, such as ``settings`` or ``queues``.
        sentence: For people. It contains names, addresses and codes, never keys, tokens or SAS.
    """

    level: Level
    about: str
    sentence: str


def ok(about: str, sentence: str) -> Finding:
    """Create a finding that needs no action."""
    return Finding(Level.OK, about, sentence)


def warning(about: str, sentence: str) -> Finding:
    """Create a finding that works, possibly not as expected."""
    return Finding(Level.WARNING, about, sentence)


def problem(about: str, sentence: str) -> Finding:
    """Create a finding that does not work; the sentence states the remedy."""
    return Finding(Level.PROBLEM, about, sentence)
