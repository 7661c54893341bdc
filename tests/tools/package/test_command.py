"""The command, with two small packages in the place of the locked ones."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools.__main__ import main
from tools.package import contents, wheels

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPES = Path(__file__).resolve().parents[3] / "models" / "shapes"


@pytest.fixture
def no_registry(monkeypatch: pytest.MonkeyPatch, installed: Callable[..., None]) -> None:
    """Replaces pip by two packages."""

    def install(_lock: Path, site: Path) -> None:
        installed(site, "kit", "1.0", files=("kit.py",))
        installed(site, "pillow-heif", "1.8", files=("heif.py",))

    monkeypatch.setattr(wheels, "install", install)


@pytest.mark.usefixtures("no_registry")
def test_another_model_is_packed_and_its_setting_printed(
    my_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.zip"
    assert main(["package", "--model", str(my_model), "-o", str(target)]) == 0
    output = capsys.readouterr()
    assert "app setting MODEL_DIR=models/my-model," in output.err
    assert re.search(r"^models/my-model: shapes version [0-9a-f]{12}$", output.out, re.MULTILINE)
    assert re.search(r" of at most 75, sha256 [0-9a-f]{64}$", output.out, re.MULTILINE)
    with zipfile.ZipFile(target) as opened:
        assert {"function_app.py", "models/my-model/weights.bin", f"{contents.SITE_PACKAGES}/heif.py"} <= set(
            opened.namelist()
        )


@pytest.mark.usefixtures("no_registry")
def test_two_models_are_packed_in_the_order_of_the_setting(
    my_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["package", "--model", f"{my_model}; {SHAPES}", "-o", str(tmp_path / "out.zip")]) == 0
    assert "MODEL_DIR=models/my-model;models/shapes," in capsys.readouterr().err


@pytest.mark.usefixtures("no_registry")
def test_no_heic_removes_pillow_heif(tmp_path: Path) -> None:
    target = tmp_path / "out.zip"
    assert main(["package", "--no-heic", "-o", str(target)]) == 0
    with zipfile.ZipFile(target) as opened:
        assert [name for name in opened.namelist() if name.startswith(contents.SITE_PACKAGES) and "heif" in name] == []
        assert f"{contents.SITE_PACKAGES}/kit.py" in opened.namelist()


@pytest.mark.usefixtures("no_registry")
def test_an_outdated_lock_is_refused_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "requirements.txt").write_text("kit==2.0\n")
    monkeypatch.setattr(wheels, "ROOT", tmp_path)
    assert main(["package", "-o", str(tmp_path / "out.zip")]) == 2
    assert "python3.13 -m tools.package.wheels" in capsys.readouterr().err
    assert not (tmp_path / "out.zip").exists()
