"""subscribe.ps1 equals subscribe.sh line by line: the same comments, messages, requests and document.

``test_subscribe`` runs both where PowerShell is installed, as on the runners of GitHub. Elsewhere subscribe.ps1 is
only parsed and compared here with the tested script.
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
    """Return a line without the syntax that only one of the languages needs around a name."""
    line = re.sub(r"\$\{env:(\w+)\}|\$env:(\w+)|\$\{(\w+)\}", lambda name: f"${name[1] or name[2] or name[3]}", line)
    return line.replace("$script:", "$")


def sentences(line: str) -> list[str]:
    """Return the texts that a line prints."""
    texts = re.findall(r"\b(?:report|stop|wait_or_stop) (\"[^\"]*\"|'[^']*')", plain(line))
    # A function's argument has a different name in each language, and so has "if there is one" (in wait_or_stop).
    return [re.sub(r"\$1|\$text", "$text", re.sub(r"(\$again)\$[({].*", r"\1", sentence[1:-1])) for sentence in texts]


def request(line: str) -> str | None:
    """Return the request that a line sends with the Azure CLI."""
    asked = re.search(r"\bask ((?:account|functionapp|rest) .*?)(?:;|\)+ \{|\)$|$)", plain(line))
    return asked[1].replace('"', "").rstrip(")") if asked else None


def document(lines: list[str]) -> list[str]:
    begin = lines.index("{")
    return [plain(line) for line in lines[begin : lines.index("}", begin) + 1]]


@pytest.mark.parametrize("path", sorted(HOOKS.glob("*.ps1")), ids=lambda path: path.name)
def test_it_parses_completely(path: object) -> None:
    root = PARSER.parse((HOOKS / str(path)).read_bytes()).root_node
    assert [text(node) for node in walk(root) if node.type == "ERROR" or node.is_missing] == []


def test_they_have_the_same_length_except_for_the_end_of_try() -> None:
    assert [line.startswith("} catch {") for line in PS1].index(True) == len(SH) == len(PS1) - 1


def test_each_line_has_the_same_messages_and_calls() -> None:
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


def test_they_have_the_same_exit_codes() -> None:
    patterns = [re.findall(r"\*'?\"?([\w'. ]+?)['\"]?\*", line) for line in SH if line.lstrip().startswith("*")]
    for known in patterns:
        assert any(all(f"*{each}*" in line for each in known) for line in PS1), known
    assert len(patterns) == 3


def test_they_set_the_same_names_in_the_same_order() -> None:
    sh = [found[1] for line in SH if (found := re.match(r"([a-z_]+)=", line))]
    ps1 = [found[1] for line in PS1 if (found := re.match(r"\$([a-z_]+) = ", line))]
    assert sh == ps1
    assert all(first != second for first, second in pairwise(sh))
