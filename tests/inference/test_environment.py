"""``inference`` gets arguments: it reads no environment variable, and sets one to turn ONNX Runtime's telemetry off."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def environment_uses(path: Path) -> list[str]:
    """How a module uses environment variables: ``read``, or ``write NAME`` for an assignment to a constant name."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    writes = {
        id(target.value): f"write {target.slice.value!s}"
        for node in nodes
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant)
    }
    uses = [
        writes.get(id(node), "read")
        for node in nodes
        if isinstance(node, ast.Attribute)
        and node.attr in NAMES
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    ]
    imported = [
        alias
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module == "os"
        for alias in node.names
        if alias.name in NAMES
    ]
    return uses + ["read"] * len(imported)


def test_inference_uses_the_environment_only_to_turn_telemetry_off() -> None:
    uses = {path.relative_to(ROOT).as_posix(): environment_uses(path) for path in (ROOT / "inference").rglob("*.py")}
    assert {path: found for path, found in uses.items() if found} == {
        "inference/model/session.py": ["write ORT_DISABLE_TELEMETRY"]
    }


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import os\nos.environ['A']", ["read"]),
        ("import os\nos.environ.get('A')", ["read"]),
        ("import os\nos.getenv('A')", ["read"]),
        ("from os import environ", ["read"]),
        ("import os\nos.environ['A'] = 'b'", ["write A"]),
        ("import os\nos.cpu_count()", []),
    ],
    ids=["subscript", "get", "getenv", "imported by name", "write", "another part of os"],
)
def test_the_check_finds(source: str, found: list[str], tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(source)
    assert environment_uses(tmp_path / "m.py") == found
