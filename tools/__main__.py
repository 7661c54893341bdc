"""The one door: ``python -m tools <command>``. Each command is a module with ``configure(parser)`` and ``run(args)``.

Only the chosen command's module is imported, so that ``classify`` never loads an Azure package.
stdout is data, stderr is talk. Exit 0 done, 1 some images rejected or failed, 2 misuse or settings that are wrong.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from inference.errors import ClassificationError, ConfigurationError

if TYPE_CHECKING:
    from types import ModuleType

COMMANDS = {
    "backfill": "classify what was there before the app came, or send it to be classified",
    "bench": "measure what it costs here, and how far that is from what is possible",
    "chaos": "prove the promise under faults, kills and races, on this machine",
    "classify": "classify local files and folders; needs no storage",
    "cost": "say what classifying that many photos costs on Azure, measured here",
    "demo": "render sample photos, upload them to a local stack, print the rows",
    "dev": "run Azurite and the dev host; point Storage Explorer or azcopy at it",
    "doctor": "look at settings, storage, model and machine, and say what to do",
    "host": "run the dev host on whatever storage the settings name",
    "model": "look into a model, get one, publish it, measure it, quantise it",
    "package": "build the zip that Azure Functions runs, with its packages and your model",
    "query": "ask which images got which answer, and fetch them",
    "reconcile": "find images that got lost, and mend results that are half-written",
    "redrive": "send failed or rejected images round again",
    "report": "write what was found as one page to look at, with pictures and charts",
}


def command_module(name: str) -> ModuleType:
    """Import a command: ``tools/NAME.py``, or ``tools/NAME/command.py`` where it is a folder."""
    is_folder = (Path(__file__).parent / name).is_dir()
    return importlib.import_module(f"tools.{name}.command" if is_folder else f"tools.{name}")


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="python -m tools",
        description="Run, feed and question the image classifier from a terminal.",
        epilog="Each command explains itself: python -m tools COMMAND --help\n\n"
        "example:\n  python -m tools classify photo.jpg",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks instead of sentences")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    chosen = next((word for word in arguments if word in COMMANDS), None)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == chosen:
            command_module(name).configure(command)
    args = parser.parse_args(arguments)
    try:
        return int(command_module(args.command).run(args))
    except ConfigurationError as error:
        return _say(error, args.debug, 2)
    except ClassificationError as error:
        return _say(error, args.debug, 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`| head`): not an error, but Python must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _say(error: Exception, debug: bool, code: int) -> int:  # noqa: FBT001 - a private helper with one caller
    if debug:
        raise error
    print(f"{error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
