"""subscribe.ps1 does what subscribe.sh does. No PowerShell can be installed from our registries, so it has never run:
it is parsed, and held line by line against the one that is tested: the same comments, sentences, requests and document.
"""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
import tree_sitter
import tree_sitter_powershell

from tests.infra.bicep import INFRA, text, walk

HOOKS = INFRA / "hooks"
SH = (HOOKS / "subscribe.sh").read_text(encoding="utf-8").splitlines()
PS1 = (HOOKS / "subscribe.ps1").read_text(encoding="utf-8").splitlines()
PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))


def plain(line: str) -> str:
    """A line without what only one of the languages needs around a name."""
    line = re.sub(r"\$\{env:(\w+)\}|\$env:(\w+)|\$\{(\w+)\}", lambda name: f"${name[1] or name[2] or name[3]}", line)
    return line.replace("$script:", "$")


def sentences(line: str) -> list[str]:
    """The texts that a line prints."""
    texts = re.findall(r"\b(?:say|stop|wait_or_stop) (\"[^\"]*\"|'[^']*')", plain(line))
    # A function's own argument has another name in each, and so has "if there is one" (in wait_or_stop).
    return [re.sub(r"\$1|\$text", "$text", re.sub(r"(\$again)\$[({].*", r"\1", sentence[1:-1])) for sentence in texts]


def request(line: str) -> str | None:
    """The request that a line sends with the Azure CLI."""
    asked = re.search(r"\bask ((?:account|functionapp|rest) .*?)(?:;|\)+ \{|\)$|$)", plain(line))
    return asked[1].replace('"', "").rstrip(")") if asked else None


def document(lines: list[str]) -> list[str]:
    begin = lines.index("{")
    return [plain(line) for line in lines[begin : lines.index("}", begin) + 1]]


@pytest.mark.parametrize("path", sorted(HOOKS.glob("*.ps1")), ids=lambda path: path.name)
def test_it_parses_whole(path: object) -> None:
    root = PARSER.parse((HOOKS / str(path)).read_bytes()).root_node
    assert [text(node) for node in walk(root) if node.type == "ERROR" or node.is_missing] == []


def test_they_are_as_long_but_for_the_end_of_try() -> None:
    assert [line.startswith("} finally {") for line in PS1].index(True) == len(SH) == len(PS1) - 1


def test_each_line_says_asks_and_explains_the_same() -> None:
    checked = 0
    for number, (sh, ps1) in enumerate(zip(SH, PS1, strict=False), 1):
        assert sentences(sh) == sentences(ps1), f"line {number}"
        assert request(sh) == request(ps1), f"line {number}"
        if sh.startswith("# "):
            assert sh == ps1, f"line {number}"
        checked += len(sentences(sh)) + (request(sh) is not None)
    assert checked == 18, "the patterns above find less, or the scripts print more"


def test_they_send_the_same_document() -> None:
    assert document(SH) == document(PS1)


def test_they_need_the_same_from_azd() -> None:
    (sh,) = [line for line in SH if line.startswith("for name in ")]
    (ps1,) = [line for line in PS1 if line.startswith("foreach ($name in ")]
    assert re.findall(r"[A-Z][A-Z_]+", sh) == re.findall(r"[A-Z][A-Z_]+", ps1)


def test_they_know_the_same_ends() -> None:
    patterns = [re.findall(r"\*'?\"?([\w'. ]+?)['\"]?\*", line) for line in SH if line.lstrip().startswith("*")]
    for known in patterns:
        assert any(all(f"*{each}*" in line for each in known) for line in PS1), known
    assert len(patterns) == 3


def test_they_set_the_same_names_in_the_same_order() -> None:
    sh = [found[1] for line in SH if (found := re.match(r"([a-z_]+)=", line))]
    ps1 = [found[1] for line in PS1 if (found := re.match(r"\$([a-z_]+) = ", line))]
    assert sh == ps1
    assert all(first != second for first, second in pairwise(sh))
