"""Who may import whom. The import statements are read, and each room is imported in a clean interpreter and looked at.

Arrows point inward: ``inference`` knows nobody, ``storage`` knows two of its modules, ``tools`` and ``function_app``
know both. What is not allowed here by name is refused, so a new dependency is a decision and not an accident.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("inference", "storage", "tools")

# Beside the standard library. An entry also allows what lies below it.
ALLOWED = {
    "function_app": {"azure.functions", "azurefunctions", "inference", "storage"},
    "inference": {"inference", "numpy", "PIL", "pillow_heif", "onnxruntime"},
    "storage": {"storage", "azure", "requests", "inference.errors", "inference.predictions"},
}
REFUSED = {
    "storage": {"azure.functions"},
    "tools": {"azure.functions", "azurefunctions", "function_app", "tests"},
    "tools.devhost": {"tests"},  # it imitates the host, so it alone speaks the worker's language
}
STDLIB_ONLY = ("inference.errors", "inference.predictions")
VAGUE_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|managers?|misc)(_|$)")


class Import(NamedTuple):
    """One imported name: where it is said, and what it brings in."""

    where: str
    name: str


def modules(room: str) -> list[Path]:
    """The room's source files; a room may be one file."""
    single = ROOT / f"{room}.py"
    return [single] if single.is_file() else sorted((ROOT / room).rglob("*.py"))


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> list[Import]:
    """Every import statement, wherever it stands: in a function and under TYPE_CHECKING too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            found += [Import(where, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{where}: relative imports hide which room is meant"
            found += [Import(where, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def covered(name: str, by: set[str]) -> bool:
    """Whether a dotted name is one of these or lies below one of them."""
    return any(name == entry or name.startswith(f"{entry}.") for entry in by)


def is_stdlib(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


def left_after(statement: str) -> set[str]:
    """The modules that a clean interpreter holds after a statement and did not hold before it."""
    # A namespace package's .pth file may put bare names such as `azure` into every interpreter: they do not count.
    program = (
        "import json, sys; before = set(sys.modules)\n"
        f"{statement}\n"
        "print('\\n' + json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_it_is_allowed(room: str) -> None:
    strangers = [
        said
        for path in modules(room)
        for said in imports(path)
        if not is_stdlib(said.name) and not covered(said.name, ALLOWED[room])
    ]
    assert strangers == []


@pytest.mark.parametrize("room", ["storage", "tools"])
def test_a_room_imports_nothing_it_is_refused(room: str) -> None:
    strangers = [
        said
        for path in modules(room)
        for said in imports(path)
        if covered(said.name, REFUSED["tools.devhost" if dotted(path).startswith("tools.devhost") else room])
    ]
    assert strangers == []


def test_nobody_imports_the_function_app_but_who_hosts_it() -> None:
    """The dev host loads it by path, as the worker does: nothing depends on the composition root."""
    assert [
        said
        for room in ROOMS
        for path in modules(room)
        for said in imports(path)
        if said.name.startswith("function_app")
    ] == []


@pytest.mark.parametrize("module", STDLIB_ONLY)
def test_the_vocabulary_needs_the_standard_library_only(module: str) -> None:
    said = imports(ROOT / f"{module.replace('.', '/')}.py")
    assert [each for each in said if not is_stdlib(each.name) and not covered(each.name, set(STDLIB_ONLY))] == []


def test_a_packages_init_is_a_docstring() -> None:
    inits = [path for room in ROOMS for path in modules(room) if path.name == "__init__.py"]
    assert len(inits) >= len(ROOMS)
    for path in inits:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert len(tree.body) == 1, f"{path.relative_to(ROOT)} holds more than its docstring"
        assert ast.get_docstring(tree), f"{path.relative_to(ROOT)} says nothing"


def test_modules_are_named_for_what_they_hold() -> None:
    named = [path.relative_to(ROOT) for room in (*ROOMS, "tests") for path in modules(room)]
    assert [str(path) for path in named if any(VAGUE_NAMES.search(part) for part in path.with_suffix("").parts)] == []


def test_inference_touches_the_environment_in_one_place_and_only_to_silence_telemetry() -> None:
    touched = [touch for path in modules("inference") for touch in environment_touches(path)]
    assert touched == ["inference/model/session.py: write ORT_DISABLE_TELEMETRY"]


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("import os\nos.environ['A']", ["m.py: read"]),
        ("import os\nos.environ.get('A')", ["m.py: read"]),
        ("import os\nos.getenv('A')", ["m.py: read"]),
        ("from os import environ", ["m.py: read"]),
        ("import os\nos.environ['A'] = 'b'", ["m.py: write A"]),
        ("import os\nos.cpu_count()", []),
    ],
    ids=["subscript", "get", "getenv", "imported by name", "write", "another part of os"],
)
def test_the_environment_check_sees(
    source: str, seen: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "m.py").write_text(source)
    assert environment_touches(tmp_path / "m.py") == seen


def environment_touches(path: Path) -> list[str]:
    """Where a module reads or writes environment variables; a write to a constant name is named."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    where = path.relative_to(ROOT).as_posix()
    writes = {
        id(target.value): f"write {target.slice.value!s}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant)
    }
    names = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    touched = [
        f"{where}: {writes.get(id(node), 'read')}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in names
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    ]
    named = [
        said for said in imports(path) if said.name.partition(".")[0] == "os" and said.name.rpartition(".")[2] in names
    ]
    return touched + [f"{where}: read" for _ in named]


def test_inference_brings_in_no_azure_and_no_other_room() -> None:
    held = left_after(";".join(f"import {dotted(path)}" for path in modules("inference")))
    assert "inference.model.session" in held
    assert [
        name for name in held if covered(name, {"azure", "azurefunctions", "storage", "tools", "function_app"})
    ] == []


def test_storage_brings_in_no_inference_beyond_the_vocabulary() -> None:
    held = left_after(";".join(f"import {dotted(path)}" for path in modules("storage")))
    assert {"storage.results.commit", "azure.data.tables"} <= held
    foreign = {"onnxruntime", "numpy", "PIL", "pillow_heif", "tools", "function_app", "azure.functions"}
    assert [name for name in held if covered(name, foreign)] == []
    assert {name for name in held if covered(name, {"inference"})} <= {"inference", *STDLIB_ONLY}


def test_classifying_local_files_brings_in_no_azure(tmp_path: Path) -> None:
    """``tools classify`` must work, and start fast, where no Azure package is installed."""
    from PIL import Image

    Image.new("RGB", (64, 48), "olive").save(tmp_path / "a.png")
    held = left_after(
        f"import tools.__main__ as door; assert door.main(['classify', {str(tmp_path)!r}, '--json']) == 0"
    )
    assert "onnxruntime" in held
    assert [name for name in held if covered(name, {"azure", "azurefunctions", "msal", "storage", "requests"})] == []
