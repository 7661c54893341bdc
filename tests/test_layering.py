"""Which package may import which, where modules and their tests lie, and what a room brings into a process.

The table lists every package, and every module that lies flat in a room, from the bottom up: a row may import only
rows above it, so no arrow points back. A command of ``tools`` and the packages within it share one row. Every import
statement counts, also in a function and under ``TYPE_CHECKING``: a reader follows those too. The table
refuses an import that it does not name: a new dependency is a decision, not an accident.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from tools.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("inference", "storage", "tools")

# Beside the standard library and the row's own modules. A module belongs to the longest row that covers its name, and
# an entry allows what lies below it. Third-party packages are named for `inference` and `storage`, which Azure runs.
TABLE: dict[str, set[str]] = {
    # Bytes in, classification out; knows nothing of Azure.
    "inference.predictions": set(),
    "inference.errors": {"inference.predictions"},
    "inference.limits": set(),
    "inference.capture": {"inference.predictions"},
    "inference.model_spec": {"inference.predictions"},
    "inference.model.sourced_values": {"inference.errors", "inference.model_spec"},
    "inference.model.file_errors": {"inference.errors"},
    "inference.resources": {"inference.errors"},
    "inference.decoding.color_profile": set(),
    "inference.decoding.decoder_errors": {"PIL", "inference.errors"},
    "inference.decoding.memory_cost": set(),
    "inference.decoding.orientation": {"PIL"},
    "inference.decoding.pixels": {"PIL", "numpy"},
    "inference.decoding.partial": {"PIL", "inference.errors", "inference.decoding.decoder_errors"},
    "inference.decoding.formats": {
        *("PIL", "numpy", "pillow_heif", "simplejpeg"),
        *("inference.errors", "inference.limits", "inference.predictions"),
        *("inference.decoding.color_profile", "inference.decoding.decoder_errors", "inference.decoding.memory_cost"),
        *("inference.decoding.orientation", "inference.decoding.partial", "inference.decoding.pixels"),
    },
    "inference.decoding": {
        *("PIL", "inference.errors", "inference.limits", "inference.predictions", "inference.decoding.formats"),
        *("inference.capture", "inference.decoding.decoder_errors", "inference.decoding.memory_cost"),
        *("inference.decoding.orientation", "inference.decoding.partial", "inference.decoding.pixels"),
    },
    "inference.resample": {"PIL", "numpy"},
    "inference.preprocess": {"PIL", "numpy", "inference.decoding", "inference.model_spec", "inference.resample"},
    "inference.postprocess": {"numpy", "inference.errors", "inference.model_spec", "inference.predictions"},
    "inference.scores": {"numpy"},
    "inference.phash": {"PIL", "numpy", "inference.decoding"},
    "inference.model.exporters": {
        *("yaml", "inference.errors", "inference.model.sourced_values", "inference.model.file_errors"),
    },
    "inference.decision": {"inference.errors", "inference.predictions", "inference.model.exporters"},
    "inference.model": {
        *("numpy", "onnxruntime", "inference.errors", "inference.predictions", "inference.model_spec"),
        *("inference.model.exporters", "inference.model.sourced_values", "inference.model.file_errors"),
        *("inference.decoding", "inference.preprocess", "inference.postprocess", "inference.resources"),
    },
    "inference.classifier": {
        *("numpy", "inference.limits", "inference.predictions", "inference.model_spec", "inference.resources"),
        *("inference.decoding", "inference.preprocess", "inference.postprocess", "inference.phash", "inference.scores"),
        *("inference.decision", "inference.model"),
    },
    # Everything outside the process; knows nothing of ONNX.
    "storage.errors": {"azure.core", "inference.errors"},
    "storage.keys": set(),
    "storage.etags": set(),
    "storage.blob_folder": set(),
    "storage.connection": {"storage.errors"},
    "storage.setting": {"storage.connection", "storage.errors"},
    "storage.settings": {
        "inference.capture",
        "storage.blob_folder",
        "storage.connection",
        "storage.errors",
        "storage.setting",
    },
    "storage.http_session": {"requests"},
    "storage.clients": {"azure", "storage.connection", "storage.errors", "storage.http_session"},
    "storage.refusals": {"azure.core", "inference.errors", "storage.errors"},
    "storage.listing": {"azure.core", "azure.storage", "storage.errors", "storage.etags", "storage.refusals"},
    "storage.tables": {"azure.core", "azure.data", "storage.errors", "storage.keys"},
    "storage.results": {
        *("azure", "inference.errors", "inference.predictions", "storage.errors", "storage.etags", "storage.keys"),
        *("storage.clients", "storage.listing", "storage.refusals", "storage.tables"),
    },
    "storage.blobs": {
        *("azure.core", "azure.storage", "inference.errors", "storage.errors", "storage.etags", "storage.keys"),
        *("storage.listing", "storage.refusals", "storage.results"),
    },
    "storage.pipeline.messages": {"inference.errors", "storage.results"},
    "storage.pipeline.queue": {
        *("azure.core", "azure.storage", "storage.clients", "storage.errors", "storage.pipeline.messages"),
    },
    "storage.actions": {
        *("azure.core", "azure.storage", "inference.errors", "storage.clients", "storage.errors", "storage.etags"),
        *("storage.pipeline.queue", "storage.results", "storage.settings"),
    },
    "storage.pipeline": {
        *("inference.errors", "inference.predictions", "inference.capture", "storage.actions", "storage.blobs"),
        *("storage.pipeline.messages", "storage.pipeline.queue", "storage.refusals", "storage.results"),
    },
    "storage.query": {
        *("azure.data", "inference.errors", "storage.etags", "storage.keys", "storage.listing", "storage.tables"),
        "storage.results",
    },
    "storage.reviews": {
        *("azure.core", "azure.data", "inference.errors", "storage.errors", "storage.etags", "storage.keys"),
        *("storage.tables", "storage.results", "storage.query"),
    },
    "storage.reconcile": {
        *("inference.errors", "storage.errors", "storage.etags", "storage.keys", "storage.listing"),
        *("storage.actions", "storage.blobs", "storage.results", "storage.pipeline", "storage.query"),
    },
    "storage.models": {
        *("azure.core", "azure.storage", "inference.errors", "inference.predictions", "storage.blob_folder"),
        *("storage.errors", "storage.listing", "storage.settings"),
    },
    "storage.host": {"inference.predictions", "storage.settings"},
    # The composition root.
    "function_app": {"azure.functions", "azurefunctions", "inference", "storage"},
    # The commands, and what several of them use.
    "tools.terminal": {"inference.errors"},
    "tools.times": set(),
    "tools.internal_queue": set(),
    "tools.process_stats": set(),
    "tools.svg": set(),
    "tools.__main__": {"inference"},  # imports the chosen command by its name
    "tools.azurite": {"inference", "storage.setting"},
    "tools.webjobs": {"inference", "storage"},
    "tools.sample_photos": {"inference"},
    "tools.devhost": {"inference", "storage", "tools.azurite"},
    "tools.interrupt": set(),
    "tools.failures": {"inference.errors", "storage"},
    "tools.account": {"storage", "tools.devhost", "tools.failures"},
    "tools.classify": {"inference", "tools.terminal"},
    "tools.host": {"tools.devhost", "tools.interrupt"},
    "tools.dev": {"tools.azurite", "tools.devhost", "tools.host", "tools.terminal"},
    "tools.query": {"inference", "storage", "tools.account", "tools.terminal", "tools.times"},
    "tools.backfill": {
        *("inference", "storage", "tools.account", "tools.interrupt", "tools.query", "tools.terminal"),
        "tools.times",
    },
    "tools.export": {"inference", "storage", "tools.account", "tools.query", "tools.terminal"},
    "tools.decide": {
        *("inference", "storage", "tools.account", "tools.interrupt", "tools.query", "tools.terminal"),
    },
    "tools.report": {"inference", "storage", "tools.account", "tools.query", "tools.svg", "tools.terminal"},
    "tools.sort": {
        *("inference", "storage", "tools.account", "tools.interrupt", "tools.query", "tools.terminal"),
    },
    "tools.review": {
        *("inference", "storage", "tools.account", "tools.export", "tools.query", "tools.report", "tools.terminal"),
    },
    "tools.trust": {
        *("inference", "storage", "tools.account", "tools.export", "tools.query", "tools.report", "tools.review"),
        "tools.terminal",
    },
    "tools.reconcile": {"storage", "tools.account", "tools.terminal"},
    "tools.redrive": {
        *("inference", "storage", "tools.account", "tools.devhost", "tools.failures", "tools.internal_queue"),
        *("tools.terminal", "tools.times"),
    },
    "tools.doctor": {
        *("inference", "storage", "tools.account", "tools.devhost", "tools.failures", "tools.internal_queue"),
        *("tools.sample_photos", "tools.terminal"),
    },
    "tools.model": {"inference", "storage", "tools.account", "tools.process_stats", "tools.terminal"},
    "tools.demo": {
        *("inference", "storage", "tools.azurite", "tools.devhost", "tools.model", "tools.sample_photos"),
        "tools.terminal",
    },
    "tools.package": {"inference", "storage", "tools.model", "tools.terminal"},
    "tools.cost": {"inference", "tools.process_stats", "tools.sample_photos", "tools.terminal"},
    "tools.chaos": {"inference", "storage", "tools.azurite", "tools.devhost", "tools.terminal", "tools.webjobs"},
    "tools.bench": {
        *("inference", "storage", "tools.azurite", "tools.devhost", "tools.process_stats", "tools.sample_photos"),
        *("tools.backfill", "tools.classify", "tools.svg", "tools.webjobs"),
    },
    "tools.maintainer": {"inference", "storage", "tools.azurite", "tools.sample_photos", "tools.trust"},
}
# In one folder, without `__init__` and `__main__`: about as many names as a reader takes in at once.
FLAT_MODULES = 13
MORE_FLAT_MODULES = {
    "inference/decoding/formats": "one module for each image format",
    "tests/inference/decoding": "the fuzzer and the memory checks have modules beside the tests",
    "tests/inference/decoding/formats": "one test module or two for each image format",
    "inference/model/exporters": "one module for each exporter",
    "tests/inference/model/exporters": "the same",
}
# Refused by name in `tools`, whose other third-party packages its requirements file decides. The dev host imitates
# Azure's host and the worker, so it alone speaks the worker's language.
REFUSED_IN_TOOLS = {"azure.functions", "azurefunctions", "function_app", "tests"}
WORKERS_LANGUAGE = {"tools.devhost", "tools.webjobs"}
VOCABULARY = ("inference.errors", "inference.predictions")
VAGUE_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|managers?|misc)(_|$)")


class Import(NamedTuple):
    """One imported name: the statement's place, the importing module and the name."""

    where: str
    module: str
    name: str


