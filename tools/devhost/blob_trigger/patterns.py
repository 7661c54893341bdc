"""Trigger paths: ``container/pattern`` with ``{captures}``, matched by the rules of the Functions host.

Each capture is a greedy ``.*``, both ends are anchored, everything else is literal and case counts. So
``incoming/{name}`` takes nested paths too, and ``{base}.{ext}`` splits at the last dot. Blob names are opaque here:
nothing is decoded, trimmed or normalised.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from inference.errors import ConfigurationError

_TOKEN = re.compile(r"(?P<open>\{\{)|(?P<close>\}\})|\{(?P<name>[^{}]*)\}|(?P<stray>[{}])|(?P<text>[^{}]+)")
# A dash or a dot is legal in other bindings' expressions ({rand-guid}, {data.url}), not in what a trigger captures.
_CAPTURE_NAME = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class PathPattern:
    """One trigger path.

    Attributes:
        text: As written, settings resolved.
        container: Name of the container it watches.
        captures: Names of the captures, in order; a name that occurs twice keeps its last value.
    """

    text: str
    container: str
    captures: tuple[str, ...]
    _blob: str | None
    _regex: re.Pattern[str] | None

    @classmethod
    def parse(cls, text: str) -> PathPattern:
        """Read ``container``, ``container/blob`` or ``container/pattern`` (settings already resolved).

        Raises:
            ConfigurationError: The real host would refuse this path while indexing.
        """
        container, slash, blob = text.partition("/")
        if not container or "{" in container or "}" in container or "\\" in container:
            raise ConfigurationError(f"the path {text!r} must begin with the plain name of a container.")
        if not slash:
            return cls(text, container, (), None, None)
        if not blob:
            raise ConfigurationError(f"the path {text!r} has nothing after its slash: name a blob, or drop the slash.")
        captures: list[str] = []
        regex, literal = "", ""
        for token in _TOKEN.finditer(blob):
            if token["stray"]:
                raise ConfigurationError(
                    f"the path {text!r} has a brace without its partner (a literal one is doubled)."
                )
            if token["name"] is not None:
                if not _CAPTURE_NAME.fullmatch(token["name"]):
                    raise ConfigurationError(f"the path {text!r} has a capture that is no name: {{{token['name']}}}.")
                captures.append(token["name"])
                regex += "(.*)"
                continue
            part = "{" if token["open"] else "}" if token["close"] else token["text"]
            literal += part
            regex += re.escape(part)
        if not captures:
            return cls(text, container, (), literal, None)
        return cls(text, container, tuple(captures), None, re.compile(f"^{re.escape(container)}/{regex}$"))

    def match(self, container: str, blob: str) -> dict[str, str] | None:
        """Return the captures (perhaps none: ``{}``), or ``None`` when the path does not match the blob."""
        if container.lower() != self.container.lower():
            return None
        if self._regex is None:
            return {} if self._blob is None or self._blob == blob else None
        found = self._regex.match(f"{container}/{blob}")
        return dict(zip(self.captures, found.groups(), strict=True)) if found else None
