"""Reads Bicep files from their parse tree, because PyPI, npm and Debian offer no Bicep compiler.

Values become Python's: objects are dicts, arrays lists, plain strings ``str``, numbers ``int``, booleans ``bool``.
Computed values stay as they are written, as an ``Expression``; ``evaluate`` resolves the simple ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tree_sitter
import tree_sitter_bicep

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent.parent
INFRA = ROOT / "infra"
FILES = sorted(INFRA.rglob("*.bicep"))
_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))


class Expression(str):
    """Source text of an expression."""

    __slots__ = ()


@dataclass(frozen=True)
class Resource:
    """One ``resource``; ``body`` is the object inside its condition or loop."""

    symbol: str
    type: str
    api_version: str
    existing: bool
    body: dict[str, Any]
    comment: str


@dataclass(frozen=True)
class Module:
    """One ``module``."""

    symbol: str
    path: Path
    params: dict[str, Any]
    body: dict[str, Any]


@dataclass(frozen=True)
class File:
    """One file. ``params`` maps each parameter to its default, or ``None``."""

    path: Path
    root: tree_sitter.Node
    params: dict[str, Any]
    variables: dict[str, Any]
    resources: dict[str, Resource]
    modules: dict[str, Module]
    outputs: dict[str, Any]

    def only(self, type_: str) -> Resource:
        """Return the only resource of a type in this file."""
        (found,) = [each for each in self.resources.values() if each.type == type_ and not each.existing]
        return found


@cache
def read(path: Path) -> File:
    root = _PARSER.parse(path.read_bytes()).root_node
    file = File(path, root, {}, {}, {}, {}, {})
    for node in walk(root):
        names = [child for child in node.named_children if child.type != "comment"]
        if node.type == "parameter_declaration":
            file.params[text(names[0])] = (
                value(names[-1]) if any(child.type == "=" for child in node.children) else None
            )
        elif node.type == "variable_declaration":
            file.variables[text(names[0])] = value(names[-1])
        elif node.type == "output_declaration":
            file.outputs[text(names[0])] = value(names[-1])
        elif node.type == "resource_declaration":
            type_, _, version = _string(names[1]).partition("@")
            file.resources[text(names[0])] = Resource(
                text(names[0]),
                type_,
                version,
                any(child.type == "existing" for child in node.children),
                _body(names[-1]),
                _comment_above(node),
            )
        elif node.type == "module_declaration":
            body = _body(names[-1])
            target = (path.parent / _string(names[1])).resolve()
            file.modules[text(names[0])] = Module(text(names[0]), target, body.get("params", {}), body)
    return file


def walk(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    yield node
    for child in node.children:
        yield from walk(child)


def text(node: tree_sitter.Node) -> str:
    assert node.text is not None
    return node.text.decode()


def value(node: tree_sitter.Node) -> Any:
    match node.type:
        case "object":
            pairs = [child for child in node.named_children if child.type == "object_property"]
            split = [[part for part in pair.named_children if part.type != "comment"] for pair in pairs]
            return {_key(parts[0]): value(parts[-1]) for parts in split if len(parts) > 1}
        case "array":
            return [value(child) for child in node.named_children if child.type != "comment"]
        case "string" if not any(child.type == "interpolation" for child in node.named_children):
            return _string(node)
        case "number":
            return int(text(node))
        case "boolean":
            return text(node) == "true"
        case _:
            return Expression(text(node))


def evaluate(written: Any, known: dict[str, Any]) -> Any:
    """Resolve a symbol, an interpolated string or ``string(symbol)``; return any other value unchanged."""
    if not isinstance(written, Expression):
        return written
    if called := re.fullmatch(r"string\((\w+)\)", written):
        return str(known[called[1]])
    if written.startswith("'"):
        return re.sub(r"\$\{(\w+)\}", lambda found: str(known[found[1]]), written[1:-1])
    return known.get(written, written)


def leaves(written: Any) -> Iterator[Any]:
    """Yield every scalar in a value, keys included."""
    if isinstance(written, dict):
        for name, inner in written.items():
            yield name
            yield from leaves(inner)
    elif isinstance(written, list):
        for inner in written:
            yield from leaves(inner)
    else:
        yield written


def _key(node: tree_sitter.Node) -> str:
    return text(node).strip("'")


def _string(node: tree_sitter.Node) -> str:
    return "".join(
        text(child).removeprefix("\\") if child.type == "escape_sequence" else text(child)
        for child in node.named_children
    )


def _body(node: tree_sitter.Node) -> dict[str, Any]:
    while node.type != "object":  # the condition, or the loop, comes first
        node = node.named_children[-1]
    found = value(node)
    assert isinstance(found, dict)
    return found


def _comment_above(node: tree_sitter.Node) -> str:
    lines: list[str] = []
    above = node.prev_sibling
    row = node.start_point.row
    while above is not None and above.type == "comment" and above.end_point.row == row - 1:
        lines.insert(0, text(above).removeprefix("//").strip())
        row, above = above.start_point.row, above.prev_sibling
    return " ".join(lines)
