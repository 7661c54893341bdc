"""The host itself: reads settings and app, starts listeners, scanners and timers, and stops them in order.

start:  settings -> function_app.py -> storage answers -> listeners -> scanners -> timers
stop:   receive no more messages -> give back those not yet started -> finish the running ones -> exit
A kill at any moment loses nothing: receipts and hidden messages are the only state, and both are in storage.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError
from tools.azurite.azurite import connection_string, ports_from_environ
from tools.devhost.accounts import Account, create_container, create_queue
from tools.devhost.app import AppFunction, BlobTrigger, QueueTrigger, TimerTrigger, load_functions
from tools.devhost.blob_trigger.invocations import BlobMessages
from tools.devhost.blob_trigger.receipts import HOSTS_CONTAINER
from tools.devhost.blob_trigger.scanner import ContainerScanner, Target
from tools.devhost.host_json import read_host_json
from tools.devhost.invoker import Invoker, worker_threads
from tools.devhost.listener import QueueListener
from tools.devhost.logs import configure_logging
from tools.devhost.messages import BLOB_POISON_QUEUE, BlobTriggerMessage, function_id, internal_queue
from tools.devhost.queues import poison_queue, preparer
from tools.devhost.settings import VISIBILITY_SECONDS, host_id, load_settings
from tools.devhost.timer_trigger.timers import Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tools.devhost.host_json import HostJson

logger = logging.getLogger(__name__)

HOST_STORAGE = "AzureWebJobsStorage"
GRACE_SECONDS = 60.0
_STORAGE_PAUSE_SECONDS = 0.5


def load_host(root: Path, stopping: threading.Event) -> DevHost:
    """Return a host for the app in a folder.

    Reads the settings, puts them into ``os.environ``, where the app looks for them, and imports the app.

    Args:
        root: The folder with ``function_app.py`` and ``host.json``.
        stopping: As for ``DevHost``.

    Raises:
        ConfigurationError: Settings, ``host.json`` or the app must be corrected first.
    """
    settings = load_settings(root, os.environ, connection_string(ports_from_environ(os.environ)))
    os.environ.update(settings)
    options = read_host_json(root, os.cpu_count() or 1)
    configure_logging(options.log_levels)
    return DevHost(root, load_functions(root, settings), settings, options, stopping)


class DevHost:
    """Serves the functions of one app from this process.

    Args:
        root: The app's folder; the host id is derived from it when no setting states one.
        functions: What to serve.
        settings: The app settings.
        options: What ``host.json`` says.
        stopping: Ends the host when it is set. The host sets it itself when a part of it has failed.

    Raises:
        ConfigurationError: A setting has an impossible value, or the triggers cannot be served together.
    """

    def __init__(
        self,
        root: Path,
        functions: list[AppFunction],
        settings: Mapping[str, str],
        options: HostJson,
        stopping: threading.Event,
    ) -> None:
        self.settings = settings
        self.options = options
        self.functions = functions
        self.host_id = host_id(root, self.settings)
        self.visibility_seconds = VISIBILITY_SECONDS.read(self.settings)
        self.threads = worker_threads(self.settings)
        self.stopping = stopping
        self.crashed = False
        self.accounts: dict[str, Account] = {}
        self._hosts = self.account(HOST_STORAGE).container(HOSTS_CONTAINER)
        self._invoker = Invoker(root, self.threads, self.options.function_timeout_seconds)
        self._scanners: dict[tuple[str, str], ContainerScanner] = {}
        self._listeners: list[QueueListener] = []
        self._timers: list[Timer] = []
        self._threads: list[threading.Thread] = []
        self._serve_blobs([(f, f.trigger) for f in self.functions if isinstance(f.trigger, BlobTrigger)])
        for function in self.functions:
            if isinstance(function.trigger, QueueTrigger):
                self._serve_queue(function, function.trigger)
            elif isinstance(function.trigger, TimerTrigger):
                self._serve_timer(function, function.trigger)

    def account(self, connection: str) -> Account:
        """Return the account behind a connection setting; settings with equal values share one."""
        if connection not in self.accounts:
            same = [name for name in self.accounts if self.settings.get(name, "") == self.settings.get(connection)]
            self.accounts[connection] = self.accounts[same[0]] if same else Account(connection, self.settings)
        return self.accounts[connection]

    def start(self) -> bool:
        """Wait until storage answers, then begin to serve. Returns False when the host is stopped before that."""
        for account in set(self.accounts.values()):
            prepared = False
            while not prepared:
                with account.watch("start"):
                    self._prepare(account)
                    prepared = True
                if not prepared and self.stopping.wait(_STORAGE_PAUSE_SECONDS):
                    return False
        for listener in self._listeners:
            self._spawn(f"queue {listener.queue.queue_name}", listener.run)
        for (_, container), scanner in self._scanners.items():
            self._spawn(f"scanner {container}", partial(scanner.run, self.stopping))
        for timer in self._timers:
            self._spawn("timer", partial(timer.run, self.stopping))
        return True

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> bool:
        """Receive no more messages, finish the running functions, and give the other messages back.

        Returns:
            False when functions were still running after ``grace_seconds``; their messages are visible again.
        """
        deadline = time.monotonic() + grace_seconds
        self.stopping.set()
        for listener in self._listeners:
            listener.stop()
        self._invoker.close()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        busy = [one for one in self._listeners if not one.wait_until_idle(max(0.0, deadline - time.monotonic()))]
        for listener in busy:
            listener.give_back()
        for listener in self._listeners:
            listener.close()
        if busy:
            logger.warning("stopped_early seconds=%g: the running messages will be delivered again", grace_seconds)
        else:
            for account in set(self.accounts.values()):
                account.close()
        return not busy

    def _serve_blobs(self, functions: list[tuple[AppFunction, BlobTrigger]]) -> None:
        if not functions:
            return
        known = {
            function.name: (function, trigger, self.account(trigger.connection)) for function, trigger in functions
        }
        # One queue for all blob functions of an app, and one poison queue in each account.
        poison_account = self.account(functions[0][1].connection)
        if any(account is not poison_account for _, _, account in known.values()):
            raise ConfigurationError("this host serves blob triggers of one storage account only; use `func start`.")
        listener = QueueListener(
            account=self.account(HOST_STORAGE),
            queue_name=internal_queue(self.host_id),
            poison=poison_account.queue(BLOB_POISON_QUEUE),
            prepare=BlobMessages(known, self._invoker, self._look_at).prepare,
            end_host=self._crash,
            options=self.options.blob_queue,
            visibility_seconds=self.visibility_seconds,
        )
        self._listeners.append(listener)

        def enqueue(message: BlobTriggerMessage) -> None:
            listener.queue.send_message(message.to_wire())
            listener.wake()

        polled = [(function, trigger) for function, trigger in functions if not trigger.event_grid]
        for container in {trigger.pattern.container for _, trigger in polled}:
            self._scanners[poison_account.endpoint, container] = ContainerScanner(
                account=poison_account,
                container=container,
                hosts=self._hosts,
                host_id=self.host_id,
                targets=[
                    Target(function_id(function.name), trigger.pattern)
                    for function, trigger in polled
                    if trigger.pattern.container == container
                ],
                enqueue=enqueue,
            )

    def _look_at(self, account: Account, container: str, blob_name: str) -> None:
        scanner = self._scanners.get((account.endpoint, container))
        if scanner:
            scanner.look_at(blob_name)

    def _serve_queue(self, function: AppFunction, trigger: QueueTrigger) -> None:
        account = self.account(trigger.connection)
        self._listeners.append(
            QueueListener(
                account=account,
                queue_name=trigger.queue,
                poison=account.queue(poison) if (poison := poison_queue(trigger.queue)) else None,
                prepare=preparer(function, self._invoker, base64=self.options.queues.base64, binary=trigger.binary),
                end_host=self._crash,
                options=self.options.queues,
                visibility_seconds=self.visibility_seconds,
            )
        )

    def _serve_timer(self, function: AppFunction, trigger: TimerTrigger) -> None:
        self._timers.append(
            Timer(
                function=function,
                trigger=trigger,
                invoker=self._invoker,
                account=self.account(HOST_STORAGE),
                hosts=self._hosts,
                host_id=self.host_id,
            )
        )

    def _prepare(self, account: Account) -> None:
        """Create the missing containers and queues of one account."""
        if account is self.account(HOST_STORAGE):
            create_container(self._hosts)
        for function in self.functions:
            trigger = function.trigger
            if isinstance(trigger, BlobTrigger) and self.account(trigger.connection) is account:
                create_container(account.container(trigger.pattern.container))
        for listener in self._listeners:
            if listener.account is account:
                create_queue(listener.queue)

    def _crash(self) -> None:
        """End this host; its exit code is 1."""
        self.crashed = True
        self.stopping.set()

    def _spawn(self, name: str, run: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                run()
            except Exception:
                # Without this loop the host would seem to run and serve nothing.
                logger.critical("host_failed in=%s", name, exc_info=True)
                self._crash()

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)
