"""What makes the app's start cheap. Imported first; the app's other imports stand inside ``imports()``.

A cold start consists mostly of imports, and an upload waits for it. The measurements are in
docs/adr/0008-cold-start.md; ``python -m tools bench`` repeats them.
"""

from __future__ import annotations

import gc
import os
import platform
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_STARTED = time.perf_counter()


@contextmanager
def imports() -> Iterator[None]:
    """Import cheaply inside the ``with`` block. For the main thread, once per process.

    - The garbage collector is off. Imported modules stay, so there is nothing to collect, and examining them again and
      again while they grow takes an eighth of the start. Afterwards they are frozen: later collections skip them.
    - OpenBLAS gets one thread. numpy's matrix products are not used, and idle BLAS threads spin beside the start.
    - The platform's name is completed here. Azure packages put it into their user agent, azure-identity already while
      it is imported, and the standard library would start ``uname -p`` for it, which prints the machine's name again.
    """
    gc.disable()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # A lazy attribute of a cached tuple: the standard library asks no further once it is set.
    setattr(platform.uname(), "processor", platform.machine())  # noqa: B010 - typed as read-only
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def elapsed_seconds() -> float:
    """Return the seconds since the app began to import."""
    return time.perf_counter() - _STARTED
