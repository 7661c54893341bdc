"""The package as Azure gets it, unpacked into an empty folder and run there by the real worker library.

That process cannot read the checkout (``sealed_worker``), and its environment has the worker library alone. Needs
Python 3.13 and, for the packages, the registry.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from azure.storage.blob import BlobServiceClient
from PIL import Image as Picture

from storage.clients import connect
from storage.connection import Connection
from storage.results.record import Image, Status
from storage.results.store import Results
from storage.settings import DEFAULTS
from tests.programs import needed
from tests.triggers import TRIGGERS
from tools.package import licences
from tools.package.archive import MAX_BYTES
from tools.webjobs.worker import ROOT, Worker, environment_of, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Names
    from tools.azurite.azurite import Azurite

SEALED = Path(__file__).with_name("sealed_worker.py")
SITE_PACKAGES = ".python_packages/lib/site-packages/"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("built") / "package.zip"
    done = subprocess.run(
        [sys.executable, "-m", "tools", "package", "-o", target], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^onnxruntime 1\.\S+ +[\d.]+ MB +[\d.]+ MB$", done.stdout, re.MULTILINE)
    assert re.search(r"^sum +[\d.]+ MB +[\d.]+ MB$", done.stdout, re.MULTILINE)
    return target


@pytest.fixture(scope="module")
def names_inside(built: Path) -> list[str]:
    with zipfile.ZipFile(built) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def unpacked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wwwroot")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(place)  # compares the checksum of every file
    return place


@pytest.fixture(scope="module")
def worker_alone() -> Path:
    """Python of an environment with the worker library and what it brings; none of our requirements. Built once."""
    return environment_of(needed("python3.13"), None)


def test_the_root_holds_the_app_and_nothing_else(names_inside: list[str]) -> None:
    roots = {name.split("/")[0] for name in names_inside}
    assert roots == {"function_app.py", "host.json", "inference", "storage", "models", ".python_packages"}
    assert [name for name in names_inside if name.startswith("models/")] == [
        f"models/shapes/{name}" for name in ("labels.txt", "model.json", "model.onnx")
    ]
    assert {
        "inference/model/exporters/known_models.json",
        "inference/model/exporters/model_json.py",
        "storage/pipeline/classify_blob.py",
    } <= set(names_inside)
    assert [name for name in names_inside if name.startswith(".python_") and not name.startswith(SITE_PACKAGES)] == []


def test_it_holds_no_tests_caches_documents_samples_or_settings(names_inside: list[str]) -> None:
    folders = {part for name in names_inside for part in name.split("/")[:-1]}
    assert folders & {"tests", "test", "docs", "samples", "__pycache__", ".git", "bin"} == set()
    assert [name for name in names_inside if name.endswith((".pyc", ".pyo"))] == []
    ours = [name for name in names_inside if not name.startswith(SITE_PACKAGES)]
    kinds = {Path(name).suffix for name in ours}
    assert kinds == {".py", ".json", ".txt", ".onnx"}
    assert "local.settings" not in "\n".join(names_inside)


def test_it_is_for_python_313_on_linux_and_has_azure_functions_for_it(names_inside: list[str]) -> None:
    built_for = {Path(name).name for name in names_inside if ".so" in Path(name).suffixes}
    extensions = [name for name in built_for if name.endswith(".so") and ".cpython-" in name]
    assert extensions
    assert [name for name in extensions if ".cpython-313-x86_64-linux-gnu" not in name] == []
    (functions,) = {
        match[1] for name in names_inside if (match := re.search(r"/azure_functions-([\d.]+)\.dist-info/", name))
    }
    assert functions.startswith("2.")


def test_it_is_not_too_large(built: Path) -> None:
    assert built.stat().st_size <= MAX_BYTES == 75_000_000


def test_the_licences_are_those_of_the_packages(unpacked: Path) -> None:
    """If this fails: python -m tools.package.licences"""
    document = licences.DOCUMENT.read_text(encoding="utf-8")
    assert licences.rewritten(document, unpacked / SITE_PACKAGES) == document


@pytest.fixture
def storage(azurite: Azurite, names: Names) -> Iterator[Results]:
    BlobServiceClient.from_connection_string(azurite.connection_string).create_container(names.container("incoming"))
    clients = connect(Connection("ImageStorage", connection_string=azurite.connection_string))
    yield Results(clients, table=names.table("rows"), container=names.container("results"))
    clients.close()


@pytest.fixture
def worker(worker_alone: Path, unpacked: Path, azurite: Azurite, names: Names, tmp_path: Path) -> Iterator[Worker]:
    environ = {
        **DEFAULTS,
        "AzureWebJobsStorage": azurite.connection_string,
        "ImageStorage": azurite.connection_string,
        "INCOMING_CONTAINER": names.container("incoming"),
        "RESULTS_CONTAINER": names.container("results"),
        "RESULTS_TABLE": names.table("rows"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    before = [str(part) for part in (worker_alone, SEALED, unpacked, worker_alone.parents[1])]
    with running(worker_alone, environ, tmp_path / "log", before=before) as started:
        yield started


def test_unpacked_it_classifies_an_image(
    worker: Worker, unpacked: Path, storage: Results, azurite: Azurite, names: Names
) -> None:
    photo = io.BytesIO()
    Picture.effect_mandelbrot((160, 120), (-2, -1, 1, 1), 40).convert("RGB").save(photo, "JPEG")
    incoming = names.container("incoming")
    account = BlobServiceClient.from_connection_string(azurite.connection_string)
    account.get_blob_client(incoming, "a.jpg").upload_blob(photo.getvalue())
    answer = worker.ask("start", directory=str(unpacked))
    assert answer["status"] == "Success", answer["trace"]
    ids = worker.ids()
    assert ids.keys() == TRIGGERS.keys()
    answer = worker.ask("upload", id=ids["classify_uploaded"], container=incoming, blob="a.jpg")
    assert answer["status"] == "Success", answer["trace"]
    row = storage.read_row(Image(incoming, "a.jpg"))
    assert row is not None
    assert row.record is not None
    assert (row.record.status, row.record.width, row.record.height) == (Status.CLASSIFIED, 160, 120)
    assert row.record.label in (unpacked / "models/shapes/labels.txt").read_text(encoding="utf-8").splitlines()


def test_the_seal_holds(worker: Worker) -> None:
    """Asked to run the app of the checkout, the same process cannot find it: so the test above ran the package."""
    answer = worker.ask("start", directory=str(ROOT))
    assert answer["status"] == "Failure"
    assert "No module named 'function_app'" in answer["message"]
