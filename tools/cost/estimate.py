"""The sum: what it costs to classify that many images, line by line.

Flex Consumption on demand bills an instance's memory for as long as at least one execution is under way on it (two at
once are billed once), and each execution. An active period is at least a second and rounded up to a tenth. So a busy
app and one whose images come one by one pay differently, and both ends are given:

    active seconds per image   busy    max(CPU seconds / cores, time one image takes / images at once)
                               alone   time one image takes, at least 1, rounded up to 0.1
    GB-s                       active seconds * instance memory / 1024
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tools.cost.requests import FRESH_UPLOAD

if TYPE_CHECKING:
    from tools.cost.prices import PriceList

# Cores by instance memory in MB: "typical allocations", page of 2025-05-12,
# https://learn.microsoft.com/azure/azure-functions/flex-consumption-plan
CORES = {512: 0.25, 2048: 1.0, 4096: 2.0}

_HELD = 8  # images in an instance's hands: host.json, blobs.maxDegreeOfParallelism
_MORE_THREADS = 4  # the worker's pool is the standard library's: CPUs + 4
_LEAST_ACTIVE_S, _ACTIVE_STEP_S = 1.0, 0.1
_APP_REQUESTS = sum(request.times for request in FRESH_UPLOAD if request.by == "app")

# What the app's six requests cost the worker on top of decoding, in CPU seconds: 0.013 to 0.017 on the development
# machine against Azurite without TLS (`python -m tools.scale calibrate`; two to four times that on a crowded machine).
CLIENT_CPU_S = 0.015
# One small request within a region. An assumption: there is no Azure here to measure.
REQUEST_S = 0.010
# What Application Insights stores per image: our line (260 bytes, measured) and the host's request and two lines, with
# the columns that each of the four carries. An assumption of about 700 bytes each; sampling makes it less.
LOG_BYTES = 260 + 4 * 700


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be paid for.

    Attributes:
        images: How many fresh uploads.
        cpu_s: Decoding and inference of one, CPU seconds of this machine.
        memory_mb: Instance size, a key of ``CORES``.
        cpu_factor: How many times longer a core of Azure takes than one of this machine.
        client_cpu_s: CPU seconds of the requests of one image, of this machine.
        request_s: How long one request takes.
        log_bytes: Ingested per image.
    """

    images: int
    cpu_s: float
    memory_mb: int = 2048
    cpu_factor: float = 1.0
    client_cpu_s: float = CLIENT_CPU_S
    request_s: float = REQUEST_S
    log_bytes: int = LOG_BYTES

    @property
    def cores(self) -> float:
        """Of the instance."""
        return CORES[self.memory_mb]

    @property
    def at_once(self) -> int:
        """How many images an instance works on at once."""
        return min(_HELD, math.ceil(self.cores) + _MORE_THREADS)

    @property
    def azure_cpu_s(self) -> float:
        """CPU seconds of one image, requests included, on a core of Azure."""
        return (self.cpu_s + self.client_cpu_s) * self.cpu_factor

    @property
    def image_s(self) -> float:
        """How long one image takes when it is alone."""
        return self.azure_cpu_s / min(self.cores, 1.0) + _APP_REQUESTS * self.request_s

    @property
    def busy_s(self) -> float:
        """Active seconds per image of an instance that always has enough to do."""
        return max(self.azure_cpu_s / self.cores, self.image_s / self.at_once)

    @property
    def alone_s(self) -> float:
        """Billed seconds per image when each comes to an idle instance."""
        return max(_LEAST_ACTIVE_S, math.ceil(round(self.image_s / _ACTIVE_STEP_S, 6)) * _ACTIVE_STEP_S)

    def gb_seconds(self, active_s: float) -> float:
        """GB-s of all images at that many active seconds each."""
        return self.images * active_s * self.memory_mb / 1024


class Line(NamedTuple):
    """One line of the bill. ``rate`` is the name of its rate."""

    by: str
    what: str
    quantity: float
    rate: str
    usd: float


@dataclass(frozen=True, slots=True)
class Bill:
    """A job's lines for a busy app, and what other circumstances change."""

    lines: tuple[Line, ...]
    alone_more_usd: float
    granted_usd: float

    @property
    def usd(self) -> float:
        """For a busy app, nothing granted."""
        return sum(line.usd for line in self.lines)

    @property
    def functions_usd(self) -> float:
        """What the function app itself costs of it."""
        return sum(line.usd for line in self.lines if line.by == "Functions")

    @property
    def usd_per_1000(self) -> float:
        """The same for a thousand images."""
        executions = next(line for line in self.lines if line.rate == "flex_execution")
        return self.usd / executions.quantity * 1000


def bill(job: Job, prices: PriceList) -> Bill:
    """Price a job."""
    rates = prices.rates

    def line(by: str, what: str, quantity: float, rate: str) -> Line:
        return Line(by, what, quantity, rate, rates[rate].cost(quantity))

    lines = (
        line("Functions", "execution time", job.gb_seconds(job.busy_s), "flex_gb_second"),
        line("Functions", "executions", job.images, "flex_execution"),
        *(line(request.by, request.what, request.times * job.images, request.rate) for request in FRESH_UPLOAD),
        line("logs", "Application Insights", job.images * job.log_bytes / 1e9, "logs_gb"),
    )
    alone = rates["flex_gb_second"].cost(job.gb_seconds(job.alone_s) - job.gb_seconds(job.busy_s))
    granted = sum(
        rates[name].cost(min(grant.free or 0, sum(line.quantity for line in lines if line.rate == name)))
        for name, grant in prices.grants.items()
    )
    return Bill(lines, alone, granted)
