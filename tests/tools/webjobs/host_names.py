"""The host names of the accounts that the production scanner is tested with.

``python -m tests.tools.webjobs.host_names`` prints those that this machine does not resolve: a line of /etc/hosts
for 127.0.0.1 needs them.
"""

from __future__ import annotations

import socket
import sys

ACCOUNTS = ("scannedhost", "scannedimages")
HOST_NAMES = tuple(f"{account}.{service}.localhost" for account in ACCOUNTS for service in ("blob", "queue", "table"))


def unresolved() -> tuple[str, ...]:
    """Return the host names that do not lead to this machine."""
    return tuple(name for name in HOST_NAMES if not _is_local(name))


def _is_local(name: str) -> bool:
    try:
        return {info[4][0] for info in socket.getaddrinfo(name, None)} <= {"127.0.0.1", "::1"}
    except OSError:
        return False


if __name__ == "__main__":
    sys.stdout.write(" ".join(unresolved()) + "\n")
