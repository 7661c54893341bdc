"""``python -m tools dev``: Azurite, the dev host and a line for each image, in one terminal, until Ctrl+C."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from tools.azurite import azurite
from tools.host import serve
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse

    from tools.devhost.host import DevHost

# The app's log line for a finished image: the event's name, then key=value, texts as JSON strings.
FINISHED = "image_finished "
_FIELD = re.compile(r'(?P<key>\w+)=(?P<value>"(?:[^"\\]|\\.)*"|\S+)')
_MAX_NAME = 48


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
        f"{'image':<{_MAX_NAME}} {'status':<10} {'label':<20} {'score':>6} {'ms':>6}",
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
        line = row(record.getMessage())
        if line:
            print(line, file=sys.stdout, flush=True)


def row(message: str) -> str | None:
    """Return the terminal row for the app's log message, or ``None`` when it is another message."""
    if not message.startswith(FINISHED):
        return None
    fields = {match["key"]: _plain(match["value"]) for match in _FIELD.finditer(message, len(FINISHED))}
    name, score, elapsed = fields.get("image", "?"), fields.get("score", ""), fields.get("total_ms", "")
    name = name if len(name) <= _MAX_NAME else f"...{name[3 - _MAX_NAME :]}"
    result = fields.get("label") or fields.get("reason", "")
    status = fields.get("status") or fields.get("outcome", "?")
    return f"{name:<{_MAX_NAME}} {status:<10} {result:<20} {score:>6} {elapsed:>6}"


def _plain(value: str) -> str:
    """Undo the JSON string, and escape control characters."""
    text = json.loads(value, strict=False) if value.startswith('"') else value
    return printable(text)
