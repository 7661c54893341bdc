"""``python -m tools model``: the subcommands."""

from __future__ import annotations

from tests.tools.model.model_command import run_model


def test_the_help_of_every_subcommand_ends_with_an_example() -> None:
    for name in ("inspect", "check", "add", "publish", "bench", "quantize"):
        run = run_model(name, "--help")
        assert run.returncode == 0
        assert run.stdout.rstrip().splitlines()[-1].startswith("  python -m tools model "), name
