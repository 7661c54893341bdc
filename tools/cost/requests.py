"""The requests that one fresh upload causes, by who sends them and at which rate.

The app's six are those of ``storage.pipeline.classify_blob`` and ``storage.results.commit``; a test counts
them as they are sent. The host's are from its sources (azure-sdk-for-net,
Microsoft.Azure.WebJobs.Extensions.Storage.Blobs 5.x, Event Grid source): no
receipts are written there, and a full poll brings five messages, so one receive per image is the dear end.
"""

from __future__ import annotations

from typing import NamedTuple


class Request(NamedTuple):
    """One kind of request, ``times`` times per upload.

    Attributes:
        by: ``app``, ``host`` or ``Event Grid``.
        what: In words.
        rate: Name of its rate.
    """

    by: str
    what: str
    rate: str
    times: int


FRESH_UPLOAD = (
    Request("app", "read the row (there is none yet)", "table", 1),
    Request("app", "read the image", "blob_read", 1),
    Request("app", "write the sidecar", "blob_write", 1),
    Request("app", "write the index rows (status, label)", "table", 2),
    Request("app", "insert the row", "table", 1),
    Request("host", "put, receive and delete the message", "queue", 3),
    Request("host", "look at the blob's properties", "blob_other", 1),
    Request("Event Grid", "publish, match data.api, deliver", "event_grid", 3),
)

# One hourly reconciliation, page by page: names of both containers, rows of both tables (two index rows an image).
_BLOBS_A_PAGE = 5000
_ROWS_A_PAGE = 1000
_RUNS_A_MONTH = 730


def reconciling(images: int) -> dict[str, float]:
    """Operations by rate of a month of hourly reconciliations, with that many images kept and nothing amiss."""
    return {
        "blob_list": 2 * images / _BLOBS_A_PAGE * _RUNS_A_MONTH,
        "table": 3 * images / _ROWS_A_PAGE * _RUNS_A_MONTH,
    }
