"""What Azure charges, and what others do: the figures of ``prices.json``, each with its source and its date.

None of them is asked for over the network. Prices differ by region and change, so each rate can be replaced by the
user's own.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILE = Path(__file__).with_name("prices.json")


@dataclass(frozen=True, slots=True)
class Rate:
    """One price: ``usd`` for ``per`` of ``unit``.

    Attributes:
        what: What is charged for.
        where: Region, as far as the source names one.
        dated: Of the source; ``undated copy`` where the stored copy has no date.
        source: Where it was read.
    """

    usd: float
    per: int
    unit: str
    what: str
    where: str
    dated: str
    source: str

    def cost(self, quantity: float) -> float:
        """Dollars for that many units."""
        return quantity * self.usd / self.per

    def __str__(self) -> str:
        """The price as people write it: ``$0.055 / 10,000``."""
        return f"${self.usd:.9f}".rstrip("0").rstrip(".") + (f" / {self.per:,}" if self.per > 1 else f" / {self.unit}")


@dataclass(frozen=True, slots=True)
class Grant:
    """What is free each month, in the units of the rate of the same name; ``None`` where no source says how much."""

    free: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Alternative:
    """What another service charges for a thousand images; ``None`` where no published price was found."""

    name: str
    usd_per_1000: float | None
    tiers: str
    dated: str | None
    source: str


@dataclass(frozen=True, slots=True)
class PriceList:
    """All of ``prices.json``."""

    rates: dict[str, Rate]
    grants: dict[str, Grant]
    alternatives: tuple[Alternative, ...]


def price_list(overrides: Sequence[str] = ()) -> PriceList:
    """Read the rates.

    Args:
        overrides: ``NAME=USD`` each, for the same quantity as the rate it replaces.

    Raises:
        ConfigurationError: An override names no rate, or no price.
    """
    stored = json.loads(_FILE.read_text())
    rates = {name: Rate(**fields) for name, fields in stored["rates"].items()}
    for override in overrides:
        name, _, text = override.partition("=")
        if name not in rates:
            raise ConfigurationError(f"--rate {override}: there is no rate {name!r}, only {', '.join(rates)}.")
        rates[name] = replace(
            rates[name], usd=_price(override, text), where="yours", dated="given by --rate", source="--rate"
        )
    return PriceList(
        rates,
        {name: Grant(**fields) for name, fields in stored["grants"].items()},
        tuple(Alternative(**fields) for fields in stored["alternatives"]),
    )


def _price(override: str, text: str) -> float:
    try:
        usd = float(text)
    except ValueError:
        usd = math.nan
    if not (math.isfinite(usd) and usd >= 0):
        raise ConfigurationError(f"--rate {override}: say a price in US dollars, as in --rate blob_write=0.05.")
    return usd
