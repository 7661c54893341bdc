"""Import this before any Azure package: it keeps them from starting a process.

Each puts the platform's name into its user agent, azure-identity already while it is imported, and to compose that name
the standard library runs ``uname -p``, which on Linux says again what the machine is. The answer is given here instead.
"""

from __future__ import annotations

import platform

# A lazy attribute of a cached tuple: once it is set, nobody is asked. The name comes out the same.
setattr(platform.uname(), "processor", platform.machine())  # noqa: B010 - typed as read-only
