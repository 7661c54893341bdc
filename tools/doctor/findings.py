"""What a check has found: one sentence, and what to do where something is to be done."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How much a person has to care."""

    OK = "ok"
    WARNING = "warning"  # works, and may surprise
    PROBLEM = "problem"  # does not work


class Finding(NamedTuple):
    """One thing that was looked at. Sentences hold names, addresses and codes, never keys, tokens or SAS."""

    level: Level
    about: str
    sentence: str


def ok(about: str, sentence: str) -> Finding:
    """It is as it should be."""
    return Finding(Level.OK, about, sentence)


def warning(about: str, sentence: str) -> Finding:
    """It works, and may surprise."""
    return Finding(Level.WARNING, about, sentence)


def problem(about: str, sentence: str) -> Finding:
    """It does not work; the sentence says what to do."""
    return Finding(Level.PROBLEM, about, sentence)