def modules(room: str) -> list[Path]:
    """The room's source files; a room may be one file."""
    single = ROOT / f"{room}.py"
    return [single] if single.is_file() else sorted((ROOT / room).rglob("*.py"))


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """Every import statement of a file that leaves the standard library."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        where = f"{path.relative_to(ROOT).as_posix()}:{getattr(node, 'lineno', 0)}"
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{where}: relative imports hide which package is meant"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found += [Import(where, dotted(path), name) for name in names if not is_stdlib(name)]
    return tuple(found)


def all_imports(*rooms: str) -> list[Import]:
    return [each for room in rooms for path in modules(room) for each in imports(path)]


def is_stdlib(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


def covering(name: str, entries: set[str]) -> str | None:
    """The longest entry that is the name or that the name lies below."""
    return max((each for each in entries if name == each or name.startswith(f"{each}.")), key=len, default=None)


def own_module(name: str) -> str | None:
    """The module of ours that an imported name is, or is in."""
    while name and name.partition(".")[0] in (*ROOMS, "function_app"):
        path = ROOT / name.replace(".", "/")
        if path.with_suffix(".py").is_file() or path.is_dir():
            return name
        name = name.rpartition(".")[0]
    return None


def row_of(name: str) -> str:
    """The row of the table that a module of ours belongs to; else the package's name as it is imported."""
    return covering(name, set(TABLE)) or own_module(name) or name


