"""Timer triggers: NCRONTAB expressions (six fields, seconds first) or time spans, in UTC.

When a function was last due is kept beside the receipts, as the Functions host keeps it, so that a run missed while the
host was down is made up for once, with ``past_due`` set.
"""

from __future__ import annotations

import json
import logging
from concurrent.futures import CancelledError
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError
from croniter import croniter

from inference.errors import ConfigurationError
from tools.devhost.bindings import timer_request
from tools.devhost.messages import function_id
from tools.devhost.settings import time_span

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from azure.storage.blob import ContainerClient

    from tools.devhost.accounts import Account
    from tools.devhost.app import AppFunction, TimerTrigger
    from tools.devhost.invoker import Invoker

logger = logging.getLogger(__name__)

Schedule = "Callable[[datetime], datetime]"
_LEAST_MONITORED = timedelta(minutes=1)  # the Functions host keeps no status for shorter schedules


def parse_schedule(text: str, function: str) -> Callable[[datetime], datetime]:
    """Return what gives the next due time after a moment.

    Raises:
        ConfigurationError: It is neither NCRONTAB nor a time span; names the function.
    """
    words = text.split()
    if len(words) == 1:
        try:
            pause = timedelta(seconds=time_span(text))
        except ConfigurationError as error:
            raise ConfigurationError(f"{function}: the schedule {error}") from error
        if pause <= timedelta(0):
            raise ConfigurationError(f"{function}: the schedule {text!r} must be longer than nothing.")
        return lambda moment: moment + pause
    seconds_first = text if len(words) == 6 else f"0 {text}"
    if len(words) not in (5, 6) or not croniter.is_valid(seconds_first, second_at_beginning=True):
        raise ConfigurationError(
            f"{function}: the schedule {text!r} is no NCRONTAB expression: "
            "{second} {minute} {hour} {day} {month} {day of week}."
        )

    def upcoming(moment: datetime) -> datetime:
        due: datetime = croniter(seconds_first, moment, second_at_beginning=True).get_next(datetime)
        return due

    return upcoming


class Timer:
    """Runs one timer-triggered function on time, one run after the other."""

    def __init__(  # noqa: PLR0913 - what it is made of, named at its one call
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
        now = datetime.now(UTC)
        first = self._next(now)
        self._monitored = trigger.use_monitor and self._next(first) - first >= _LEAST_MONITORED
        self._status = hosts.get_blob_client(f"timers/{host_id}/{function_id(function.name)}/status")
        self._last: datetime | None = None

    def run(self, stopping: threading.Event) -> None:
        """Run the function whenever it is due, until told to stop."""
        due = self._next(datetime.now(UTC))
        missed = self._was_missed()
        if missed or self._trigger.run_on_startup:
            self._invoke(due, past_due=missed)
            due = self._next(datetime.now(UTC))
        while not stopping.wait(max(0.0, (due - datetime.now(UTC)).total_seconds())):
            upcoming = self._next(due)
            self._invoke(upcoming, past_due=False)
            due = max(upcoming, self._next(datetime.now(UTC)))

    def _invoke(self, upcoming: datetime, *, past_due: bool) -> None:
        last = self._last.isoformat() if self._last else None
        self._last = datetime.now(UTC)

        def argument() -> object:
            return timer_request(past_due=past_due, last=last, upcoming=upcoming.isoformat())

        try:
            # A failure is in the log already; a timer has no retry, only its next turn.
            self._invoker.submit(self._function, argument, f"timer past_due={str(past_due).lower()}").exception()
        except CancelledError:
            return
        if self._monitored:
            status = {
                "Last": self._last.isoformat(),
                "Next": upcoming.isoformat(),
                "LastUpdated": self._last.isoformat(),
            }
            with self._account.watch(f"timer {self._function.name}"):
                self._status.upload_blob(json.dumps(status).encode(), overwrite=True)

    def _was_missed(self) -> bool:
        if not self._monitored:
            return False
        with self._account.watch(f"timer {self._function.name}"):
            try:
                status = json.loads(self._status.download_blob().readall())
                self._last = datetime.fromisoformat(status["Last"])
                return self._next(self._last) < datetime.now(UTC)
            except ResourceNotFoundError:
                pass
            except (ValueError, KeyError, TypeError):
                logger.warning("timer_status_unreadable function=%s; taken as never run", self._function.name)
        return False
