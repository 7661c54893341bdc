"""What goes into the package and what stays behind, and that the same input gives the same bytes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from inference.errors import ConfigurationError, ModelError
from inference.model.folder import load_model
from tools.__main__ import main
from tools.package import archive, closure, contents, licences, sizes, wheels
from tools.package.lock import LOCK

ROOT = Path(__file__).resolve().parents[3]
SHAPES = ROOT / "models" / "shapes"


def git(root: Path, *words: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.invalid"]
    subprocess.run(["git", "-C", root, *identity, *words], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of an app that is like ours, with things beside it that must not ship."""
    root = tmp_path / "checkout"
    for name in (
        "function_app.py",
        "host.json",
        "inference/model/loaded.py",
        "inference/README.md",
        "storage/blobs.py",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "tests").mkdir()
    (root / "tests" / "test_model.py").write_text("")
    (root / ".gitignore").write_text("*.pyc\nlocal.settings.json\n")
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=all")
    for stray in ("inference/private.jpg", "storage/key.pem", "storage/blobs.pyc", "local.settings.json"):
        (root / stray).write_text("a secret")
    return root


def test_only_what_git_tracks_of_the_app_ships(checkout: Path) -> None:
    assert sorted(contents.app_files(checkout)) == [
        "function_app.py",
        "host.json",
        "inference/model/loaded.py",
        "storage/blobs.py",
    ]


def test_what_stays_behind_is_named_since_it_may_be_a_new_module(checkout: Path) -> None:
    (checkout / "inference" / "new.py").write_text("")
    assert contents.left_behind(checkout) == ["inference/new.py", "inference/private.jpg", "storage/key.pem"]


def test_a_change_that_is_not_committed_yet_ships(checkout: Path) -> None:
    (checkout / "storage" / "blobs.py").write_text("changed")
    assert contents.app_files(checkout)["storage/blobs.py"].read_text() == "changed"


def test_a_file_that_git_tracks_and_is_gone_is_named(checkout: Path) -> None:
    (checkout / "storage" / "blobs.py").unlink()
    with pytest.raises(ConfigurationError, match=r"storage/blobs\.py .*git restore"):
        contents.app_files(checkout)


def test_outside_a_checkout_git_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(ConfigurationError, match="not a git repository"):
        contents.app_files(tmp_path)


def test_without_git_the_sentence_says_so(checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="no git here"):
        contents.app_files(checkout)


@pytest.fixture
def my_model(tmp_path: Path) -> Path:
    """The sample model as its owner may keep it: weights beside the graph, and things that are nobody's business."""
    folder = tmp_path / "my-model"
    shutil.copytree(SHAPES, folder)
    graph = onnx.load(folder / "model.onnx")
    large = max(graph.graph.initializer, key=lambda each: numpy_helper.to_array(each).size)
    assert isinstance(numpy_helper.to_array(large), np.ndarray)
    onnx.save(graph, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=1024)
    for stray in ("training.csv", "photo.jpg", "checkpoint.pt", ".env", "other.onnx"):
        (folder / stray).write_bytes(b"private")
    return folder


def test_of_a_model_only_what_the_app_reads_ships_and_it_is_the_same_model(my_model: Path, tmp_path: Path) -> None:
    path, identity = contents.model_files(my_model, tmp_path / "package")
    assert path == "models/my-model"
    shipped = sorted(name for name, _ in contents.files_below(tmp_path / "package", "."))
    names = ("labels.txt", "model.json", "model.onnx", "weights.bin")
    assert shipped == [f"./models/my-model/{name}" for name in names]
    original = load_model(my_model).spec
    packed = load_model(tmp_path / "package" / path).spec
    assert packed.identity == original.identity == identity


def test_a_model_that_the_app_would_refuse_is_refused_here(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelError, match=r"model\.onnx"):
        contents.model_files(tmp_path, tmp_path / "package")


@pytest.mark.parametrize("lead", ["../{name}", "{folder}/{name}", "link"], ids=["parent", "absolute", "a link"])
def test_a_model_that_names_a_file_outside_its_folder_is_refused(lead: str, my_model: Path, tmp_path: Path) -> None:
    """A stranger's graph could name a key of this machine as its weights, and have us ship it."""
    secret = tmp_path / "id_ed25519"
    (my_model / "weights.bin").rename(secret)
    (my_model / "link").symlink_to(secret)
    graph = onnx.load(my_model / "model.onnx", load_external_data=False)
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = lead.format(name=secret.name, folder=tmp_path)
    onnx.save(graph, my_model / "model.onnx")
    with pytest.raises(ModelError):
        contents.model_files(my_model, tmp_path / "package")
    assert not (tmp_path / "package").exists()


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    contents.model_files(SHAPES, tmp_path / "package")
    with pytest.raises(ConfigurationError, match="named shapes"):
        contents.model_files(SHAPES, tmp_path / "package")


