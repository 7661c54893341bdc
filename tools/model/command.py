"""``python -m tools model``: look into a model folder, get one, publish it, measure it, shrink it.

Exit 0 done; 1 something did not go well, and was said; 2 misuse, or a model that is refused.
"""

from __future__ import annotations

import argparse

from tools.model import add, bench, check, inspect, publish, quantize

_COMMANDS = {
    "inspect": (inspect, "show every fact of a model and the file that states it"),
    "check": (check, "show what the model sees of an image, and what it answers"),
    "add": (add, "fetch a published model, or take a folder in and write its model.json"),
    "publish": (publish, "put a model into blob storage, for MODEL_BLOB"),
    "bench": (bench, "measure time and memory of models on this machine"),
    "quantize": (quantize, "write an int8 sibling, calibrated on your own images, and compare the two"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands."""
    commands = parser.add_subparsers(dest="model_command", metavar="subcommand", required=True)
    for name, (module, summary) in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.configure(command)
    parser.epilog = "example:\n  python -m tools model inspect models/shapes"


def run(args: argparse.Namespace) -> int:
    """Run one subcommand and return its exit code."""
    module, _ = _COMMANDS[args.model_command]
    return int(module.run(args))
