"""Every scenario by name: steps on a host, and the facts that they yield, as plain JSON.

The steps are those of the recorder (``source/recorder/Program.cs`` beside ``webjobs-host``), with conditions in the
place of its pauses.
"""

from __future__ import annotations

from tests.hosts import internal_queue, queues, running, uploads

SCENARIOS = {
    scenario.__name__.replace("_", " "): scenario
    for scenario in (
        uploads.names,
        uploads.failure,
        uploads.messages,
        uploads.overwrite,
        uploads.busy_overwrite,
        uploads.deleted,
        uploads.restart,
        uploads.late_container,
        uploads.hosts_container_gone,
        uploads.two_hosts,
        uploads.kinds,
        running.stop_while_busy,
        running.concurrency,
        queues.queue,
        queues.foreign_poison,
        internal_queue.injected,
        internal_queue.too_often,
        internal_queue.events,
    )
}
