"""``python -m tools``: options that hold for every command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inference.errors import ModelError
from tools.__main__ import main

if TYPE_CHECKING:
    from types import ModuleType

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


def test_ctrl_c_while_a_command_is_imported_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_name: str) -> ModuleType:
        raise KeyboardInterrupt

    monkeypatch.setattr("tools.__main__.command_module", interrupted)
    assert main(MISSING) == 130
    assert capsys.readouterr().err == ""
