"""The host's internal queue: a storage queue, with the limit that one storage queue has."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.scale.meter import Meter


@dataclass(slots=True)
class Message:
    """Names an image.

    Attributes:
        image: Its number.
        deliveries: How often it was received.
        delays: How many of the growing delays it has been through.
    """

    image: int
    deliveries: int = 0
    delays: int = 0


@dataclass(slots=True)
class Queue:
    """First in, first out. Hidden messages are not in it; who hides them puts them back."""

    meter: Meter
    waiting: deque[Message] = field(default_factory=deque)

    def put(self, message: Message, now: float) -> bool:
        """Put a message in, or be refused."""
        if not self.meter.take(now):
            return False
        self.waiting.append(message)
        return True

    def receive(self, most: int, now: float) -> list[Message] | None:
        """Take up to so many out; ``None`` when refused. An empty answer counts as one, too."""
        count = min(most, len(self.waiting))
        if not self.meter.take(now, max(1, count)):
            return None
        got = [self.waiting.popleft() for _ in range(count)]
        for message in got:
            message.deliveries += 1
        return got
