"""Puts small faults into modules, one at a time, and runs the tests of that folder: a fault that they pass is printed.

    python -m tests.mutation storage/results inference/postprocess.py --sample 50 --seed 1

The faults are those of cosmic-ray: a comparison, operator, number, condition, result or statement is changed. Texts,
annotations, decorators and log lines stay. The checkout is copied first, and only the copy is changed.
"""

from __future__ import annotations

import argparse
import ast
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PASSED = {0, 5}  # pytest's: all tests passed, none was collected. A module that cannot be imported gives others.
SECONDS = 300  # for the tests of one module; an endless loop is noticed, too
# These tests put faults of their own in, and fail where the code is not the one they change.
NOT_RUN = "not test_the_search_detects"
SWAPPED: dict[type[ast.AST], Any] = {}  # the node that takes an operator's place is of its own kind
for one, other in (
    *((ast.Eq, ast.NotEq), (ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Is, ast.IsNot), (ast.In, ast.NotIn)),
    *(
        (ast.And, ast.Or),
        (ast.Add, ast.Sub),
        (ast.BitAnd, ast.BitOr),
        (ast.LShift, ast.RShift),
        (ast.Mult, ast.FloorDiv),
    ),
):
    SWAPPED |= {one: other(), other: one()}


class Fault(NamedTuple):
    """The bytes from ``start`` to ``end`` of a module, and those to put in their place."""

    path: Path
    line: int
    start: int
    end: int
    new: str


def faults(path: Path) -> Iterator[Fault]:
    """Yield every fault of a module."""
    source = path.read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node, new in _replacements(ast.parse(source)):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        yield Fault(path, node.lineno, start, end, new)


def _replacements(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
        return
    if isinstance(node, ast.expr):
        yield from ((node, f"({new})") for new in _of_expression(node))
    if isinstance(node, ast.stmt) and (replaced := _of_statement(node)):
        yield node, replaced
    if isinstance(node, ast.If | ast.IfExp | ast.While) and not isinstance(node.test, ast.Compare | ast.Constant):
        yield node.test, f"(not ({ast.unparse(node.test)}))"
    for name, value in ast.iter_fields(node):
        if name not in {"annotation", "returns", "decorator_list", "bases"}:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _replacements(child)


def _of_expression(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Compare(left, [operator], right) if type(operator) in SWAPPED:
            yield ast.unparse(ast.Compare(left, [SWAPPED[type(operator)]], right))
        case ast.BoolOp(operator, values):
            yield ast.unparse(ast.BoolOp(SWAPPED[type(operator)], values))
        case ast.BinOp(left, operator, right) if type(operator) in SWAPPED and not _is_text(left, right):
            yield ast.unparse(ast.BinOp(left, SWAPPED[type(operator)], right))
        case ast.UnaryOp(ast.Not(), operand):
            yield ast.unparse(operand)
        case ast.Constant(bool() as value):
            yield str(not value)
        case ast.Constant(int() | float() as value):
            yield repr(value + 1)


def _of_statement(node: ast.stmt) -> str | None:
    match node:
        case ast.Return(ast.expr() as value) if ast.unparse(value) != "None":
            return "return None"
        case ast.Continue():
            return "break"
        case ast.Break():
            return "continue"
        case ast.Raise() | ast.Delete() | ast.AugAssign() | ast.Assign([ast.Attribute() | ast.Subscript(), *_]):
            return "pass"
        case ast.Expr(ast.Call(function)) if not ast.unparse(function).startswith("logger."):
            return "pass"
    return None


def _is_text(*nodes: ast.expr) -> bool:
    return any(
        isinstance(node, ast.JoinedStr) or isinstance(getattr(node, "value", None), str | bytes) for node in nodes
    )


def mirrored_tests(module: Path) -> list[str]:
    """Return the test files of a module, then the others of its folder."""
    folder = Path("tests") / module.parent
    named = sorted(folder.glob(f"test_{module.stem}*.py"))
    return [str(path) for path in (*named, *sorted(set(folder.glob("test_*.py")) - set(named)))]


def is_noticed(fault: Fault) -> bool:
    """Whether the mirrored tests fail with the fault in its module."""
    source = fault.path.read_bytes()
    fault.path.write_bytes(source[: fault.start] + fault.new.encode() + source[fault.end :])
    options = ["-x", "-q", "-n0", "-p", "no:cacheprovider", "-k", NOT_RUN]
    command = [sys.executable, "-B", "-m", "pytest", *options, *mirrored_tests(fault.path)]
    try:
        return subprocess.run(command, capture_output=True, timeout=SECONDS, check=False).returncode not in PASSED
    except subprocess.TimeoutExpired:
        return True
    finally:
        fault.path.write_bytes(source)


def interval(killed: int, tried: int) -> tuple[float, float]:
    """Wilson's interval of a share, at 95 %."""
    z, share = 1.96, killed / tried
    middle, width = share + z * z / (2 * tried), z * math.sqrt(share * (1 - share) / tried + (z / (2 * tried)) ** 2)
    return (middle - width) / (1 + z * z / tried), (middle + width) / (1 + z * z / tried)


def main() -> None:
    """Try a random sample of the faults of the given folders and files, and print each one that the tests pass."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=str(__doc__).partition("\n")[0])
    parser.add_argument("paths", nargs="+", type=Path, help="folders or modules below storage/ and inference/")
    parser.add_argument("--sample", type=int, default=50, help="how many faults to try (50)")
    parser.add_argument("--seed", type=int, default=1, help="of the random sample (1)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mutation-") as copy:
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        for name in filter(None, listing.decode().split("\0")):
            Path(copy, name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, Path(copy, name))
        for name in (".azurite", ".cache"):
            Path(copy, name).symlink_to(ROOT / name)
        os.chdir(copy)
        modules = [
            module for path in given.paths for module in (sorted(path.rglob("*.py")) if path.is_dir() else [path])
        ]
        found = [fault for module in modules for fault in faults(module)]
        chosen = random.Random(given.seed).sample(found, min(given.sample, len(found)))
        killed = 0
        for fault in chosen:
            if is_noticed(fault):
                killed += 1
                continue
            old = fault.path.read_bytes()[fault.start : fault.end].decode()
            print(f"{fault.path}:{fault.line}: not noticed: {' '.join(old.split())} -> {fault.new}", flush=True)
        low, high = interval(killed, len(chosen))
        print(f"{killed} of {len(chosen)} noticed: {killed / len(chosen):.0%} (95 %: {low:.0%} to {high:.0%})")


if __name__ == "__main__":
    main()
