"""Runs ``python -m tools COMMAND``. Each command is a module with ``configure(parser)`` and ``run(args)``.

Only the module of the requested command is imported, so that ``classify`` never loads an Azure package.
stdout carries data; stderr carries messages. Exit codes: 0 success, 1 some images were rejected or failed, 2 misuse or
invalid settings.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from inference.errors import ClassificationError, ConfigurationError

if TYPE_CHECKING:
    from types import ModuleType

COMMANDS = {
    "backfill": "classify existing images that have no result yet (or queue them with --enqueue)",
    "bench": "measure speed and CPU time on this machine and compare them with baselines",
    "chaos": "test the app on this machine under storage faults, host kills and concurrent overwrites",
    "classify": "classify local files and folders, without storage",
    "cost": "estimate what classifying photos costs on Azure, from CPU time measured on this machine",
    "decide": "decide labels again by a changed decision.json, without reading an image",
    "demo": "render sample photos, upload them to a local stack and print their rows",
    "dev": "run Azurite and the dev host for Storage Explorer or azcopy",
    "doctor": "check settings, storage, model and machine, and suggest fixes",
    "export": "write results as files for spreadsheets, analysis, training and other programs",
    "host": "run the dev host on the storage that the settings name",
    "model": "inspect, add, publish, measure or quantize a model",
    "package": "build the zip that Azure Functions runs, with Python packages and your model",
    "query": "list results, filter them and download images",
    "reconcile": "find images without a correct result, and repair or queue them",
    "redrive": "queue failed or rejected images again",
    "report": "write the results as one HTML page with charts and thumbnails",
    "review": "let people correct labels, and import their corrections",
    "sort": "copy images into folders by label, within the account",
    "trust": "state how far to trust each label, from reviews of a random sample",
}


def command_module(name: str) -> ModuleType:
    """Import a command: ``tools/NAME.py``, or ``tools/NAME/command.py`` where it is a folder."""
    is_folder = (Path(__file__).parent / name).is_dir()
    return importlib.import_module(f"tools.{name}.command" if is_folder else f"tools.{name}")


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:  # also while a command's module is being imported, which takes seconds on a busy machine
        return 130


def _run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools",
        description="Run, test and query the image classifier from a terminal.",
        epilog="Show the options of a command: python -m tools COMMAND --help\n\n"
        "example:\n  python -m tools classify photo.jpg",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks instead of one-line errors")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    requested = next((word for word in arguments if word in COMMANDS), None)
    # Where the command comes first, nothing can list the others, and 15 parsers are not built in vain.
    listed = {requested: COMMANDS[requested]} if requested and arguments[0] == requested else COMMANDS
    for name, summary in listed.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == requested:
            command_module(name).configure(command)
    _prepare_output()
    args = parser.parse_args(_debug_first(arguments))
    try:
        return int(command_module(args.command).run(args))
    except ConfigurationError as error:
        return _report(error, args.debug, 2)
    except ClassificationError as error:
        return _report(error, args.debug, 1)
    except OSError as error:
        if not _is_closed_pipe(error):
            raise
        # The reader closed the pipe (`| head`). Python must not report that at exit when it flushes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _debug_first(arguments: list[str]) -> list[str]:
    """Move ``--debug`` before the command, so that it is understood behind the command and its subcommand too."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = arguments[:end]
    return ["--debug"] * ("--debug" in options) + [each for each in options if each != "--debug"] + arguments[end:]


def _prepare_output() -> None:
    """Let every character be printed: what the encoding of stdout or stderr lacks is escaped.

    On Windows files and pipes get UTF-8. Python's default there is an old code page that other programs do not expect.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = "utf-8" if sys.platform == "win32" and not stream.isatty() else None
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def _is_closed_pipe(error: OSError) -> bool:
    """Whether a write failed because the reader closed the pipe; Windows calls that an invalid argument."""
    is_invalid = sys.platform == "win32" and error.errno == errno.EINVAL and error.filename is None
    return is_invalid or isinstance(error, BrokenPipeError)


def _report(error: Exception, debug: bool, code: int) -> int:  # noqa: FBT001 - a private helper with one caller
    if debug:
        raise error
    print(f"{error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