@pytest.fixture
def some(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "large").write_bytes(os.urandom(1000))
    (folder / "small").write_text("pass")
    return {"b/large.bin": folder / "large", "a.py": folder / "small"}


def test_the_same_files_give_the_same_bytes(some: dict[str, Path], tmp_path: Path) -> None:
    first = archive.write(tmp_path / "first.zip", some)
    for path in some.values():
        os.utime(path, (0, 1_700_000_000))
        path.chmod(0o600)
    second = archive.write(tmp_path / "second.zip", dict(reversed(some.items())))
    assert first == second
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "first.zip") as opened:
        assert opened.namelist() == ["a.py", "b/large.bin"]
        assert {oct(entry.external_attr >> 16) for entry in opened.infolist()} == {"0o100644"}


def test_a_package_that_is_too_heavy_is_refused_and_the_one_before_stays(some: dict[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "package.zip"
    target.write_bytes(b"the one before")
    with pytest.raises(ConfigurationError, match=r"b/large\.bin.*model publish, and MODEL_BLOB"):
        archive.write(target, some, max_bytes=900)
    assert target.read_bytes() == b"the one before"
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def installed(site: Path, name: str, version: str, *requires: str, files: tuple[str, ...] = ()) -> None:
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    wishes = "".join(f"Requires-Dist: {wish}\n" for wish in requires)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{wishes}")
    (info / "RECORD").write_text(
        "".join(f"{path},,\n" for path in (*files, f"{info.name}/METADATA", f"{info.name}/RECORD"))
    )


def test_packages_that_fit_have_no_difference(tmp_path: Path) -> None:
    """Markers are judged by Python 3.13 on Linux, and extras are followed."""
    installed(
        tmp_path, "app-kit", "2.0", "old-kit; python_version<'3.13'", "win-kit; sys_platform=='win32'", "tls[fast]"
    )
    installed(tmp_path, "tls", "1.0", "speed>=2; extra=='fast'", "docs-kit; extra=='docs'")
    installed(tmp_path, "speed", "2.1")
    wanted = closure.declared(
        "# a note\napp-kit==1.0; python_version < '3.13'\nApp_Kit==2.0; python_version >= '3.13'\n"
    )
    assert closure.differences(tmp_path, wanted) == []


@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        ("tls==1.1", "tls is 1.0, requirements.txt asks for ==1.1"),
        ("other==1.0", "other is missing, requirements.txt asks for it"),
        ("needy==1.0", "speed is 2.1, needy asks for <2"),
        ("needy==1.0", "tls is there, and nobody asks for it"),
    ],
    ids=["another version", "missing", "another version for a requirement of a requirement", "more than is asked for"],
)
def test_packages_that_do_not_fit_are_named(tmp_path: Path, requirement: str, said: str) -> None:
    installed(tmp_path, "tls", "1.0")
    installed(tmp_path, "speed", "2.1")
    installed(tmp_path, "needy", "1.0", "speed<2")
    assert said in closure.differences(tmp_path, closure.declared(requirement))


def test_the_lock_is_of_today() -> None:
    """If this fails: python3.13 -m tools.package.lock

    What our requirements bring along is compared when the package is built; that needs their metadata.
    """
    locked = dict(re.findall(r"^([\w.-]+)==(\S+) --hash=sha256:[0-9a-f]{64}$", LOCK.read_text(), re.MULTILINE))
    lines = [line for line in LOCK.read_text().splitlines() if not line.startswith("#")]
    assert len(locked) == len(lines), "a line without a hash"
    for wanted in closure.declared((ROOT / "requirements.txt").read_text()):
        assert wanted.specifier.contains(locked[wanted.name]), (
            f"the lock has another {wanted.name} than requirements.txt"
        )


