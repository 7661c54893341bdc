"""Scenarios of queue triggers: decoding, retries, and queues that have no poison queue."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from tests.hosts.internal_queue import internal_message
from tests.hosts.lab import POISON, REQUESTS, OnPurposeError, encoded
from tests.waiting import until

if TYPE_CHECKING:
    from tests.hosts.lab import Facts, Lab
    from tests.hosts.recording_app import Call


def queue(lab: Lab) -> Facts:
    lab.incoming.create_container()
    requests = lab.queue(REQUESTS)
    requests.create_queue()

    def behave(call: Call) -> None:
        if "fail" in call.key:
            raise OnPurposeError

    lab.recorder.behave = behave
    with lab.host(visibility_timeout="00:00:02"):
        for text in (encoded('{"container":"incoming","blobs":["a.jpg"]}'), encoded("fail")):
            requests.send_message(text)
        requests.send_message('{"container":"incoming","blobs":["plain, not base64.jpg"]}')
        for text in (encoded(""), "AAAA", encoded(b"\xff\xfe\x00")):
            requests.send_message(text)
        lab.wait_until_empty(REQUESTS)
        lab.wait_for(1, "record_abandoned")
        until(lambda: lab.look(f"{REQUESTS}-poison").length == 3, "three messages in poison")
        _outlast_the_visibility_timeout(lab)
        left = lab.left()
    return queue_facts([call for call in lab.recorder.calls if "once" not in call.key], left)


def queue_facts(calls: list[Call], left: Facts) -> Facts:
    """Every delay is at least the visibility timeout of two seconds: storage hides the message for so long."""
    counts: dict[str, dict[str, list[int | None]]] = {}
    for call in calls:
        counts.setdefault(call.function, {}).setdefault(call.key, []).append(call.dequeue_count)
    failed = [call.seconds for call in calls if call.key == "fail" and call.function == "classify_requested"]
    gaps = [later - earlier for earlier, later in itertools.pairwise(failed)]
    return {"dequeue counts": counts, "retries wait": all(gap > 1.9 for gap in gaps), "left": left}


def _outlast_the_visibility_timeout(lab: Lab) -> None:
    """Return when a message that failed now has come again after the two seconds of ``visibilityTimeout``."""
    usual = lab.recorder.behave

    def behave(call: Call) -> None:
        if call.key == "once" and call.attempt == 1:
            raise OnPurposeError
        usual(call)

    lab.recorder.behave = behave
    lab.queue(REQUESTS).send_message(encoded("once"))
    lab.wait_for(2, "classify_requested", "once")
    lab.wait_until_empty(REQUESTS)


def foreign_poison(lab: Lab) -> Facts:
    lab.incoming.create_container()
    lab.queue(REQUESTS).create_queue()
    poison = lab.queue(POISON)
    poison.create_queue()

    def behave(call: Call) -> None:
        if call.function == "recover_poisoned":
            raise OnPurposeError

    lab.recorder.behave = behave
    with lab.host(visibility_timeout="00:00:02"):
        poison.send_message(encoded(internal_message(FunctionId="Host.Functions.other", ContainerName="invoices")))
        lab.wait_for(1, "recover_poisoned")
        _outlast_the_visibility_timeout(lab)
        left = lab.left()
    return {"calls": lab.count("recover_poisoned"), "left": left}
