"""Names of containers, queues and the host in a chaos run."""

from __future__ import annotations

INCOMING = "incoming"
RESULTS = "results"
TABLE = "classifications"
HOST_ID = "chaos"
INTERNAL_QUEUE = f"azure-webjobs-blobtrigger-{HOST_ID}"
POISON_QUEUE = "webjobs-blobtrigger-poison"
REQUEST_QUEUE = "classify-requests"
QUEUES = (INTERNAL_QUEUE, POISON_QUEUE, REQUEST_QUEUE, f"{REQUEST_QUEUE}-poison")
COPIED = "copied/"
"""Prefix in the incoming container for copies of sidecars, which the app must ignore."""
LOCKED, DENIED, ARCHIVED = "locked/", "denied/", "archived/"
"""Prefixes of blobs that cannot be read: by a customer-provided key (409), an access control list (403), their tier."""