def brought_in_by(statement: str) -> set[str]:
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


class TestPackages:
    def test_import_only_what_their_row_allows(self) -> None:
        refused = []
        for each in all_imports("function_app", *ROOMS):
            row, target = row_of(each.module), row_of(each.name)
            if row == target or (row.startswith("tools.") and own_module(each.name) is None):
                continue
            allowed = TABLE.get(row, set())
            if covering(each.name, allowed) is None:
                refused.append(f"{each.where}: {row} -> {target}")
        assert not refused, "\n".join(refused)

    def test_use_every_entry_of_their_row(self) -> None:
        """So the table is the graph of who imports whom, and not only its limit."""
        used: dict[str, set[str | None]] = {}
        for each in all_imports("function_app", *ROOMS):
            row = row_of(each.module)
            used.setdefault(row, set()).add(covering(each.name, TABLE.get(row, set())))
        assert {row: unused for row, allowed in TABLE.items() if (unused := allowed - used.get(row, set()))} == {}

    def test_stand_in_the_table_below_all_that_they_import(self) -> None:
        rows = list(TABLE)
        for position, (row, allowed) in enumerate(TABLE.items()):
            for entry in allowed:
                below = [each for each in rows[position:] if covering(each, {entry}) or each == entry]
                assert not below, f"{row} stands above {below}"

    def test_have_a_row_each(self) -> None:
        without = {
            row_of(name)
            for room in ROOMS
            for path in modules(room)
            if path.name != "__init__.py" and covering(name := dotted(path), set(TABLE)) is None
        }
        assert without == set()

    def test_of_tools_know_neither_the_app_nor_the_tests_nor_the_worker(self) -> None:
        """The dev host loads the app by path, as the worker does: nothing depends on the composition root."""
        assert [
            each
            for each in all_imports("tools")
            if covering(each.name, {"function_app", "tests"})
            or (covering(each.name, REFUSED_IN_TOOLS) and row_of(each.module) not in WORKERS_LANGUAGE)
        ] == []

    def test_hold_nothing_in_their_init_but_a_docstring(self) -> None:
        inits = [path for room in ROOMS for path in modules(room) if path.name == "__init__.py"]
        assert len(inits) >= len(ROOMS)
        for path in inits:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            assert len(tree.body) == 1, f"{path.relative_to(ROOT)} holds more than its docstring"
            assert ast.get_docstring(tree), f"{path.relative_to(ROOT)} has no docstring"


