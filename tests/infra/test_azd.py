"""azure.yaml and its hooks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.bicep import INFRA, ROOT, read

AZURE: dict[str, Any] = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))
(SERVICE,) = AZURE["services"].values()
HOOKS = {
    "postdeploy": AZURE["hooks"]["postdeploy"],
    "prepackage": SERVICE["hooks"]["prepackage"],
    "predown": AZURE["hooks"]["predown"],
}


def test_the_service_is_a_python_function_app_with_its_own_packages() -> None:
    assert (SERVICE["host"], SERVICE["language"], SERVICE["project"]) == ("function", "python", ".")
    assert SERVICE["remoteBuild"] is False
    assert (AZURE["infra"]["path"], AZURE["infra"]["module"]) == ("infra", "main")


def test_the_function_app_has_the_name_of_the_service() -> None:
    """azd finds the function app by this tag."""
    (name,) = AZURE["services"]
    assert f"'azd-service-name': '{name}'" in read(INFRA / "main.bicep").modules["app"].params["tags"]
    assert "'azd-env-name'" in str(read(INFRA / "main.bicep").path.read_text())


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_names_one_script_for_each_kind_of_system(hook: str) -> None:
    posix, windows = HOOKS[hook]["posix"], HOOKS[hook]["windows"]
    assert (posix["shell"], windows["shell"]) == ("sh", "pwsh")
    assert Path(posix["run"]).with_suffix(".ps1") == Path(windows["run"])
    for script in (posix["run"], windows["run"]):
        assert (ROOT / script).is_file()
    assert os.access(ROOT / posix["run"], os.X_OK)


def test_the_hook_builds_the_folder_that_azd_deploys() -> None:
    for script in HOOKS["prepackage"]["posix"]["run"], HOOKS["prepackage"]["windows"]["run"]:
        assert SERVICE["dist"] in (ROOT / script).read_text()
    ignored = subprocess.run(["git", "check-ignore", "-q", SERVICE["dist"]], cwd=ROOT, check=False)
    assert ignored.returncode == 0


def test_the_package_hook_runs_make_package_and_unpacks(tmp_path: Path) -> None:
    """``make package`` has its own tests; a stand-in for it writes a zip here."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (tmp_path / ".cache" / "azure").mkdir(parents=True)
    (tmp_path / ".cache" / "azure" / "stale.py").touch()
    (tmp_path / "host.json").write_text("{}")
    (programs / "make").write_text('#!/bin/sh\necho "make $*" >>asked\n')
    (programs / "python").write_text(
        "#!/bin/sh\n"
        'echo "python $*" >>asked\n'
        f'[ "$2" = zipfile ] || set -- -m zipfile -c "$7" host.json\nexec "{sys.executable}" "$@"\n'
    )
    for each in programs.iterdir():
        each.chmod(0o755)
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "MODEL_DIR": "models/mine"}
    subprocess.run(["sh", ROOT / HOOKS["prepackage"]["posix"]["run"]], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "asked").read_text().splitlines() == [
        "make --silent install",
        "python -m tools package --model models/mine --output .cache/azure.zip",
        "python -m zipfile -e .cache/azure.zip .cache/azure",
    ]
    assert [each.name for each in (tmp_path / ".cache" / "azure").iterdir()] == ["host.json"]


def test_the_scripts_read_only_values_of_azd() -> None:
    script = (ROOT / HOOKS["postdeploy"]["posix"]["run"]).read_text(encoding="utf-8")
    needed = re.search(r"for name in ([A-Z_ ]+);", script)
    assert needed
    azds_own = {"AZURE_SUBSCRIPTION_ID"}
    assert set(needed[1].split()) - azds_own <= read(INFRA / "main.bicep").outputs.keys()


@pytest.mark.parametrize("folder", ["tools", "tests", "docs", "infra", "deploy"])
def test_funcignore_keeps_folders_of_packages(folder: str) -> None:
    """onnxruntime contains a folder ``tools``, and numpy a folder ``tests``."""
    lines = (ROOT / ".funcignore").read_text().splitlines()
    assert f"/{folder}/" in lines
    assert f"{folder}/" not in lines


@pytest.mark.parametrize(("account", "code"), [("", 0), ("stphotos", 1)], ids=["our own account", "one that was there"])
def test_azd_down_is_refused_for_an_existing_image_account(account: str, code: int) -> None:
    environment = {
        "EXISTING_IMAGE_ACCOUNT": account,
        "EXISTING_IMAGE_RESOURCE_GROUP": "rg-photos",
        "AZURE_RESOURCE_GROUP": "rg-a",
    }
    script = ROOT / HOOKS["predown"]["posix"]["run"]
    done = subprocess.run(["sh", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert ("az group delete --name rg-a" in done.stderr) == bool(code)
    assert ("rg-photos" in done.stderr) == bool(code)
