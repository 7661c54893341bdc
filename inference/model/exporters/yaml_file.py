"""Reads YAML files of a model folder without their types: every scalar is text, as the author wrote it.

YAML 1.1 turns the label ``no`` into false, ``0x1F`` into 31 and ``2020-01-01`` into a date; here they stay labels. The
file may be hostile: objects are never constructed, and size, depth and number of nodes are bounded. The tree is built
from PyYAML's events, because its own composer recurses, and the C one ends the process on deep nesting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from inference.errors import ModelError
from inference.model.file_errors import cannot_read

if TYPE_CHECKING:
    from pathlib import Path

_MAX_BYTES = 16 * 1024 * 1024  # ImageNet's 21,843 labels with their indices have 0.6 MB
_MAX_DEPTH = 32
_MAX_NODES = 1_000_000  # with everything that an alias repeats
# The C parser is twenty times as fast; wheels without it exist for some platforms.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def read_yaml(path: Path) -> Any:
    """Return the file's first document: dicts, lists and text. A null is the text that stands there, often empty.

    Raises:
        ModelError: The file cannot be read, is not YAML, or is nested deeper or larger than any model's.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(f"{path} has more than {_MAX_BYTES:,} bytes, so it states no model's configuration.")
        return parse_yaml(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise cannot_read(str(path), error) from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is not valid YAML in UTF-8.") from error
    except ValueError as error:
        raise ModelError(f"{path} {error}.") from error


def parse_yaml(text: str) -> Any:
    """Return the first document of the text.

    Raises:
        ValueError: The text is not YAML, or too deep or too large; the message completes "The file ...".
    """
    tree = _Tree()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.DocumentEndEvent):
                break
            tree.add(event)
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"is not valid YAML: {error.problem or error.context}{line}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError("is not valid YAML") from error
    return tree.root


class _Open(NamedTuple):
    """A list or mapping whose end has not come yet.

    Attributes:
        is_mapping: Then ``content`` is keys and values in turn.
        anchor: The name for aliases.
        content: The nodes in it.
        start: The number of nodes before it.
    """

    is_mapping: bool
    anchor: str | None
    content: list[Any]
    start: int


class _Tree:
    """Builds the tree from events, one by one. Every method raises ``ValueError`` for a tree that is no model's."""

    def __init__(self) -> None:
        self._stack = [_Open(is_mapping=False, anchor=None, content=[], start=0)]
        self._anchors: dict[str, tuple[Any, int]] = {}  # the node, and the number of nodes in it
        self._nodes = 0

    @property
    def root(self) -> Any:
        """The document, ``None`` if it is empty."""
        content = self._stack[0].content
        return content[0] if content else None

    def add(self, event: Any) -> None:
        """Add the node that an event begins or ends."""
        self._nodes += 1
        if isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            is_mapping = isinstance(event, yaml.MappingStartEvent)
            self._stack.append(_Open(is_mapping, event.anchor, [], self._nodes))
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = self._stack.pop()
            value = _mapping(closed.content) if closed.is_mapping else closed.content
            self._append(value, closed.anchor, self._nodes - closed.start)
        elif isinstance(event, yaml.ScalarEvent):
            self._append(event.value, event.anchor, 1)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise ValueError(f"refers to {event.anchor!r:.40}, which is not defined before")
            value, size = self._anchors[event.anchor]
            self._nodes += size
            self._append(value, None, size)
        if len(self._stack) > _MAX_DEPTH:
            raise ValueError(f"is nested deeper than {_MAX_DEPTH} levels")
        if self._nodes > _MAX_NODES:
            raise ValueError(f"has more than {_MAX_NODES:,} nodes")

    def _append(self, value: Any, anchor: str | None, size: int) -> None:
        self._stack[-1].content.append(value)
        if anchor:
            self._anchors[anchor] = value, size


def _mapping(content: list[Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in zip(content[::2], content[1::2], strict=True):
        name = key if isinstance(key, str) else ""
        if not name or name in result:
            raise ValueError(f"has the key {key!r:.40} twice" if name else "has a key that is no text")
        result[name] = value
    return result
