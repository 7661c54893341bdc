"""One instance: polls the queue, runs as many images at once as it has threads, on the cores it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import simpy

from tools.scale.storage import admitted

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from tools.scale.messages import Message
    from tools.scale.simulation import Simulation
    from tools.scale.storage import Needs

    Steps = Generator[simpy.Event, Any, Any]


class ThrottledError(Exception):
    """A request was refused as often as the SDK tries."""


class Machine:
    """Where CPU time is spent. On Azure an instance has its own, and storage is elsewhere.

    Args:
        env: The simulation's clock.
        cores: A whole number, or a fraction of one core, on which everything takes that much longer.
    """

    def __init__(self, env: simpy.Environment, cores: float) -> None:
        self.env = env
        self.cores = simpy.Resource(env, capacity=max(1, round(cores)))
        self.slowness = 1 / min(1.0, cores)

    def compute(self, seconds: float) -> Steps:
        """Hold a core for that much CPU time."""
        with self.cores.request() as core:
            yield core
            yield self.env.timeout(seconds * self.slowness)

    def ask(self, _requests: int, seconds: float) -> Steps:
        """Wait for storage to answer that many requests, which takes it so long altogether."""
        yield self.env.timeout(seconds)


class Instance:
    """A host and its worker.

    Args:
        world: What it is part of.
        number: Which one; decides which queue it serves.
        machine: Its cores.
    """

    def __init__(self, world: Simulation, number: int, machine: Machine) -> None:
        self.world = world
        self.queue = world.queues[number % len(world.queues)]
        self._env = world.env
        self._machine = machine
        self._threads = simpy.Resource(self._env, capacity=world.fleet.threads)
        self._held = 0
        self._wake = self._env.event()
        self._env.process(self._poll())

    def wake(self) -> None:
        """A message was put into the queue by this process: look now."""
        if not self._wake.triggered:
            self._wake.succeed()

    def _poll(self) -> Steps:
        """Receive whenever few enough are in hand; ask an empty queue ever later."""
        world, fleet, patience = self.world, self.world.fleet, self.world.patience
        pause = patience.first_poll_s
        while True:
            if self._held > fleet.refill:
                yield self._sleep()
                continue
            got = self.queue.receive(fleet.batch, self._env.now)
            yield self._env.timeout(world.image.request_s)
            if got:
                pause = patience.first_poll_s
                for message in got:
                    self._held += 1
                    self._env.process(self._serve(message))
                continue
            if got is None:  # refused
                world.journal.counts["throttled"] += 1
            yield self._sleep(pause * world.rng.uniform(0.8, 1.2))
            pause = min(patience.last_poll_s, pause * 2)

    def _sleep(self, at_most_s: float | None = None) -> simpy.Event:
        """An event that happens when somebody wakes the instance, or after a while."""
        self._wake = woken = self._env.event()
        if at_most_s is not None:
            self.world.after(at_most_s, lambda: None if woken.triggered else woken.succeed())
        return woken

    def _serve(self, message: Message) -> Steps:
        """One delivery: the host's look at the blob, the function, and what becomes of the message."""
        world = self.world
        try:
            yield from self._ask([world.storage.looking(message.image)])
            with self._threads.request() as thread:
                yield thread
                yield from self._settle(message.image)
        except ThrottledError:
            world.journal.counts["delivery_failed"] += 1
            world.failed(self.queue, message)
        else:
            world.delete(self.queue, message)
        self._held -= 1
        if self._held <= world.fleet.refill:
            self.wake()

    def _settle(self, number: int) -> Steps:
        world, image = self.world, self.world.image
        row, blob = world.storage.reading(number, image.photo_bytes)
        if world.journal.is_settled(number):  # done already: two requests
            yield from self._ask([row, blob[:1]])
            world.journal.settle(number, self._env.now)
            return
        yield from self._ask([row, blob])
        cpu = image.cpu_s * world.rng.lognormvariate(-(image.cpu_variation**2) / 2, image.cpu_variation)
        yield from self._machine.compute(cpu + image.client_cpu_s)
        yield from self._ask(world.storage.writing(number))
        world.journal.settle(number, self._env.now)

    def _ask(self, requests: Iterable[Needs]) -> Steps:
        """Requests one after the other; limits are asked when the group begins, which lasts some 10 ms."""
        world = self.world
        asked = 0
        for needs in requests:
            for pause in (*world.patience.sdk_s, None):
                asked += 1
                if admitted(needs, self._env.now):
                    break
                world.journal.counts["throttled"] += 1
                if pause is None:
                    raise ThrottledError
                yield from self._machine.ask(asked, asked * world.image.request_s)
                yield self._env.timeout(pause * world.rng.uniform(0.8, 1.2))
                asked = 0
        yield from self._machine.ask(asked, asked * world.image.request_s)
