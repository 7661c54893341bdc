"""The simulation: from an upload through Event Grid and the queue to the row, with everyone who tries again.

    upload -> Event Grid (delays what is too much) -> webhook -> internal queue (refuses what is too much)
           -> an instance: HEAD, row, blob, CPU, sidecar, two index rows, row -> message deleted

Deterministic: one seed, one course of events. What it leaves out is said in ``docs/scale.md``.
"""

from __future__ import annotations

import math
import random
from functools import partial
from typing import TYPE_CHECKING, Any

import simpy

from tools.scale.instance import Instance, Machine
from tools.scale.journal import Journal
from tools.scale.limits import Setup
from tools.scale.messages import Message, Queue
from tools.scale.meter import Lane
from tools.scale.storage import Storage, admitted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    Steps = Generator[simpy.Event, Any, Any]

_EVENT_LATENCY_S = 0.3  # assumed: the median; Event Grid publishes "near real time"
_EVENT_SPREAD = 0.5  # assumed: standard deviation of the logarithm


class Simulation:
    """One run.

    Args:
        arrivals: When images are uploaded, in seconds, ascending.
        setup: The inputs.
        seed: Of everything that varies.
        machine: Makes an instance's cores; a test or a validation puts in its own.
    """

    def __init__(
        self,
        arrivals: Iterable[float],
        setup: Setup | None = None,
        *,
        seed: int = 1,
        machine: Callable[[simpy.Environment, float], Machine] = Machine,
    ) -> None:
        setup = setup or Setup()
        self.env = simpy.Environment()
        self.rng = random.Random(seed)
        self.image, self.fleet, self.layout, self.patience = setup.image, setup.fleet, setup.layout, setup.patience
        limits = setup.limits
        self.journal = Journal()
        self.storage = Storage(limits, self.layout)
        self.queues = [Queue(meter) for meter in self.storage.queues]
        self.instances: list[Instance] = []
        self._starting = 0
        self._machine = machine
        self._events = Lane(limits.events_per_s * self.layout.accounts)
        for _ in range(self.fleet.instances):
            self._start_instance()
        if self.fleet.most > self.fleet.instances:
            self.env.process(self._scale_out())
        self._uploading = self.env.process(self._upload(arrivals))

    def run(self, until_s: float | None = None) -> Journal:
        """Run until every image has its row or was given up, or until a moment."""
        while self._uploading.is_alive or self._open():
            if until_s is not None and self.env.peek() > until_s:
                break
            self.env.step()
        return self.journal

    def _open(self) -> bool:
        return self.journal.rows < len(self.journal.uploaded) - self.journal.counts["given_up"]

    def _upload(self, arrivals: Iterable[float]) -> Steps:
        for moment in arrivals:
            if moment > self.env.now:
                yield self.env.timeout(moment - self.env.now)
            number = self.journal.upload(self.env.now)
            admitted(self.storage.uploading(number), self.env.now)  # its share of the account; the uploader tries again
            latency = _EVENT_LATENCY_S * self.rng.lognormvariate(0, _EVENT_SPREAD)
            self.after(latency + self._events.wait_s(self.env.now), partial(self._deliver, number, 0))

    def _deliver(self, number: int, attempt: int) -> None:
        """Event Grid pushes to the webhook; without an instance it waits, and tries again later."""
        if self.instances:
            self._enqueue(Message(number), attempt, 0)
        else:
            self.after(self.patience.event_wait_s, lambda: self._deliver_again(number, attempt))

    def _deliver_again(self, number: int, attempt: int) -> None:
        schedule = self.patience.event_grid_s
        self.journal.counts["event_retries"] += 1
        pause = schedule[min(attempt, len(schedule) - 1)] * self.rng.uniform(0.9, 1.1)
        self.after(pause, lambda: self._deliver(number, attempt + 1))

    def _enqueue(self, message: Message, attempt: int, tries: int) -> None:
        """The webhook puts the message into its app's queue; refused too often, Event Grid hears of it."""
        queue = self.queues[message.image % len(self.queues)]
        if queue.put(message, self.env.now):
            mine = [one for one in (self.rng.choice(self.instances),) if one.queue is queue]
            for instance in mine:
                instance.wake()
            return
        self.journal.counts["throttled"] += 1
        if tries < len(self.patience.host_sdk_s):
            pause = self.patience.host_sdk_s[tries] * self.rng.uniform(0.8, 1.2)
            self.after(pause, lambda: self._enqueue(message, attempt, tries + 1))
        elif message.delays:
            self.after(self.patience.delayed_s[0], lambda: self._enqueue(message, attempt, 0))
        else:
            self._deliver_again(message.image, attempt)

    def failed(self, queue: Queue, message: Message) -> None:
        """A delivery failed: at once again, then later and later, at last never."""
        if message.deliveries < self.patience.deliveries:
            queue.waiting.append(message)  # its visibility is set to 0
            return
        self.journal.counts["poisoned"] += 1
        if message.delays < len(self.patience.delayed_s):
            again = Message(message.image, delays=message.delays + 1)
            self.after(self.patience.delayed_s[message.delays], lambda: self._enqueue(again, 0, 0))
        else:
            self.journal.counts["given_up"] += 1

    def delete(self, queue: Queue, message: Message, tries: int = 0) -> None:
        """Delete a message; refused too often, it comes back when its visibility ends."""
        if queue.meter.take(self.env.now):
            return
        self.journal.counts["throttled"] += 1
        if tries < len(self.patience.host_sdk_s):
            pause = self.patience.host_sdk_s[tries] * self.rng.uniform(0.8, 1.2)
            self.after(pause, lambda: self.delete(queue, message, tries + 1))
        else:
            self.after(self.patience.lost_message_s, lambda: queue.waiting.append(message))

    def _scale_out(self) -> Steps:
        """Every so often: as many instances as the backlog asks for, a few at a time."""
        fleet = self.fleet
        while len(self.instances) + self._starting < fleet.most:
            waiting = sum(len(queue.waiting) for queue in self.queues)
            undelivered = not self.instances and len(self.journal.uploaded) > self.journal.rows
            reached = max((at + 1 for at, queue in enumerate(self.queues) if queue.waiting), default=0)
            wanted = max(math.ceil(waiting / fleet.held), reached, int(undelivered))  # each queue has an app of its own
            new = min(fleet.step, min(fleet.most, wanted) - len(self.instances) - self._starting)
            for _ in range(max(0, new)):
                self._starting += 1
                self.after(fleet.cold_start_s, self._start_instance)
            yield self.env.timeout(fleet.every_s)

    def _start_instance(self) -> None:
        self._starting = max(0, self._starting - 1)
        number = len(self.instances)
        self.instances.append(Instance(self, number, self._machine(self.env, self.fleet.cores)))

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        """Do something later."""

        def happened(_event: simpy.Event) -> None:
            do()

        self.env.timeout(seconds).callbacks.append(happened)
