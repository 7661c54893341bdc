"""Changes ``decision.json`` while images arrive, and applies each change by ``tools decide``; half of its runs die."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient

from inference.predictions import DECISION_FILE
from storage.settings import APP_ROOT
from tools.chaos.commands.run_command import command_line, run_command

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONTAINER = "rules"
RULES: tuple[dict[str, Any], ...] = (
    {"min_score": 0.9, "labels": {"ball": {"as": "round"}, "ring": {"as": "round"}}},
    {"allow": {"trap 7/": ["cube", "cone"], "100%/": []}},
    {"min_score": 0.8, "parents": {"cube": "solid", "cone": "solid", "ball": "solid", "solid": "shape"}},
)
"""Each is in force for some seconds. Their labels are those of the sample model."""


class Decisions:
    """The rules of a run. The last ones stay.

    Args:
        connection: Of the account, without the proxy.
        environ: Of the app, whose storage the proxy disturbs. The place of the rules is added.
        seed: Decides when rules change and runs are killed.

    Attributes:
        changes: How often the rules changed.
        kills: How many runs of ``tools decide`` were killed.
    """

    def __init__(self, connection: str, environ: dict[str, str], seed: int) -> None:
        self._random = random.Random(f"decisions/{seed}")
        service = BlobServiceClient.from_connection_string(connection)
        with contextlib.suppress(ResourceExistsError):
            service.create_container(_CONTAINER)
        self._blob = service.get_blob_client(_CONTAINER, DECISION_FILE)
        self._stopping = threading.Event()
        self._environ = environ
        environ |= {"DECISION_BLOB": f"{_CONTAINER}/{DECISION_FILE}", "MODEL_REFRESH_SECONDS": "1"}
        self.changes = 0
        self.kills = 0
        self._change()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Change the rules again and again while the block runs."""
        thread = threading.Thread(target=self._change_repeatedly, name="decisions", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join()

    @contextmanager
    def file(self) -> Iterator[Path]:
        """Yield a copy of the rules in force."""
        with tempfile.TemporaryDirectory(prefix="rules-") as folder:
            path = Path(folder, DECISION_FILE)
            path.write_bytes(self._blob.download_blob().readall())
            yield path

    def apply(self) -> int:
        """Run ``tools decide`` to its end; return how many rows it decided."""
        return int(run_command(self._environ, "decide")["decided"])

    def _change(self) -> None:
        rules = RULES[self.changes % len(RULES)]
        self._blob.upload_blob(json.dumps(rules), overwrite=True)
        self.changes += 1

    def _change_repeatedly(self) -> None:
        while not self._stopping.wait(self._random.uniform(2, 6)):
            self._change()
            with subprocess.Popen(
                command_line("decide"),
                cwd=APP_ROOT,
                env=self._environ,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as process:
                seconds = self._random.uniform(1, 5) if self._random.random() < 0.5 else None
                try:
                    process.wait(seconds)
                except subprocess.TimeoutExpired:
                    process.kill()
                    self.kills += 1
