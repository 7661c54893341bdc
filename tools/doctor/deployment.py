"""What this folder would run as: its settings, packages, ``host.json`` and the machine."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from inference.errors import ConfigurationError
from inference.resources.cpus import usable_cpus, visible_cpus
from inference.resources.memory import available_bytes, budget_bytes
from storage.connection import read_connection
from storage.host.config import HostLimits
from storage.host.startup import Startup
from tools.devhost.invoker import worker_threads
from tools.devhost.settings import read_host_json
from tools.doctor.findings import ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from storage.settings import Settings
    from tools.doctor.findings import Finding

_OLDEST, _ON_AZURE = (3, 11), (3, 13)
_BUNDLE = "Microsoft.Azure.Functions.ExtensionBundle"
_MIB = 1024 * 1024
_WAITING_PER_THREAD = 2


def check_settings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at settings that are right each by itself."""
    yield ok("settings", "All settings can be read.")
    try:
        read_connection(environ, "AzureWebJobsStorage")
    except ConfigurationError as error:
        yield problem("settings", f"{error} The Functions host keeps its receipts there.")
    local = "127.0.0.1" in (settings.image_storage.connection_string or "")
    if not local and settings.blob_trigger_source != "EventGrid":
        yield warning(
            "settings",
            "BLOB_TRIGGER_SOURCE is LogsAndContainerScan: uploads are found by scanning, up to minutes late, and Flex "
            "Consumption does not scan; set EventGrid on Azure.",
        )
    if settings.min_score == 0:
        yield warning("settings", "MIN_SCORE is 0, which keeps every label, as without it: remove it.")


def check_packages(requirements: Path) -> Iterator[Finding]:
    """Compare what is installed with what will be deployed."""
    running = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _OLDEST:
        yield problem("versions", f"This is Python {running}; the app needs 3.11 to 3.13.")
    elif sys.version_info[:2] > _ON_AZURE:
        yield warning("versions", f"This is Python {running}; the app is tested on 3.11 to 3.13, and Azure runs 3.13.")
    else:
        yield ok("versions", f"This is Python {running}; Azure runs 3.13.")
    try:
        lines = requirements.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        yield warning("versions", f"{requirements.name} cannot be read ({error.strerror}): nothing to compare with.")
        return
    wanted = [Requirement(line) for line in lines if line.strip() and not line.startswith(("#", "-"))]
    pinned = [each for each in wanted if each.marker is None or each.marker.evaluate()]
    skewed = [each for each in pinned if not each.specifier.contains(_installed(each.name), prereleases=True)]
    for each in skewed:
        found = _installed(each.name)
        said = "is not installed" if found == _NONE else f"is here in version {found}"
        yield (problem if found == _NONE else warning)(
            "versions", f"{each.name} {said}, and {each.specifier} is deployed: run `make install`."
        )
    if not skewed:
        of_interest = f"onnxruntime {_installed('onnxruntime')}, azure-functions {_installed('azure-functions')}"
        yield ok("versions", f"All {len(pinned)} packages are those of {requirements.name}: {of_interest}, ...")


def check_host_json(root: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Hold ``host.json`` against the settings and the machine."""
    try:
        host = read_host_json(root, usable_cpus())
        document = json.loads((root / "host.json").read_text(encoding="utf-8-sig"))
        threads = worker_threads(environ)
    except (ConfigurationError, OSError, ValueError) as error:
        told = f"{error.strerror}" if isinstance(error, OSError) else f"{error}".rstrip(".")
        yield problem("host.json", f"host.json cannot be used: {told}.")
        return
    faults = []
    if document.get("extensionBundle", {}).get("id") != _BUNDLE:
        faults.append(problem("host.json", f"host.json names no extension bundle: triggers need {_BUNDLE}."))
    if host.blob_queue.at_once > _WAITING_PER_THREAD * threads:
        faults.append(
            warning(
                "host.json",
                f"blobs.maxDegreeOfParallelism lets {host.blob_queue.at_once} images in at once, and the worker has "
                f"{threads} threads: the rest wait where no other instance can take them; lower it.",
            )
        )
    yield from faults
    if not faults:
        yield ok(
            "host.json",
            f"{host.blob_queue.at_once} blobs and {host.queues.at_once} messages at once on {threads} threads; "
            f"a blob is tried {host.blob_queue.max_dequeue_count} times, a message {host.queues.max_dequeue_count}.",
        )


def check_config_warnings(root: Path, environ: Mapping[str, str], settings: Settings) -> Iterator[Finding]:
    """Yield the warnings that the app itself logs when it starts on this machine with these settings."""
    startup = Startup(
        settings=settings,
        limits=HostLimits.read(root / "host.json", environ, visible_cpus()),
        cpus=usable_cpus(),
        intra_op_threads=1,
        budget_bytes=budget_bytes(settings.decode_budget_mib),
        available_bytes=available_bytes(),
        model=None,
        versions={},
    )
    for found in startup.warnings():
        yield (problem if found.is_fatal else warning)("settings", f"{found.problem} {found.remedy}")


def check_machine(settings: Settings) -> Iterator[Finding]:
    """Say what there is to work with."""
    budget = budget_bytes(settings.decode_budget_mib) // _MIB
    cpus, all_cpus = usable_cpus(), os.cpu_count() or 1
    of_all = f" of {all_cpus}" if cpus < all_cpus else ""
    yield ok(
        "machine",
        f"{cpus}{of_all} CPUs may be used; {budget:,} MiB are there for images that are downloaded or decoded at one "
        f"moment ({'DECODE_BUDGET_MIB' if settings.decode_budget_mib else 'chosen by what this machine has'}).",
    )


_NONE = "0"


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return _NONE
