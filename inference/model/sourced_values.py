"""Collects a model's configuration from several files, each value with the file and key that state it.

The first source that states a value wins, so the order in which the readers run is the order of trust.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference.errors import ModelError
from inference.model_spec import SourcedValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


class SourcedValues:
    """Values by their key in ``model.json`` (``input.color_order``). Not thread-safe."""

    def __init__(self) -> None:
        self._values: dict[str, SourcedValue] = {}
        self._searched: list[str] = []
        self._missing: dict[str, str] = {}

    def add(self, key: str, value: Any, source: str) -> None:
        """Add a value, unless an earlier source has stated the key or the value is ``None``."""
        if value is not None:
            self._values.setdefault(key, SourcedValue(value, source))

    def add_normalization(self, scale: Any, mean: Any, std: Any, source: str) -> None:
        """Add scale, mean and std. They belong to one formula, so they are never mixed from two sources."""
        if not {"input.scale", "input.mean", "input.std"} & self._values.keys():
            self.add("input.scale", scale, source)
            self.add("input.mean", mean, source)
            self.add("input.std", std, source)

    def add_resize(  # noqa: PLR0913 - the numbers of one resize
        self,
        resize: str,
        source: str,
        *,
        shortest_side: Any = None,
        crop_pct: Any = None,
        pad_color: Any = None,
        crop_rounding: Any = None,
        resize_rounding: Any = None,
    ) -> None:
        """Add a resize mode with its numbers. They are never mixed with another source's mode."""
        if "input.resize" not in self._values:
            self.add("input.resize", resize, source)
            if not {"input.shortest_side", "input.crop_pct"} & self._values.keys():
                self.add("input.shortest_side", shortest_side, source)
                self.add("input.crop_pct", crop_pct, source)
            self.add("input.pad_color", pad_color, source)
            self.add("input.crop_rounding", crop_rounding, source)
            self.add("input.resize_rounding", resize_rounding, source)

    def ask(self, key: str, choices: str = "") -> None:
        """Remember that the author must state this key. Loading goes on, so that one refusal lists all of them.

        Args:
            key: The key in ``model.json``.
            choices: The allowed values in words, where they depend on the model; by default those of the key. The first
                that are given stay.
        """
        if not self._missing.get(key):
            self._missing[key] = choices

    def ask_normalization(self, choices: str = "") -> None:
        """Ask for those of scale, mean and std that no source states: they are one formula.

        Args:
            choices: Everything known of the scale, in words.
        """
        for key in ("input.scale", "input.mean", "input.std"):
            if key not in self._values:
                self.ask(key, choices if key == "input.scale" else "")

    @property
    def missing(self) -> Mapping[str, str]:
        """The keys that the author must state, each with its choices in words (may be empty)."""
        return self._missing

    def search(self, folder: Path, *names: str) -> bool:
        """Return whether one of these files is in the folder, and remember that they were looked for."""
        for name in names:
            self.add_searched(name)
        return any((folder / name).is_file() for name in names)

    def add_searched(self, place: str) -> None:
        """Remember a place that was searched, for the text of a refusal."""
        if place not in self._searched:
            self._searched.append(place)

    @property
    def searched(self) -> str:
        """The places that were searched, as words for a sentence."""
        return ", ".join(self._searched)

    def get(self, key: str) -> SourcedValue | None:
        """Return the value with its source, or ``None``."""
        return self._values.get(key)

    def value(self, key: str) -> Any:
        """Return the value, or ``None``."""
        found = self._values.get(key)
        return None if found is None else found.value

    def source(self, key: str) -> str:
        """Return the source of a value that is known to be present."""
        return self._values[key].source

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[tuple[str, SourcedValue]]:
        return iter(sorted(self._values.items()))

    def checked(self, key: str, check: Callable[[Any], Any]) -> Any:
        """Return the value after ``check``, or ``None`` when no source states it.

        Raises:
            ModelError: ``check`` raised ``ValueError``. The message has the source, its value and the expected value.
        """
        found = self._values.get(key)
        if found is None:
            return None
        try:
            return check(found.value)
        except ValueError as error:
            raise ModelError(f"{found.source} is {found.value!r:.80}, but {key} must be {error}.") from error
