"""README and docs: links lead somewhere, paths exist, commands are accepted, and the Python of the README runs."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import os
import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tools.__main__ import COMMANDS, command_module

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (
    "inference",
    "storage",
    "tools",
    "tests",
    "infra",
    "deploy",
    "models",
    "docs",
    "benchmarks",
    ".ci",
    ".github",
)
# Paths that an example makes up.
MADE_UP = {"models/mine", "models/mine/model.json", "models/birds-int8"}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
SPAN = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def documents() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(name for name in listed.stdout.split("\0") if name)


def read(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def prose(document: str) -> str:
    return FENCE.sub("", read(document))


@cache
def anchors(document: str) -> set[str]:
    """The fragments that GitHub gives the headings of a document."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", read(document)), re.MULTILINE):
        text = LINK.sub(lambda link: link[0].partition("]")[0].lstrip("!["), heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        number = next(n for n in range(100) if (f"{slug}-{n}" if n else slug) not in found)
        found.add(f"{slug}-{number}" if number else slug)
    return found


@pytest.mark.parametrize("document", documents())
def test_links_lead_somewhere(document: str) -> None:
    dead = []
    for target in LINK.findall(prose(document)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = (ROOT / document).parent / path if path else ROOT / document
        if not file.exists() or (fragment and fragment not in anchors(os.path.relpath(file.resolve(), ROOT))):
            dead.append(target)
    assert dead == []


@pytest.mark.parametrize("document", documents())
def test_paths_in_a_document_exist(document: str) -> None:
    """Paths in backquotes, from the root of the repository; of a test, the function too. A bare name is one file's."""
    missing = []
    for span in SPAN.findall(prose(document)):
        path, _, function = span.partition("::")
        if (
            not re.fullmatch(rf"(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./*-]+|test_\w+\.py", path)
            or path in MADE_UP
        ):
            continue
        files = list((ROOT / "tests").rglob(path)) if path.startswith("test_") else list(ROOT.glob(path.rstrip("/")))
        ambiguous = bool(function) and len(files) > 1
        if not files or ambiguous or (function and f"def {function}(" not in files[0].read_text(encoding="utf-8")):
            missing.append(span)
    assert missing == []


def commands(document: str) -> list[str]:
    """The shell commands of a document's fences and spans, without prompts, output and redirections."""
    found = []
    for language, fence in FENCE.findall(read(document)):
        if language in {"sh", "bash", "powershell", "console"}:
            lines = re.sub(r"\\\n", " ", fence).splitlines()
            found += [line.removeprefix("$ ") for line in lines if language != "console" or line.startswith("$ ")]
    return found + SPAN.findall(prose(document))


def words(command: str) -> list[str]:
    try:
        return shlex.split(re.split(r" [>|] | && ", command.replace("\\", "/"))[0], comments=True)
    except ValueError:  # a part of a command that spans lines
        return []


def complaint(command: str) -> str:
    """Return the reason why a command cannot run as written, or an empty text."""
    _, found, after = command.partition("-m tools ")
    name, *arguments = words(after) or [""]
    if found and "..." not in command and name not in {"COMMAND", ""}:
        if name not in COMMANDS:
            return f"{command}: no such command"
        parser = argparse.ArgumentParser(exit_on_error=False)
        command_module(name).configure(parser)
        printed = io.StringIO()
        try:
            with contextlib.redirect_stderr(printed):
                parser.parse_args(arguments)
        except (SystemExit, argparse.ArgumentError) as error:
            text = f"{error} {printed.getvalue()}"
            if not re.search(r"expected one argument|are required", text):  # prose may shorten a command
                return f"{command}: {text}"
    for module in re.findall(r"-m ((?:tests|tools)\.[\w.]+)", command):
        if importlib.util.find_spec(module) is None:
            return f"{command}: no such module"
    for target in re.findall(r"^make (\w+)", command):
        if not re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE):
            return f"{command}: no such target"
    return ""


@pytest.mark.parametrize("document", [name for name in documents() if name != "docs/tools.md"])
def test_commands_in_a_document_are_accepted(document: str) -> None:
    assert [text for text in map(complaint, commands(document)) if text] == []


@pytest.mark.parametrize("document", [name for name in documents() if name != "CHANGELOG.md"])
def test_a_document_has_each_section_once(document: str) -> None:
    sections = re.findall(r"^## .+$", FENCE.sub("", read(document)), re.MULTILINE)

    assert len(sections) == len(set(sections))


def test_the_readme_leads_to_every_document() -> None:
    one_click = {target.partition("#")[0] for target in LINK.findall(read("README.md"))}
    decisions = {f"docs/adr/{target}" for target in LINK.findall(read("docs/adr/README.md"))}
    expected = {name for name in documents() if name != "README.md"}
    assert expected - one_click - decisions == set()


def test_the_documentation_table_names_each_document_once() -> None:
    table = read("README.md").partition("## Documentation")[2]
    listed = [target for target in LINK.findall(table) if target.startswith("docs/")]
    assert sorted(listed) == sorted([*{str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md")}, "docs/adr/README.md"])


def test_the_readme_s_python_classifies_a_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tools.sample_photos.samples import render_samples

    sample = next(sample for sample in render_samples() if sample.name == "camera-1/IMG_0001.jpg")
    (tmp_path / "photo.jpg").write_bytes(sample.content)
    (tmp_path / "models").symlink_to(ROOT / "models", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    (code,) = [fence for language, fence in FENCE.findall(read("README.md")) if language == "python"]
    exec(code, {})
    label, score, width, height = capsys.readouterr().out.split()
    assert label == sample.label
    assert 0.5 < float(score) <= 1
    assert int(width) > int(height)


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= 130
