"""Runs functions as the Python worker does: ``def`` on one shared thread pool, ``async def`` on one event loop."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import logging
import os
import threading
import time
import traceback
import uuid
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from inference.errors import ConfigurationError
from tools.devhost.bindings import InvocationContext, arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tools.devhost.app import AppFunction

logger = logging.getLogger(__name__)


class Invocation(NamedTuple):
    """The invocation that the current thread or task works for."""

    function: str
    id: str


CURRENT: contextvars.ContextVar[Invocation | None] = contextvars.ContextVar("invocation", default=None)


def worker_threads(settings: Mapping[str, str]) -> int:
    """Return how many synchronous functions run at once: as set, else the standard library's own default."""
    text = settings.get("PYTHON_THREADPOOL_THREAD_COUNT", "").strip()
    if not text:
        return min(32, (os.cpu_count() or 1) + 4)
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise ConfigurationError("PYTHON_THREADPOOL_THREAD_COUNT must be a whole number from 1 to 1024.")
    return int(text)


class Invoker:
    """Runs functions. Thread-safe.

    Args:
        root: The app's folder.
        threads: How many synchronous functions run at once.
        timeout_seconds: ``functionTimeout``. Azure ends a worker whose function takes longer. A thread cannot be
            ended, so this host logs a warning afterwards.
    """

    def __init__(self, root: Path, threads: int, timeout_seconds: float | None = None) -> None:
        self._root = str(root)
        self._timeout = timeout_seconds
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="function")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def submit(self, function: AppFunction, make_trigger: Callable[[], object], reason: str) -> Future[None]:
        """Queue one invocation.

        Args:
            function: What to call.
            make_trigger: Makes the trigger's argument, on the thread that will run the function.
            reason: The cause of the invocation, for the log.

        Returns:
            A future with the function's exception. It is cancelled when the invoker closes before the function begins.

        Raises:
            CancelledError: The invoker is closed.
        """
        invocation = Invocation(function.name, str(uuid.uuid4()))
        if inspect.iscoroutinefunction(function.call):
            return asyncio.run_coroutine_threadsafe(
                self._run_async(function, make_trigger, reason, invocation), self._event_loop()
            )
        try:
            return self._pool.submit(self._run, function, make_trigger, reason, invocation)
        except RuntimeError as error:  # the pool is closed
            raise CancelledError from error

    def close(self) -> None:
        """Start no more functions."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(
        self, function: AppFunction, make_trigger: Callable[[], object], reason: str, invocation: Invocation
    ) -> None:
        token = CURRENT.set(invocation)
        try:
            with _reported(invocation, reason, self._timeout):
                function.call(**arguments(function, make_trigger(), self._context(invocation)))
        finally:
            CURRENT.reset(token)

    async def _run_async(
        self, function: AppFunction, make_trigger: Callable[[], object], reason: str, invocation: Invocation
    ) -> None:
        CURRENT.set(invocation)  # a task has a context of its own
        with _reported(invocation, reason, self._timeout):
            trigger = await asyncio.to_thread(make_trigger)
            await function.call(**arguments(function, trigger, self._context(invocation)))

    def _context(self, invocation: Invocation) -> InvocationContext:
        return InvocationContext(invocation.function, self._root, invocation.id)

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="event-loop", daemon=True).start()
            return self._loop


class _reported:  # noqa: N801 - used as a with statement only
    """Logs the begin and the end of an invocation; its exception passes through."""

    def __init__(self, invocation: Invocation, reason: str, timeout_seconds: float | None) -> None:
        self._invocation = invocation
        self._reason = reason
        self._timeout = timeout_seconds

    def __enter__(self) -> None:
        self._began = time.perf_counter()
        logger.info("invocation_started id=%s %s", self._invocation.id, self._reason)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        elapsed = (time.perf_counter() - self._began) * 1000
        if self._timeout and elapsed > self._timeout * 1000:
            logger.warning("function_timeout seconds=%g: Azure would have ended this invocation", self._timeout)
        if error is None:
            logger.info("invocation_succeeded %s ms=%.0f", self._reason, elapsed)
            return
        place = traceback.extract_tb(error.__traceback__)[-1]
        message = json.dumps(f"{type(error).__name__}: {error}", ensure_ascii=False)
        logger.error("invocation_failed %s ms=%.0f error=%s at=%s:%s", self._reason, elapsed, message,
                     os.path.basename(place.filename), place.lineno)  # noqa: PTH119  # fmt: skip
        logger.debug("traceback", exc_info=error)