class TestFiles:
    def test_import_each_other_in_no_cycle(self) -> None:
        graph: dict[str, set[str]] = {}
        for each in all_imports("function_app", *ROOMS):
            target = own_module(each.name)
            if target not in (None, each.module):
                graph.setdefault(each.module, set()).add(str(target))
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            pytest.fail(" -> ".join(reversed(error.args[1])))

    def test_are_named_for_what_they_hold(self) -> None:
        named = [path.relative_to(ROOT) for room in (*ROOMS, "tests") for path in modules(room)]
        assert [
            str(path) for path in named if any(VAGUE_NAMES.search(part) for part in path.with_suffix("").parts)
        ] == []

    def test_lie_a_dozen_in_a_folder_at_most(self) -> None:
        counts: dict[str, int] = {}
        for path in (path for room in (*ROOMS, "tests") for path in modules(room)):
            folder = path.parent.relative_to(ROOT).as_posix()
            counts[folder] = counts.get(folder, 0) + (path.name not in ("__init__.py", "__main__.py"))
        crowded = {folder: count for folder, count in counts.items() if count > FLAT_MODULES}
        assert crowded.keys() <= MORE_FLAT_MODULES.keys(), crowded

    @pytest.mark.parametrize("command", COMMANDS)
    def test_of_a_command_have_its_name(self, command: str) -> None:
        places = [ROOT / "tools" / f"{command}.py", ROOT / "tools" / command / "command.py"]
        assert [path.is_file() for path in places].count(True) == 1, f"one of {places}"

    def test_of_tests_mirror_the_rooms(self) -> None:
        """A folder below ``tests/ROOM`` is one of the room's; ``test_NAME.py`` lies where ``NAME.py`` does or above.

        Commands share names of modules, so a test of theirs may be named like another command's module.
        """
        for room in ROOMS:
            folders = {path.parent.relative_to(ROOT / "tests") for path in modules(f"tests/{room}")}
            assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []
            for path in (each for each in modules(f"tests/{room}") if each.stem.startswith("test_")):
                name, folder = path.stem.removeprefix("test_"), path.parent.relative_to(ROOT / "tests")
                homes = {each.parent.relative_to(ROOT) for each in modules(room) if each.stem == name}
                at_home = not homes or folder.name == name or any(home.is_relative_to(folder) for home in homes)
                assert at_home or room == "tools", f"{path.relative_to(ROOT)} belongs to {homes}"


class TestProcesses:
    def test_with_inference_hold_no_azure_and_no_other_room(self) -> None:
        held = brought_in_by(";".join(f"import {dotted(path)}" for path in modules("inference")))
        assert "inference.model.session" in held
        others = {"azure", "azurefunctions", "storage", "tools", "function_app"}
        assert [name for name in held if covering(name, others)] == []

    def test_with_storage_hold_no_inference_beyond_the_vocabulary(self) -> None:
        held = brought_in_by(";".join(f"import {dotted(path)}" for path in modules("storage")))
        assert {"storage.results.commit", "azure.data.tables"} <= held
        others = {"onnxruntime", "numpy", "PIL", "pillow_heif", "tools", "function_app", "azure.functions"}
        assert [name for name in held if covering(name, others)] == []
        names = ("inference.capture", "inference.capture.name_pattern", "inference.capture.times")
        assert {name for name in held if covering(name, {"inference"})} <= {"inference", *VOCABULARY, *names}

    def test_that_classify_local_files_hold_no_azure(self, tmp_path: Path) -> None:
        """``tools classify`` must work, and start fast, where no Azure package is installed."""
        from PIL import Image

        Image.new("RGB", (64, 48), "olive").save(tmp_path / "a.png")
        held = brought_in_by(
            f"import tools.__main__ as door; assert door.main(['classify', {str(tmp_path)!r}, '--json']) == 0"
        )
        assert "onnxruntime" in held
        assert [
            name for name in held if covering(name, {"azure", "azurefunctions", "msal", "storage", "requests"})
        ] == []
