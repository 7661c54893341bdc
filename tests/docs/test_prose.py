"""Plain English: the words that made this project's prose hard to read do not come back.

Documents, configuration and queries are checked whole; docs/tools.md brings the help texts. Of a Python module,
comments, docstrings and the other strings are checked; of a test only comments and docstrings, since its strings are
test data.
Names in Python are checked word by word.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
ITSELF = "tests/docs/test_prose.py"

# What is banned, and the plain word for it.
PHRASES = {
    r"nobody|somebody|anybody|everybody": "name the actor: the host, the worker, the caller, the blob",
    r"who(m)?ever|whatever|wherever|whichever": "name the actor or the case",
    r"what (is|was|are|were|has|had|stands|comes|goes|remains)\b(?!.{0,40}\?)": "name the thing",
    r"so that what": "two sentences",
    r"told|tells?|said": "reports, prints, states, distinguishes; message, text",
    r"wanted": "expected, requested",
    r"settle[sd]?|settling": "in Azure Service Bus: complete or abandon a message; here: classify, commit, resolve",
    r"mend(s|ed|ing)?": "repair",
    r"heal(s|ed|ing)?": "repair, recover",
    r"judge[sd]?|judging|verdicts?": "classify; result, outcome",
    r"(may|can|cannot) lie": "may be wrong",
    r"(go|goes|going|went|send|sends|sent)\b.{0,24} round(?! trip)": "queue again, retry; check end to end",
    r"under its hands": "while it is processed",
}
# Words of which no name is made. The right side says what the field calls it.
NAMES = {
    "told": "text, message",
    "tell": "callback, report",
    "said": "output, text",
    "wanted": "expected",
    "settle settled settling": "classify_blob, outcome",
    "ending": "outcome",
    "desk": "stores",
    "ledger": "result store",
    "mender mending": "repair",
    "suspect suspects suspicion": "mismatch, candidate",
    "unheard": "early logs",
    "hushed": "quiet loggers",
    "wiring wired": "account",
    "havoc victim suffering ambush mishap": "chaos, host process, fault, trigger",
    "checkup": "doctor",
    "lane": "worker process",
    "contest contests programme": "benchmark, plan",
    "crowd linger": "max_waiting, max_wait_seconds",
    "verdict judge judged": "result",
    "nobody somebody anybody whoever whatever": "the actor",
}
# Real uses: a file, a piece of its text, and the reason. One that no longer occurs fails.
ALLOWED: dict[tuple[str, str], str] = {
    ("CHANGELOG.md", "the value `settled` is now"): "a former value of a log field, for saved queries",
    ("CHANGELOG.md", "`nothing-settled`"): "the former name of an alert",
}
ALLOWED_NAMES = {
    "tell": "the method of files",
}

TEXT = {
    ".md",
    ".json",
    ".svg",
    ".kql",
    ".bicep",
    ".yaml",
    ".yml",
    ".toml",
    ".sh",
    ".ps1",
    ".html",
    ".js",
    ".cjs",
    ".css",
}
TEXT_NAMES = {"Makefile", "Dockerfile", "run"}
BANNED = re.compile(rf"\b(?:{'|'.join(PHRASES)})\b".replace(" ", r"\s+"), re.IGNORECASE | re.DOTALL)
BANNED_NAMES = {word for words in NAMES for word in words.split()}


class Passage(NamedTuple):
    """A piece of text and the line it begins on."""

    line: int
    text: str


class Find(NamedTuple):
    """A banned word at its place."""

    path: str
    line: int
    word: str
    around: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.word!r} in: {self.around}"


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and name != ITSELF and (ROOT / name).is_file()]


def passages(path: str) -> Iterator[Passage]:
    """The prose of one file. A module without a banned word anywhere is not parsed, which saves most of the time."""
    name = Path(path)
    if name.suffix == ".py":
        source = (ROOT / path).read_text(encoding="utf-8")
        if BANNED.search(source.replace("#", " ")):
            yield from of_module(source, strings=not path.startswith("tests/"))
    elif name.suffix in TEXT or name.name in TEXT_NAMES:
        yield Passage(1, (ROOT / path).read_text(encoding="utf-8"))


def of_module(source: str, *, strings: bool) -> Iterator[Passage]:
    """Comments (adjacent lines as one), docstrings, and on request every other string."""
    block: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if block and token.start[0] != block[-1].start[0] + 1:
                yield _comment(block)
                block = []
            block.append(token)
    if block:
        yield _comment(block)
    tree = ast.parse(source)
    docstrings = {id(node.body[0].value) for node in ast.walk(tree) if _has_docstring(node)}  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (strings or id(node) in docstrings):
            yield Passage(node.lineno, node.value)


def _comment(block: list[tokenize.TokenInfo]) -> Passage:
    return Passage(block[0].start[0], "\n".join(token.string.lstrip("# ") for token in block))


def _has_docstring(node: ast.AST) -> bool:
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None


def finds(path: str) -> Iterator[Find]:
    for passage in passages(path):
        for match in BANNED.finditer(passage.text):
            around = passage.text[max(0, match.start() - 40) : match.end() + 40].replace("\n", " ")
            line = passage.line + passage.text.count("\n", 0, match.start())
            yield Find(path, line, match[0], around)


def named(path: str) -> Iterator[Find]:
    """The names of a module that hold a banned word; each name once."""
    source = (ROOT / path).read_text(encoding="utf-8")
    names = {name: word for name in set(re.findall(r"\w+", source)) for word in parts(name) if word in BANNED_NAMES}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline) if names else ()
    for token in tokens:
        if token.type == tokenize.NAME and token.string in names.keys() - ALLOWED_NAMES.keys():
            yield Find(path, token.start[0], names.pop(token.string), token.string)


def parts(name: str) -> list[str]:
    """The words of a name: of ``NoSuchRow`` and ``no_such_row`` the same three."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]


def allowed(find: Find) -> bool:
    return any(find.path == path and piece in find.around for path, piece in ALLOWED)


def test_documents_help_comments_and_names_are_plain() -> None:
    found = [find for path in tracked() for find in finds(path) if not allowed(find)]
    found += [find for path in tracked() if path.endswith(".py") for find in named(path)]
    assert not found, "\n".join([*map(str, found), "", "PHRASES and NAMES of this module give the plain words."])


def test_every_allowed_use_still_occurs() -> None:
    for path, piece in ALLOWED:
        assert any(piece in find.around for find in finds(path)), f"{path} no longer needs {piece!r}"


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ('"""Kept for whoever comes."""', "whoever"),
        ("x = 1  # What is left", "What is"),
        ("x = 1\n# one line so\n# that what follows", "so that what"),
        ("def f():\n    '''Sends it\n    round again.'''", "Sends it round"),
        ("def f():\n    '''Returns what\n    is left.'''", "what is"),
        ("print('nobody')", "nobody"),
    ],
)
def test_comments_docstrings_and_strings_are_read(source: str, word: str) -> None:
    texts = [passage.text for passage in of_module(source, strings=True)]
    assert word in [" ".join(match[0].split()) for text in texts for match in BANNED.finditer(text)]


def test_a_question_and_plain_words_pass() -> None:
    for text in ("What is measured here, and by whom?", "a round trip", "it sent two requests", "the cells of a table"):
        assert not BANNED.search(text), text
