"""Timer triggers, in UTC.

The time of a function's last run is kept beside the receipts, where the Functions host keeps it. A run that was missed
while the host was down is made up for once, with ``past_due`` set.
"""

from __future__ import annotations

import json
import logging
from concurrent.futures import CancelledError
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError

from tools.devhost.accounts import restore_container
from tools.devhost.bindings import timer_request
from tools.devhost.messages import function_id
from tools.devhost.timer_trigger.schedules import parse_schedule

if TYPE_CHECKING:
    import threading

    from azure.storage.blob import ContainerClient

    from tools.devhost.accounts import Account
    from tools.devhost.app import AppFunction, TimerTrigger
    from tools.devhost.invoker import Invoker

logger = logging.getLogger(__name__)

_LEAST_MONITORED = timedelta(minutes=1)  # the Functions host keeps no status for shorter schedules
_LONGEST_WAIT_SECONDS = 86_400.0  # a lock cannot be waited for more than some decades


class Timer:
    """Runs one timer-triggered function on time, one run after the other."""

    def __init__(  # noqa: PLR0913 - keyword-only, named at its one call
        self,
        *,
        function: AppFunction,
        trigger: TimerTrigger,
        invoker: Invoker,
        account: Account,
        hosts: ContainerClient,
        host_id: str,
    ) -> None:
        self._function = function
        self._trigger = trigger
        self._invoker = invoker
        self._account = account
        self._next = parse_schedule(trigger.schedule, function.name)
        first = self._next(datetime.now(UTC))
        second = self._next(first) if first else None
        if first is None:
            logger.warning("timer_never_due function=%s schedule=%r", function.name, trigger.schedule)
        too_often = first is not None and second is not None and second - first < _LEAST_MONITORED
        self._monitored = trigger.use_monitor and not too_often
        self._hosts = hosts
        self._status = hosts.get_blob_client(f"timers/{host_id}/{function_id(function.name)}/status")
        self._last: datetime | None = None

    def run(self, stopping: threading.Event) -> None:
        """Run the function each time it is due, until ``stopping`` is set."""
        due = self._next(datetime.now(UTC))
        missed = self._was_missed()
        if missed or self._trigger.run_on_startup:
            self._invoke(due, past_due=missed)
            due = self._next(datetime.now(UTC))
        while due and not self._wait(due, stopping):
            self._invoke(self._next(due), past_due=False)
            # What fell due while the function ran is left out.
            due = self._next(max(due, datetime.now(UTC)))

    @staticmethod
    def _wait(due: datetime, stopping: threading.Event) -> bool:
        """Wait until a moment; return whether the host stops before it."""
        while (seconds := (due - datetime.now(UTC)).total_seconds()) > 0:
            if stopping.wait(min(seconds, _LONGEST_WAIT_SECONDS)):
                return True
        return stopping.is_set()

    def _invoke(self, upcoming: datetime | None, *, past_due: bool) -> None:
        last = self._last.isoformat() if self._last else None
        following = upcoming.isoformat() if upcoming else None
        self._last = datetime.now(UTC)

        def argument() -> object:
            return timer_request(past_due=past_due, last=last, upcoming=following)

        try:
            # A failure is in the log already; a timer has no retry, only its next turn.
            self._invoker.submit(self._function, argument, f"timer past_due={str(past_due).lower()}").exception()
        except CancelledError:
            return
        if self._monitored:
            status = {
                "Last": self._last.isoformat(),
                "Next": following,
                "LastUpdated": self._last.isoformat(),
            }
            with self._account.watch(f"timer {self._function.name}"):
                restore_container(self._hosts)
                self._status.upload_blob(json.dumps(status).encode(), overwrite=True)

    def _was_missed(self) -> bool:
        if not self._monitored:
            return False
        with self._account.watch(f"timer {self._function.name}"):
            try:
                status = json.loads(self._status.download_blob().readall())
                self._last = datetime.fromisoformat(status["Last"])
                due = self._next(self._last)
                return due is not None and due < datetime.now(UTC)
            except ResourceNotFoundError:
                pass
            except (ValueError, KeyError, TypeError):
                logger.warning("timer_status_unreadable function=%s; taken as never run", self._function.name)
        return False
