"""``python -m tools model``: inspect, check, add, publish, measure and quantize model folders.

Exit code 0: done. 1: done in part, with a message on stderr. 2: misuse, or a model folder that cannot be used.
"""

from __future__ import annotations

import argparse

from tools.model import add, bench, check, inspect, publish, quantize

_COMMANDS = {
    "inspect": (inspect, "show every value of a model's configuration and the file that states it"),
    "check": (check, "show the model's input for an image as a picture, and its output"),
    "add": (add, "download a published model, or copy an exporter's folder, and write its model.json"),
    "publish": (publish, "upload a model to blob storage, for MODEL_BLOB"),
    "bench": (bench, "measure time and memory of models on this machine"),
    "quantize": (quantize, "write an int8 copy, calibrated on your own images, and compare the two"),
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
