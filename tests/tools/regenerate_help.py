"""Rewrites docs/tools.md: the help of every command, as a terminal of 100 columns shows it.

python -m tests.tools.regenerate_help
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
from pathlib import Path
from unittest.mock import patch

from tools.__main__ import COMMANDS, main

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "tools.md"
_HEAD = """\
# Tools

The help of `python -m tools` and of each command. [Settings](settings.md) come from the environment, then from
`local.settings.json`.

Written by `python -m tests.tools.regenerate_help`; a test keeps it equal.
"""


def document() -> str:
    """Return docs/tools.md with the current help."""
    parts = [_HEAD, _section("python -m tools")]
    for command in COMMANDS:
        parts.append(_section(f"python -m tools {command}"))
        parts += [_section(f"python -m tools {command} {inner}", level=3) for inner in _inner_commands(command)]
    return "\n".join(parts)


def help_of(*words: str) -> str:
    """Return the help of a command."""
    output = io.StringIO()
    plain = {"COLUMNS": "100", "NO_COLOR": "1"}
    with patch.dict(os.environ, plain), contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    return output.getvalue()


def _section(command: str, level: int = 2) -> str:
    text = help_of(*command.split()[3:]).rstrip()
    return f"{'#' * level} {command.removeprefix('python -m tools').strip() or command}\n\n```text\n{text}\n```\n"


def _inner_commands(command: str) -> list[str]:
    """Return the subcommands of a command, such as ``model inspect``."""
    from tools.__main__ import command_module

    parser = argparse.ArgumentParser()
    command_module(command).configure(parser)
    choices = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [str(name) for found in choices for name in found]


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
