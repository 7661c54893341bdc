"""One setting: the environment variable, how its text becomes a value, its meaning and its default."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from storage.connection import Connection, read_connection
from storage.errors import SettingsError

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping

_T = TypeVar("_T")


class Parser(NamedTuple, Generic[_T]):
    """How a setting's text becomes a value.

    Attributes:
        parse: Returns the value; raises ``ValueError`` for any other text.
        expected: The accepted texts in words; completes "NAME must be ...".
    """

    parse: Callable[[str], _T]
    expected: str


@dataclass(frozen=True, slots=True)
class Setting(Generic[_T]):
    """One setting.

    Attributes:
        name: The environment variable.
        parser: Reads its text.
        meaning: A sentence or two for the documentation.
        default: The text that an unset or empty variable stands for.
    """

    name: str
    parser: Parser[_T]
    meaning: str
    default: str = ""

    @property
    def expected(self) -> str:
        """The accepted texts in words."""
        return self.parser.expected

    def read(self, environ: Mapping[str, str]) -> _T:
        """Read the value.

        Raises:
            SettingsError: The text is not accepted. The message never quotes it: it may be a secret in the wrong place.
        """
        try:
            return self.parser.parse(environ.get(self.name, "").strip() or self.default)
        except ValueError:
            raise SettingsError(f"{self.name} must be {self.parser.expected}.") from None


@dataclass(frozen=True, slots=True)
class ConnectionSetting:
    """A setting that names a storage account: one variable with a connection string, or several with an identity."""

    name: str
    meaning: str
    default: str = ""

    @property
    def expected(self) -> str:
        """The accepted texts in words."""
        return f"a connection string, or `{self.name}__*` with an identity"

    def read(self, environ: Mapping[str, str]) -> Connection:
        """Read the connection.

        Raises:
            SettingsError: It is missing or incomplete.
        """
        return read_connection(environ, self.name)


def whole(least: int, most: int) -> Parser[int]:
    """Accept a whole number within bounds, both included."""

    def parse(text: str) -> int:
        number = int(text)
        if not least <= number <= most:
            raise ValueError
        return number

    return Parser(parse, f"a whole number from {least} to {most}")


def one_of(*choices: str) -> Parser[str]:
    """Accept one of these texts, in this spelling."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    return Parser(parse, " or ".join(choices))


def yes_or_no() -> Parser[bool]:
    """Accept ``yes`` or ``no``."""
    choice = one_of("yes", "no")
    return Parser(lambda text: choice.parse(text) == "yes", choice.expected)


def optional(parser: Parser[_T]) -> Parser[_T | None]:
    """Accept an empty text too, as ``None``."""
    return Parser(lambda text: parser.parse(text) if text else None, parser.expected)


def matching(pattern: re.Pattern[str], expected: str) -> Parser[str]:
    """Accept a text that the whole pattern matches."""

    def parse(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError
        return text

    return Parser(parse, expected)


def comma_separated() -> Parser[frozenset[str]]:
    """Accept texts with commas between, as the fields of one line of CSV; none where the setting is empty."""

    def parse(text: str) -> frozenset[str]:
        try:
            lines = list(csv.reader([text], skipinitialspace=True, strict=True))
        except csv.Error:
            raise ValueError from None
        fields = [field.strip() for line in lines for field in line]
        if not all(fields):
            raise ValueError
        return frozenset(fields)

    return Parser(parse, 'a,b and so on; one that holds a comma in quotes: "a, b"')
