"""Published prices from ``prices.json``, each with its source and date, and what a fresh upload is charged for."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILE = Path(__file__).with_name("prices.json")


@dataclass(frozen=True, slots=True)
class Rate:
    """One price: ``usd`` for ``per`` of ``unit``.

    Attributes:
        what: The service and the operation.
        where: The region, if the source names one.
        dated: The date of the source, or ``undated copy``.
        source: An address.
    """

    usd: float
    per: int
    unit: str
    what: str
    where: str
    dated: str
    source: str

    def cost(self, quantity: float) -> float:
        """Return US dollars for that many units."""
        return quantity * self.usd / self.per

    def __str__(self) -> str:
        """Return the price as ``$0.055 / 10,000``."""
        return f"${self.usd:.9f}".rstrip("0").rstrip(".") + (f" / {self.per:,}" if self.per > 1 else f" / {self.unit}")


@dataclass(frozen=True, slots=True)
class Request:
    """A kind of request that each fresh upload causes ``times`` times; ``by`` the app, the host or Event Grid."""

    by: str
    what: str
    rate: str
    times: int


@dataclass(frozen=True, slots=True)
class PriceList:
    """The content of ``prices.json``.

    A grant counts the units of the rate of the same name that are free each month; ``None`` if no source states it.
    Alternatives are other services; their price is ``None`` if no published one was found.

    The app's requests are those of ``storage.pipeline.classify_blob`` and ``storage.results.commit``; a test counts
    them. The host's are from its source (azure-sdk-for-net, Microsoft.Azure.WebJobs.Extensions.Storage.Blobs 5.x, Event
    Grid source). It writes no receipts there. A full poll receives five messages, so one receive per image is the most.
    """

    rates: dict[str, Rate]
    grants: dict[str, dict[str, Any]]
    alternatives: list[dict[str, Any]]
    fresh_upload: list[Request]


def price_list(overrides: Sequence[str] = ()) -> PriceList:
    """Read the prices.

    Args:
        overrides: ``NAME=USD`` each, for the same quantity as the rate that it replaces.

    Raises:
        ConfigurationError: An override has an unknown name or an invalid price.
    """
    stored = json.loads(_FILE.read_text(encoding="utf-8"))
    rates = {name: Rate(**fields) for name, fields in stored["rates"].items()}
    for override in overrides:
        name, _, text = override.partition("=")
        if name not in rates:
            raise ConfigurationError(f"--rate {override}: there is no rate {name!r}, only {', '.join(rates)}.")
        try:
            usd = float(text)
        except ValueError:
            usd = math.nan
        if not (math.isfinite(usd) and usd >= 0):
            raise ConfigurationError(f"--rate {override}: give a price in US dollars, as in --rate blob_write=0.05.")
        rates[name] = replace(rates[name], usd=usd, where="your own", dated="given by --rate", source="--rate")
    requests = [Request(**fields) for fields in stored["fresh_upload"]]
    return PriceList(rates, stored["grants"], stored["alternatives"], requests)
