"""``python -m tools review``: let people correct labels, without a server.

Exit code 0: done. 1: done in part, with a message on stderr. 2: misuse, or a file that cannot be used.
"""

from __future__ import annotations

import argparse

from tools.review import import_reviews, make

_COMMANDS = {
    "make": (make, "write photos as a page on which people correct labels, or as tasks for Label Studio"),
    "import": (import_reviews, "write the corrections of a file to the table of reviews"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands."""
    commands = parser.add_subparsers(dest="review_command", metavar="subcommand", required=True)
    for name, (module, summary) in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.configure(command)
    parser.epilog = (
        "examples:\n"
        "  python -m tools review make --per-label 20 -o review.html\n"
        "  python -m tools review import corrections.json --by 'Ana Pires'"
    )


def run(args: argparse.Namespace) -> int:
    """Run one subcommand and return its exit code."""
    module, _ = _COMMANDS[args.review_command]
    return int(module.run(args))
