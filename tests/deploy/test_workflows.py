"""The GitHub workflows fit GitHub's schemas, zizmor's rules, the Makefile and the supported Python versions."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.programs import PROGRAMS
from tests.test_requirements import PYTHONS
from tools.package.command import ZIP

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
BIN = Path(sys.executable).parent
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
CHECKS = [*((path, "vendor.github-workflows") for path in WORKFLOWS), (GITHUB / "dependabot.yml", "vendor.dependabot")]


def workflow(name: str) -> dict[str, Any]:
    loaded = yaml.safe_load((GITHUB / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def steps(of: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in of["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize(("path", "schema"), CHECKS, ids=[path.name for path, _ in CHECKS])
def test_it_fits_githubs_schema(path: Path, schema: str) -> None:
    check = [str(BIN / "check-jsonschema"), "--builtin-schema", schema, str(path)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_zizmor_finds_nothing() -> None:
    """zizmor finds unpinned actions, template injection, stored credentials and unneeded permissions."""
    done = subprocess.run(
        [BIN / "zizmor", "--offline", "--persona", "pedantic", "--no-progress", "--quiet", GITHUB],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_each_workflow_has_only_the_permissions_it_needs(path: Path) -> None:
    of = workflow(path.stem)
    assert of["permissions"] == {}
    for name, job in of["jobs"].items():
        expected = {"contents": "write"} if (path.stem, name) == ("release", "release") else {"contents": "read"}
        assert job["permissions"] == expected
        assert job["timeout-minutes"] <= 30
    for step in steps(of):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step.get("uses", f"a@{'0' * 40}")), "an action that can change"


def test_ci_runs_the_make_targets_on_every_supported_python() -> None:
    job = workflow("ci")["jobs"]["test"]
    assert tuple(job["strategy"]["matrix"]["python"]) == PYTHONS
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make lint", "make types", "make test"]
    assert {*job["steps"][-1]["env"]["CI_REQUIRE"].split()} == PROGRAMS.keys() - {"webjobs-host"}  # which is no package
    run = (ROOT / ".ci" / "run").read_text()
    assert re.findall(r"^make \w+", run, re.MULTILINE)[:3] == ["make lint", "make types", "make test"]


def test_windows_runs_tests_that_exist_and_need_no_emulator() -> None:
    install, tests, demo = [step["run"] for step in workflow("ci")["jobs"]["windows"]["steps"] if "run" in step]
    assert install == "python -m pip install -r requirements-dev.txt"
    assert demo == "python -m tools demo"
    paths = tests.removeprefix('python -m pytest -m "not azurite" ').split()
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_called_make_target_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = {
        match
        for path in WORKFLOWS
        for step in steps(workflow(path.stem))
        for match in re.findall(r"\bmake ([\w-]+)", step.get("run", ""))
    }
    assert {"package", "test", "install"} <= called <= targets


def test_package_and_measurements_are_uploaded() -> None:
    kept = [step["with"]["path"] for step in steps(workflow("ci")) if "upload-artifact" in step.get("uses", "")]
    assert kept == [ZIP, "bench.json"]


def test_a_release_contains_the_package_and_the_sources_of_its_copyleft_parts() -> None:
    *_, release = steps(workflow("release"))
    assert f"{ZIP} docs/licences.md sources/*" in release["run"]
    urls = re.findall(r"https://[^>]*\.tar\.gz", (ROOT / "docs" / "licences.md").read_text())
    assert len(urls) == 3
    names = {f"{url.split('/')[4]}-{url.rpartition('/')[2]}" for url in urls}
    assert len(names) == 3, "they would overwrite each other"
