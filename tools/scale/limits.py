"""The simulation's inputs: what Azure publishes, what is measured here, and what nobody publishes and is assumed.

Each attribute's comment says which of the three it is. ``docs/scale.md`` has the table with the sources.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests per second that storage and Event Grid take; beyond it storage answers 503 and Event Grid waits."""

    queue_per_s: float = 2000  # published: messages/s of one queue; read here as put, receive and delete each counting
    partition_per_s: float = 2000  # published: entities/s of one table partition
    tables_per_s: float = 20_000  # published: entities/s of one account
    account_per_s: float = 20_000  # published: requests/s of one account; 40,000 in the large regions
    egress_gbit_per_s: float = 50  # published: of one account; 200 in the large regions
    events_per_s: float = 5000  # published for custom topics; nothing for system topics, so assumed the same
    burst_s: float = 0.2  # assumed: how much of a second's quota may come at once


@dataclass(frozen=True, slots=True)
class Image:
    """What one image takes."""

    cpu_s: float = 0.0172  # measured: decoding and inference, 2 MP, mobilenetv2-12-qdq
    client_cpu_s: float = 0.015  # measured: the app's six requests
    cpu_variation: float = 0.25  # assumed: standard deviation of the logarithm; photos differ
    photo_bytes: int = 640_000  # measured: 2 MP at 2.5 bits per pixel
    request_s: float = 0.010  # assumed: one request within a region


@dataclass(frozen=True, slots=True)
class Fleet:
    """Instances, and how more of them come."""

    instances: int = 1  # there from the start
    most: int = 1  # up to here the platform adds
    cores: float = 1.0  # published: 2048 MB
    threads: int = 5  # the worker's pool: CPUs + 4
    held: int = 8  # host.json: blobs.maxDegreeOfParallelism; images in an instance's hands
    batch: int = 5  # the extension: messages per receive
    refill: int = 3  # the extension: receives again at so many in hand
    step: int = 4  # published (target-based scaling): instances at a time
    every_s: float = 30.0  # published (non-HTTP triggers): at most this often
    cold_start_s: float = 5.0  # assumed: package, host, worker; this app's own share is 0.4 s (measured)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the load is spread over what is limited."""

    queues: int = 1  # function apps, each with an internal queue of its own
    folders: int = 100  # partitions of the main table that are hit evenly
    labels: int = 10  # partitions of the index by label, hit evenly
    day_partitions: int = 1  # partitions of the index by status and day: all of a day's images are in one
    accounts: int = 1  # image accounts; each multiplies all of its limits


@dataclass(frozen=True, slots=True)
class Patience:
    """Who tries again, and when. From the code: ``storage/clients.py``, ``host.json``, ``RETRY_DELAYS_SECONDS``."""

    sdk_s: tuple[float, ...] = (1.0, 3.0, 5.0)  # the app's SDK: three more tries
    deliveries: int = 5  # host.json: blobs.poisonBlobThreshold, each at once
    delayed_s: tuple[float, ...] = (60, 300, 900, 1800, 3600)
    host_sdk_s: tuple[float, ...] = (0.8, 1.6, 3.2)  # assumed: the host's own SDK (Azure.Core's default)
    event_grid_s: tuple[float, ...] = (10, 30, 60, 300, 600, 1800, 3600)  # published: push delivery
    event_wait_s: float = 30.0  # published: Event Grid waits for an answer
    lost_message_s: float = 600.0  # the extension: a message that could not be deleted comes back
    first_poll_s: float = 0.1  # the extension: an empty queue is asked again, ever later
    last_poll_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Setup:
    """All that is put into a simulation."""

    image: Image = field(default_factory=Image)
    fleet: Fleet = field(default_factory=Fleet)
    layout: Layout = field(default_factory=Layout)
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)