def test_the_licences_are_of_the_locked_versions() -> None:
    """If this fails: python -m tools.package.licences"""
    listed = re.findall(r"^\| ([\w.-]+) \| (\d[\w.]*) \|", licences.DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    locked = re.findall(r"^([\w.-]+)==(\S+) ", LOCK.read_text(), re.MULTILINE)
    assert [(canonicalize_name(name), version) for name, version in listed] == locked


def test_a_package_can_be_left_out_without_harm_to_its_neighbours(tmp_path: Path) -> None:
    installed(tmp_path, "pillow-heif", "1.0", files=("shared/heif.py",))
    installed(tmp_path, "other", "1.0", files=("shared/other.py",))
    (tmp_path / "shared").mkdir()
    for name in ("heif.py", "other.py"):
        (tmp_path / "shared" / name).write_text("")
    wheels.remove(tmp_path, "pillow-heif")
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["other-1.0.dist-info/METADATA", "other-1.0.dist-info/RECORD", "shared/other.py"]


def test_weights_are_told_by_package(tmp_path: Path) -> None:
    site = tmp_path / "site"
    installed(site, "two-words", "1.5", files=("two/__init__.py",))
    (site / "two").mkdir()
    (site / "two" / "__init__.py").write_bytes(os.urandom(300_000))
    (site / "stray.py").write_text("")
    (tmp_path / "model.onnx").write_bytes(os.urandom(200_000))
    parts = dict(contents.files_below(site, contents.SITE_PACKAGES)) | {
        "function_app.py": site / "stray.py",
        "models/mine/model.onnx": tmp_path / "model.onnx",
    }
    archive.write(tmp_path / "package.zip", parts)
    told = sizes.weights(tmp_path / "package.zip")
    assert [part.name for part in told] == ["two-words 1.5", "models/mine", "no package's", "the app"]
    assert told[0].unpacked > 300_000
    assert sum(part.zipped for part in told) < (tmp_path / "package.zip").stat().st_size
    lines = list(sizes.table(told))
    assert [line.split("  ")[0] for line in lines] == ["", "two-words 1.5", "models/mine", "2 smaller packages", "sum"]


@pytest.fixture
def no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for pip: the packages are two, and everything else is as it is."""

    def install(_lock: Path, site: Path) -> None:
        installed(site, "kit", "1.0", files=("kit.py",))
        installed(site, "pillow-heif", "1.8", files=("heif.py",))
        for name in ("kit.py", "heif.py"):
            (site / name).write_text("")

    monkeypatch.setattr(wheels, "install", install)
    monkeypatch.setattr(closure, "declared", lambda _: [Requirement("kit==1.0"), Requirement("pillow-heif")])


@pytest.mark.usefixtures("no_registry")
def test_the_command_packs_a_model_of_ones_own_and_says_how_the_app_finds_it(
    my_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.zip"
    assert main(["package", "--model", str(my_model), "-o", str(target)]) == 0
    said = capsys.readouterr()
    assert "app setting MODEL_DIR=models/my-model\n" in said.err
    assert re.search(r"^models/my-model: shapes version [0-9a-f]{12}$", said.out, re.MULTILINE)
    assert re.search(r" of at most 75, sha256 [0-9a-f]{64}$", said.out, re.MULTILINE)
    with zipfile.ZipFile(target) as opened:
        assert {"function_app.py", "models/my-model/weights.bin", f"{contents.SITE_PACKAGES}/heif.py"} <= set(
            opened.namelist()
        )


@pytest.mark.usefixtures("no_registry")
def test_two_models_are_packed_as_the_setting_names_them(
    my_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["package", "--model", f"{my_model}; {SHAPES}", "-o", str(tmp_path / "out.zip")]) == 0
    assert "MODEL_DIR=models/my-model;models/shapes\n" in capsys.readouterr().err


@pytest.mark.usefixtures("no_registry")
def test_without_heic_nothing_of_it_is_left(tmp_path: Path) -> None:
    target = tmp_path / "out.zip"
    assert main(["package", "--no-heic", "-o", str(target)]) == 0
    with zipfile.ZipFile(target) as opened:
        assert [name for name in opened.namelist() if name.startswith(contents.SITE_PACKAGES) and "heif" in name] == []
        assert f"{contents.SITE_PACKAGES}/kit.py" in opened.namelist()


@pytest.mark.usefixtures("no_registry")
def test_a_lock_that_is_behind_is_a_sentence_and_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(closure, "declared", lambda _: [Requirement("kit==2.0"), Requirement("pillow-heif")])
    assert main(["package", "-o", str(tmp_path / "out.zip")]) == 2
    said = capsys.readouterr().err
    assert "kit is 1.0, requirements.txt asks for ==2.0" in said
    assert "tools.package.lock" in said
    assert not (tmp_path / "out.zip").exists()


def test_a_registry_that_refuses_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip's own words: only it knows whether a hash, a name or the network was wrong."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "lock.txt").write_text(f"no-such-kit==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(ConfigurationError, match=r"could not be fetched:(?s:.*)no-such-kit"):
        wheels.install(tmp_path / "lock.txt", tmp_path / "site")
