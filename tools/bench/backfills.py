"""The backfill, as the command runs it, on a table and a container of results that are new each time."""

from __future__ import annotations

import io
import itertools
import json
import os
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from inference.errors import TransientError
from tools.__main__ import main
from tools.bench.storage_names import folder
from tools.bench.trials import Trial, counted

if TYPE_CHECKING:
    from tools.bench.worker_process import Contestants, Facts


def contestants(_facts: Facts) -> Contestants:
    """``backfill``, of all blobs of one kind; of the photo "" none, which is what starting and ending cost."""
    runs = itertools.count()

    def backfill(photo: str) -> Trial:
        number = next(runs)
        os.environ["RESULTS_TABLE"] = f"backfilled{number}"
        os.environ["RESULTS_CONTAINER"] = f"backfilled-{number}"
        told = io.StringIO()

        def work() -> int:
            with redirect_stdout(told):
                main(["backfill", "--json", "--prefix", f"{folder(photo) or 'no such folder'}/"])
            summary = json.loads(told.getvalue().splitlines()[-1])
            if summary["failed"] or summary["rejected"] or (photo and not summary["classified"]):
                raise TransientError(f"the backfill failed: {summary}")
            return int(summary["classified"]) or 1

        return counted(work)

    return {"backfill": backfill}
