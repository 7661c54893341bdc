"""The estimate: the cost of classifying a number of images, line by line.

Flex Consumption on demand bills the memory of an instance while at least one execution is active on it (two at the same
time are billed once), and each execution. An active period is at least one second, rounded up to a tenth. So the cost
depends on how images arrive, and the estimate gives both ends:

    active seconds per image   many at once    max(CPU seconds / cores, seconds of one image / images at once)
                               one at a time   seconds of one image, at least 1, rounded up to 0.1
    GB-s                       active seconds * instance memory / 1024
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tools.cost.prices import PriceList

# Cores by instance memory in MB: "typical allocations", page of 2025-05-12,
# https://learn.microsoft.com/azure/azure-functions/flex-consumption-plan
CORES = {512: 0.25, 2048: 1.0, 4096: 2.0}


_MESSAGES = 8  # images that an instance receives at once: host.json, blobs.maxDegreeOfParallelism
_EXTRA_THREADS = 4  # the worker's pool is the standard library's: CPUs + 4
_MIN_ACTIVE_S, _ACTIVE_STEP_S = 1.0, 0.1
_APP_REQUESTS = 6

# CPU seconds of the worker for the app's six requests: 0.013 to 0.017 on the development machine, against Azurite
# without TLS (commit 25ec77d); two to four times as much while other programs used the machine.
CLIENT_CPU_S = 0.015
# CPU seconds of the host for one image when .NET has compiled its code: 0.005 to 0.007 with Event Grid, rounded up;
# with polling 0.008 to 0.012. A new instance compiles in its first few hundred images: about 5 s more in all.
# Measured with Microsoft's trigger extensions (Extensions.Storage.Blobs 5.3.10) in one program on two shared cores,
# Azurite without TLS; `python -m tools bench --only host` measures it on this machine.
HOST_CPU_S = 0.008
# Duration of one small request within a region. An assumption.
REQUEST_S = 0.010
# Bytes that Application Insights stores per image: our line (260 bytes, measured), and the columns of that line, of the
# host's request and of its two lines, assumed as 700 bytes each. Sampling reduces them.
LOG_BYTES = 260 + 4 * 700


@dataclass(frozen=True, slots=True)
class Job:
    """The work to estimate.

    Attributes:
        images: Number of fresh uploads.
        cpu_s: Decoding and inference of one image, CPU seconds of this machine.
        memory_mb: Instance size, a key of ``CORES``.
        cpu_factor: Duration on a core of Azure, relative to one of this machine.
        client_cpu_s: CPU seconds of the requests of one image, of this machine.
        host_cpu_s: CPU seconds of the Functions host for one image, of this machine.
        request_s: Duration of one request.
        log_bytes: Ingested per image.
    """

    images: int
    cpu_s: float
    memory_mb: int = 2048
    cpu_factor: float = 1.0
    client_cpu_s: float = CLIENT_CPU_S
    host_cpu_s: float = HOST_CPU_S
    request_s: float = REQUEST_S
    log_bytes: int = LOG_BYTES

    @property
    def cores(self) -> float:
        """Cores of the instance."""
        return CORES[self.memory_mb]

    @property
    def at_once(self) -> int:
        """Images that an instance works on at the same time."""
        return min(_MESSAGES, math.ceil(self.cores) + _EXTRA_THREADS)

    @property
    def azure_cpu_s(self) -> float:
        """CPU seconds of one image on a core of Azure, with its requests and the host's share."""
        return (self.cpu_s + self.client_cpu_s + self.host_cpu_s) * self.cpu_factor

    @property
    def image_s(self) -> float:
        """Duration of one image without others beside it."""
        return self.azure_cpu_s / min(self.cores, 1.0) + _APP_REQUESTS * self.request_s

    @property
    def busy_s(self) -> float:
        """Active seconds per image of an instance that always has enough work."""
        return max(self.azure_cpu_s / self.cores, self.image_s / self.at_once)

    @property
    def alone_s(self) -> float:
        """Billed seconds per image if each finds the instance idle."""
        return max(_MIN_ACTIVE_S, math.ceil(round(self.image_s / _ACTIVE_STEP_S, 6)) * _ACTIVE_STEP_S)

    def gb_seconds(self, active_s: float) -> float:
        """GB-s of all images at that many active seconds each."""
        return self.images * active_s * self.memory_mb / 1024


class Line(NamedTuple):
    """One line of a bill; ``rate`` is the name of its rate."""

    by: str
    what: str
    quantity: float
    rate: str
    usd: float


@dataclass(frozen=True, slots=True)
class Bill:
    """The cost of a job in US dollars.

    Attributes:
        job: The work.
        lines: If images arrive many at once, before free grants.
        alone_more_usd: In addition, if they arrive one at a time.
        granted_usd: The part that a month's free grants cover, as far as they are known.
    """

    job: Job
    lines: tuple[Line, ...]
    alone_more_usd: float
    granted_usd: float

    @property
    def usd(self) -> float:
        """The sum of the lines."""
        return sum(line.usd for line in self.lines)

    @property
    def functions_usd(self) -> float:
        """The lines of Functions alone."""
        return sum(line.usd for line in self.lines if line.by == "Functions")

    @property
    def usd_per_1000(self) -> float:
        """The sum of the lines for a thousand images."""
        return self.usd / self.job.images * 1000


def bill(job: Job, prices: PriceList) -> Bill:
    """Price a job."""
    rates = prices.rates

    def line(by: str, what: str, quantity: float, rate: str) -> Line:
        return Line(by, what, quantity, rate, rates[rate].cost(quantity))

    lines = (
        line("Functions", "execution time", job.gb_seconds(job.busy_s), "flex_gb_second"),
        line("Functions", "executions", job.images, "flex_execution"),
        *(line(each.by, each.what, each.times * job.images, each.rate) for each in prices.fresh_upload),
        line("logs", "Application Insights", job.images * job.log_bytes / 1e9, "logs_gb"),
    )
    alone = rates["flex_gb_second"].cost(job.gb_seconds(job.alone_s) - job.gb_seconds(job.busy_s))
    granted = sum(
        rates[name].cost(min(grant["free"] or 0, sum(line.quantity for line in lines if line.rate == name)))
        for name, grant in prices.grants.items()
    )
    return Bill(job, lines, alone, granted)
