"""What a model folder says about itself, one fact at a time, each with the file and key it came from.

The first source to state a fact wins, so the order in which the readers are asked is the order of trust.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is known about a model.

    Attributes:
        value: The fact, already in the vocabulary of ``model.json``.
        source: File and key that state it, such as ``preprocessor_config.json: image_mean``.
    """

    value: Any
    source: str


class Facts:
    """Facts by their key in ``model.json`` (``input.color_order``), first statement wins. Not thread-safe."""

    def __init__(self) -> None:
        self._facts: dict[str, Fact] = {}
        self._looked: list[str] = []

    def state(self, key: str, value: Any, source: str) -> None:
        """Add a fact unless a more trusted source has stated it, or there is nothing to state (``None``)."""
        if value is not None:
            self._facts.setdefault(key, Fact(value, source))

    def state_normalisation(self, scale: Any, mean: Any, std: Any, source: str) -> None:
        """Add scale, mean and std: three numbers of one formula, so never mixed from two sources."""
        if not {"input.scale", "input.mean", "input.std"} & self._facts.keys():
            self.state("input.scale", scale, source)
            self.state("input.mean", mean, source)
            self.state("input.std", std, source)

    def state_geometry(
        self, resize: str, source: str, *, shortest_side: Any = None, crop_pct: Any = None, pad_color: Any = None
    ) -> None:
        """Add how an image is fitted, with the numbers that belong to that way and to no other."""
        if "input.resize" not in self._facts:
            self.state("input.resize", resize, source)
            if not {"input.shortest_side", "input.crop_pct"} & self._facts.keys():
                self.state("input.shortest_side", shortest_side, source)
                self.state("input.crop_pct", crop_pct, source)
            self.state("input.pad_color", pad_color, source)

    def looked_in(self, place: str) -> None:
        """Remember a place that was read, so that a refusal can say where we looked."""
        if place not in self._looked:
            self._looked.append(place)

    @property
    def looked(self) -> str:
        """The places that were read, as words for a sentence."""
        return ", ".join(self._looked)

    def get(self, key: str) -> Fact | None:
        """Return the fact with its source, or ``None``."""
        return self._facts.get(key)

    def value(self, key: str) -> Any:
        """Return the fact's value, or ``None``."""
        fact = self._facts.get(key)
        return None if fact is None else fact.value

    def source(self, key: str) -> str:
        """Return who states the fact; for a fact that is known to be there."""
        return self._facts[key].source

    def __iter__(self) -> Iterator[tuple[str, Fact]]:
        return iter(sorted(self._facts.items()))

    def checked(self, key: str, check: Callable[[Any], Any]) -> Any:
        """Return the fact's value through ``check``, or ``None`` when nobody states it.

        Raises:
            ModelError: ``check`` raised ``ValueError``; the sentence names the source, what it says and what is wanted.
        """
        fact = self._facts.get(key)
        if fact is None:
            return None
        try:
            return check(fact.value)
        except ValueError as error:
            raise ModelError(f"{fact.source} is {fact.value!r:.80}, but {key} must be {error}.") from error
