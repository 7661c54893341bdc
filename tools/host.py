"""``python -m tools host``: serve the function app of this folder on the storage that the settings name."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tools.interrupt import TERMINATION, stop_requested

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from tools.devhost.host import DevHost


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command; it takes no options, settings do."""
    parser.description = (
        "Run the dev host: blob, queue and timer triggers of function_app.py in this folder, on the storage that\n"
        "AzureWebJobsStorage and the triggers' connections name. The environment wins over local.settings.json.\n"
        "SIGTERM or Ctrl+C finishes the running functions and exits 0; a second one exits at once."
    )
    parser.epilog = (
        "example:\n"
        "  export AzureWebJobsStorage=UseDevelopmentStorage=true ImageStorage=UseDevelopmentStorage=true\n"
        "  python -m tools host"
    )


def run(_args: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    return serve(Path.cwd())


def serve(root: Path, started: Callable[[DevHost], None] | None = None) -> int:
    """Serve the app in a folder until SIGTERM, SIGINT or, on Windows, Ctrl+Break. For the main thread only.

    Args:
        root: The function app's folder.
        started: Called once when every trigger is being served.

    Returns:
        0, or 1 when a part of the host itself failed.
    """
    with stop_requested(signal.SIGINT, TERMINATION) as stopping:
        from tools.devhost.host import load_host  # after the signals are handled: it imports the app

        host = load_host(root, stopping)
        print(_banner(host, root), file=sys.stderr, flush=True)
        if host.start():
            print("The host is up.", file=sys.stderr, flush=True)
            if started:
                started(host)
            stopping.wait()
        print("Stopping: finishing the running functions ...", file=sys.stderr, flush=True)
        finished = host.stop()
        print("Stopped.", file=sys.stderr, flush=True)
        code = 1 if host.crashed else 0
        if not finished:
            os._exit(code)  # a thread cannot be ended, and the interpreter would wait for it
    return code


def _banner(host: DevHost, root: Path) -> str:
    """Describe functions, accounts and limits, without secrets."""
    from tools.devhost.app import BlobTrigger, QueueTrigger

    lines = [
        "Dev host for one machine. The same folder runs under `func start` and, at scale, on Azure Functions",
        "(Flex Consumption).",
        f"  {'folder':<20} {root}",
        f"  {'host id':<20} {host.host_id}",
    ]
    for name, account in host.accounts.items():
        lines.append(f"  {name:<20} {account.endpoint}")
    for function in host.functions:
        trigger = function.trigger
        if isinstance(trigger, BlobTrigger):
            source = "EventGrid" if trigger.event_grid else "LogsAndContainerScan"
            what = f"blob   {trigger.pattern.text}  ({source}, {trigger.connection})"
        elif isinstance(trigger, QueueTrigger):
            what = f"queue  {trigger.queue}  ({trigger.connection})"
        else:
            what = f"timer  {trigger.schedule}"
        lines.append(f"  {function.name:<20} {what}")
    blobs, queues = host.options.blob_queue, host.options.queues
    lines += [
        f"  {'at once':<20} {blobs.at_once} blobs, {queues.at_once} messages of each queue, on {host.threads} threads",
        f"  {'gives up':<20} after {blobs.max_dequeue_count} tries of a blob, {queues.max_dequeue_count} of a message",
        f"  {'hides':<20} what it has received for {host.visibility_seconds} s, again at half time",
    ]
    return "\n".join(lines)
