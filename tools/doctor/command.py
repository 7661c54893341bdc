"""Checks everything the app needs, and reports each finding in a sentence, with a remedy if something is wrong."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from inference.errors import ConfigurationError
from storage.clients import connect
from storage.connection import DEVELOPMENT_STORAGE, read_connection
from storage.errors import SettingsError
from storage.settings import APP_ROOT
from tools.account import open_account
from tools.devhost.settings import load_settings
from tools.doctor.account import check_account, check_host_account, check_shared_account
from tools.doctor.actions import check_labels
from tools.doctor.deployment import (
    check_config_warnings,
    check_host_json,
    check_machine,
    check_packages,
    check_settings,
)
from tools.doctor.findings import Level, problem
from tools.doctor.models import check_candidate, check_decision, check_model
from tools.doctor.probe import probe
from tools.doctor.shared_access_signature import check_sas
from tools.failures.first_request import FirstRequestSession
from tools.terminal import quiet_loggers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tools.doctor.findings import Finding

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--probe", action="store_true", help="also upload an image, wait for its row, and remove both")
    parser.add_argument(
        "--wait", type=_seconds, default=120.0, metavar="SECONDS", help="wait at most SECONDS for the row (120)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per line; the summary comes last")
    parser.epilog = (
        "Without --probe the command writes and creates nothing. It never prints a key, token or SAS.\n"
        "Exit 0: no problems, possibly warnings. 1: problems. 2: the settings cannot be read.\n\n"
        "example:\n  python -m tools doctor --probe"
    )


def run(args: argparse.Namespace) -> int:
    """Run all checks; ``configure`` explains the exit codes."""
    counts: Counter[Level] = Counter()
    show = _print_json if args.json else _LinePrinter().show
    code = 0
    try:
        for finding in _findings(args):
            counts[finding.level] += 1
            show(finding)
    except ConfigurationError as error:
        code = 2
        for sentence in str(error).removesuffix(".").split("; "):
            counts[Level.PROBLEM] += 1
            show(problem("settings", f"{sentence}."))
    if args.json:
        print(json.dumps({"event": "summary", **{str(level): counts[level] for level in Level}}), flush=True)
    else:
        problems, warnings = counts[Level.PROBLEM], counts[Level.WARNING]
        print(f"{problems} problem{'s' * (problems != 1)}, {warnings} warning{'s' * (warnings != 1)}.")
    return code or (1 if counts[Level.PROBLEM] else 0)


def _findings(args: argparse.Namespace) -> Iterator[Finding]:
    """Run the checks in order.

    Raises:
        ConfigurationError: The settings cannot be read, so that no other check is possible.
    """
    environ = load_settings(APP_ROOT, os.environ, DEVELOPMENT_STORAGE)
    with open_account() as account, quiet_loggers("azure"):
        yield from check_settings(account.settings, environ)
        yield from chain(
            check_packages(APP_ROOT / "requirements.txt"),
            check_host_json(APP_ROOT, environ),
            check_config_warnings(APP_ROOT, environ, account.settings),
            check_machine(account.settings),
        )
        yield from check_sas(account.settings.image_storage, datetime.now(UTC))
        yield from check_account(account.clients, account.settings.image_storage, account.settings)
        yield from _host_account(environ)
        finding, model = check_model(account.settings, account.clients)
        yield finding
        if model:
            yield from check_decision(account.settings, account.clients, model)
            yield from check_labels(account.settings.notify_labels, model)
        yield from check_candidate(account.settings, account.clients)
        if args.probe:
            yield from probe(account, model.model.version if model else None, args.wait)


def _host_account(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check the host's account, which may be the app's own; ``check_settings`` reports a wrong setting."""
    try:
        connection, app_connection = (
            read_connection(environ, "AzureWebJobsStorage"),
            read_connection(environ, "ImageStorage"),
        )
        is_shared = (connection.connection_string, connection.blob_uri) == (
            app_connection.connection_string,
            app_connection.blob_uri,
        )
        clients = connect(connection, session=FirstRequestSession(connection))
    except SettingsError:
        return
    try:
        yield from [] if is_shared else check_sas(connection, datetime.now(UTC))
        yield from (check_shared_account if is_shared else check_host_account)(clients, connection)
    finally:
        clients.close()


def _print_json(finding: Finding) -> None:
    print(json.dumps({"event": "finding", **finding._asdict()}), flush=True)


class _LinePrinter:
    """Prints a line per finding, wrapped at the terminal's width; not wrapped in a pipe."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())

    def show(self, finding: Finding) -> None:
        """Print one finding."""
        level = (f"{finding.level:<8}", _STYLES[finding.level])
        self._console.print(Text.assemble(level, f" {finding.about:<10} ", finding.sentence))


def _seconds(text: str) -> float:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds: use a positive integer")
    return float(text)
