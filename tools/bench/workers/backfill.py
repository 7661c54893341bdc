"""The ``backfill`` command, each time with a new table and a new container for its results."""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from inference.errors import TransientError
from tools.backfill import command
from tools.bench.inputs.emulator import folder
from tools.bench.trials import Trial, run_once

if TYPE_CHECKING:
    from pathlib import Path

    from tools.bench.workers.process import Functions


def functions(_cache: Path) -> Functions:
    """``backfill``: all blobs of one kind of photo. The photo "" selects no blob, which measures start and end."""
    runs = itertools.count()
    parser = argparse.ArgumentParser()
    command.configure(parser)

    def backfill(photo: str) -> Trial:
        number = next(runs)
        os.environ["RESULTS_TABLE"] = f"backfilled{number}"
        os.environ["RESULTS_CONTAINER"] = f"backfilled-{number}"
        output = io.StringIO()

        def work() -> int:
            with redirect_stdout(output):
                command.run(parser.parse_args(["--json", "--prefix", f"{folder(photo) or 'no such folder'}/"]))
            summary = json.loads(output.getvalue().splitlines()[-1])
            if summary["failed"] or summary["rejected"] or (photo and not summary["classified"]):
                raise TransientError(f"the backfill failed: {summary}")
            return int(summary["classified"]) or 1

        return run_once(work)

    return {"backfill": backfill}
