"""Checks the deployment in this folder: settings, packages, ``host.json`` and the machine."""

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
from tools.devhost.host_json import read_host_json
from tools.devhost.invoker import worker_threads
from tools.doctor.findings import ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from storage.settings import Settings
    from tools.doctor.findings import Finding

_OLDEST_PYTHON, _AZURE_PYTHON = (3, 11), (3, 13)
_BUNDLE = "Microsoft.Azure.Functions.ExtensionBundle"
_MIB = 1024 * 1024
_NOT_INSTALLED = "0"  # compares as a version
_MAX_IMAGES_PER_THREAD = 2


def check_settings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check settings that are valid but unusual."""
    yield ok("settings", "All settings can be read.")
    try:
        read_connection(environ, "AzureWebJobsStorage")
    except ConfigurationError as error:
        yield problem("settings", f"{error} The Functions host stores its receipts there.")
    local = "127.0.0.1" in (settings.image_storage.connection_string or "")
    if not local and settings.blob_trigger_source != "EventGrid":
        yield warning(
            "settings",
            "BLOB_TRIGGER_SOURCE is LogsAndContainerScan: the host finds uploads by scanning, up to minutes late, and "
            "Flex Consumption does not scan; set EventGrid on Azure.",
        )
    if settings.min_score == 0:
        yield warning("settings", "MIN_SCORE is 0, which keeps every label, as if it were not set: remove it.")


def check_packages(requirements: Path) -> Iterator[Finding]:
    """Compare the installed packages with those that will be deployed."""
    running = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _OLDEST_PYTHON:
        yield problem("versions", f"This is Python {running}; the app needs 3.11 to 3.13.")
    elif sys.version_info[:2] > _AZURE_PYTHON:
        yield warning("versions", f"This is Python {running}; the app is tested on 3.11 to 3.13, and Azure runs 3.13.")
    else:
        yield ok("versions", f"This is Python {running}; Azure runs 3.13.")
    try:
        lines = requirements.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        yield warning(
            "versions", f"{requirements.name} cannot be read ({error.strerror}): the packages cannot be compared."
        )
        return
    listed = [Requirement(line) for line in lines if line.strip() and not line.startswith(("#", "-"))]
    applicable = [each for each in listed if each.marker is None or each.marker.evaluate()]
    different = [each for each in applicable if not each.specifier.contains(_installed(each.name), prereleases=True)]
    for each in different:
        found = _installed(each.name)
        text = "is not installed" if found == _NOT_INSTALLED else f"is installed in version {found}"
        yield (problem if found == _NOT_INSTALLED else warning)(
            "versions", f"{each.name} {text}, but {each.specifier} is deployed: run `make install`."
        )
    if not different:
        examples = f"onnxruntime {_installed('onnxruntime')}, azure-functions {_installed('azure-functions')}"
        yield ok("versions", f"All {len(applicable)} packages match {requirements.name}: {examples}, ...")


def check_host_json(root: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check ``host.json`` against the number of worker threads."""
    try:
        host = read_host_json(root, usable_cpus())
        document = json.loads((root / "host.json").read_text(encoding="utf-8-sig"))
        threads = worker_threads(environ)
    except (ConfigurationError, OSError, ValueError) as error:
        reason = f"{error.strerror}" if isinstance(error, OSError) else f"{error}".rstrip(".")
        yield problem("host.json", f"host.json cannot be used: {reason}.")
        return
    findings = []
    if document.get("extensionBundle", {}).get("id") != _BUNDLE:
        findings.append(problem("host.json", f"host.json names no extension bundle, but triggers need {_BUNDLE}."))
    if host.blob_queue.at_once > _MAX_IMAGES_PER_THREAD * threads:
        findings.append(
            warning(
                "host.json",
                f"blobs.maxDegreeOfParallelism is {host.blob_queue.at_once}, but the worker has {threads} threads. The "
                "other images wait in this instance, where no other instance can take them: lower it.",
            )
        )
    yield from findings
    if not findings:
        yield ok(
            "host.json",
            f"The host processes {host.blob_queue.at_once} blobs and {host.queues.at_once} messages at once on "
            f"{threads} threads, and tries a blob {host.blob_queue.max_dequeue_count} times, a message "
            f"{host.queues.max_dequeue_count} times.",
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
    for each in startup.warnings():
        yield (problem if each.is_fatal else warning)("settings", f"{each.problem} {each.remedy}")


def check_machine(settings: Settings) -> Iterator[Finding]:
    """Report the usable CPUs and the memory budget for images."""
    budget = budget_bytes(settings.decode_budget_mib) // _MIB
    cpus, all_cpus = usable_cpus(), os.cpu_count() or 1
    total = f" of {all_cpus}" if cpus < all_cpus else ""
    yield ok(
        "machine",
        f"{cpus}{total} CPUs are usable. Images being downloaded or decoded may use {budget:,} MiB together "
        f"({'DECODE_BUDGET_MIB' if settings.decode_budget_mib else 'from the memory of this machine'}).",
    )


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return _NOT_INSTALLED
