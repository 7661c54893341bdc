"""``python -m tools dev``: Azurite, the dev host and a line for each image, in one terminal, until Ctrl+C."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from rich.cells import cell_len, set_cell_size

from tools.azurite import azurite
from tools.host import serve
from tools.terminal import end_of, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from tools.devhost.host import DevHost

# The app's log line for a finished image: the event's name, then key=value, texts as JSON strings.
FINISHED = "image_finished "
_FIELD = re.compile(r'(?P<key>\w+)=(?P<value>"(?:[^"\\]|\\.)*"|\S+)')
# Columns of a row, with their widths in terminal cells.
_COLUMNS = {"image": 48, "status": 10, "label": 20, "score": 6, "ms": 6}
_NUMBERS = frozenset({"score", "ms"})
_MIN_NAME, _NARROW_LABEL = 12, 14


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    for service, usual in azurite.Ports()._asdict().items():
        parser.add_argument(
            f"--{service}-port",
            metavar="PORT",
            help=f"where Azurite's {service} service listens (default {usual}, or AZURITE_{service.upper()}_PORT)",
        )
    parser.add_argument("--data", type=Path, metavar="DIR", help="where Azurite keeps its data (default .azurite/data)")
    parser.add_argument("--verbose", action="store_true", help="show the log too, not only its warnings")
    parser.description = (
        "Run Azurite and the dev host on it, and print a line for each finished image, until Ctrl+C. Storage Explorer\n"
        "and azcopy can connect to it."
    )
    parser.epilog = "example:\n  python -m tools dev --blob-port 11000 --queue-port 11001 --table-port 11002"


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; leave nothing behind."""
    usual = azurite.ports_from_environ(os.environ)
    given = {service: getattr(args, f"{service}_port") for service in usual._fields}
    ports = usual._replace(
        **{name: azurite.port_number(text, f"--{name}-port") for name, text in given.items() if text is not None}
    )
    with azurite.running(args.data, ports) as emulator:
        # This command uses only the emulator, even if the environment or local.settings.json name another account.
        os.environ.update(dict.fromkeys(("AzureWebJobsStorage", "ImageStorage"), emulator.connection_string))
        return serve(Path.cwd(), started=lambda host: _invite(host, emulator, verbose=args.verbose))


def _invite(host: DevHost, emulator: azurite.Azurite, *, verbose: bool) -> None:
    if not verbose:
        for handler in logging.getLogger().handlers:
            handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(FinishedImages())
    container = host.settings["INCOMING_CONTAINER"]
    assign = "$env:INCOMING_URL = " if sys.platform == "win32" else "export INCOMING_URL="
    print(
        f"\nUpload images into the container {container!r}. Storage Explorer reaches everything with this\n"
        f"(the key is Azurite's own, the same on every machine):\n\n  {emulator.connection_string}\n\n"
        f"azcopy with this URL:\n\n  {assign}'{_signed_url(emulator, container)}'\n\n"
        f"{_line({name: name for name in _COLUMNS}, columns())}",
        flush=True,
    )


def _signed_url(emulator: azurite.Azurite, container: str) -> str:
    """Return the container's address with a SAS for a day: azcopy takes no connection string."""
    signature = generate_container_sas(
        azurite.ACCOUNT,
        container,
        account_key=azurite.ACCOUNT_KEY,
        permission=ContainerSasPermissions(read=True, add=True, create=True, write=True, list=True),
        expiry=datetime.now(UTC) + timedelta(days=1),
    )
    return f"http://127.0.0.1:{emulator.ports.blob}/{azurite.ACCOUNT}/{container}?{signature}"


class FinishedImages(logging.Handler):
    """Prints a row on stdout for each finished image."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the row of such a record, and ignore others."""
        line = row(record.getMessage(), columns())
        if line:
            print(line, file=sys.stdout, flush=True)


def columns() -> dict[str, int]:
    """Return the columns of a row and their widths: those of the terminal, or all where stdout is no terminal."""
    if not sys.stdout.isatty():
        return _COLUMNS
    widths = dict(_COLUMNS)
    others = sum(widths.values()) - widths["image"] + len(widths) - 1
    terminal = shutil.get_terminal_size().columns
    if terminal < others + _MIN_NAME:
        widths = {"image": 0, "label": _NARROW_LABEL, "score": widths["score"]}
        others = sum(widths.values()) + len(widths) - 1
    widths["image"] = min(max(terminal - others, _MIN_NAME), _COLUMNS["image"])
    return widths


def row(message: str, widths: Mapping[str, int] = _COLUMNS) -> str | None:
    """Return the terminal row for the app's log message, or ``None`` when it is another message."""
    if not message.startswith(FINISHED):
        return None
    fields = {match["key"]: _plain(match["value"]) for match in _FIELD.finditer(message, len(FINISHED))}
    values = {
        "image": fields.get("image", "?"),
        "status": fields.get("status") or fields.get("outcome", "?"),
        "label": fields.get("label") or fields.get("reason", ""),
        "score": fields.get("score", ""),
        "ms": fields.get("total_ms", ""),
    }
    return _line(values, widths)


def _line(values: Mapping[str, str], widths: Mapping[str, int]) -> str:
    """Return the values in columns: numbers to the right, of a long name the end, of another text the beginning."""
    cells = []
    for name, width in widths.items():
        value = end_of(values[name], width) if name == "image" else values[name]
        if cell_len(value) > width:
            value = f"{set_cell_size(value, width - 1)}…"
        cells.append(f"{value:>{width}}" if name in _NUMBERS else set_cell_size(value, width))
    return " ".join(cells)


def _plain(value: str) -> str:
    """Undo the JSON string, and escape control characters."""
    text = json.loads(value, strict=False) if value.startswith('"') else value
    return printable(text)
