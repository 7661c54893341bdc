"""``python -m tools``: options that hold for every command."""

from __future__ import annotations

import pytest

from inference.errors import ModelError
from tools.__main__ import main

MISSING = ["model", "inspect", "no-such-folder"]


@pytest.mark.parametrize(
    "arguments",
    [["--debug", *MISSING], ["model", "--debug", "inspect", "no-such-folder"], [*MISSING, "--debug"]],
    ids=["before the command", "behind the command", "at the end"],
)
def test_debug_is_understood_anywhere(arguments: list[str]) -> None:
    with pytest.raises(ModelError):
        main(arguments)


def test_without_debug_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(MISSING) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_file_with_the_name_of_an_option_is_still_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "inspect", "--", "--debug"]) == 2
    assert "--debug" in capsys.readouterr().err
