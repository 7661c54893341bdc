"""The functions of ``function_app.py`` and their triggers, read from its ``FunctionApp`` object.

A function that this host cannot serve is refused here, at the start, by an error that names it.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import azure.functions as func

from inference.errors import ConfigurationError
from tools.devhost.blob_trigger.patterns import PathPattern
from tools.devhost.settings import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_HOST_STORAGE = "AzureWebJobsStorage"


@dataclass(frozen=True, slots=True)
class BlobTrigger:
    """A path and the connection setting of its account.

    Attributes:
        event_grid: Whether events announce blobs (``EventGrid``), not a scan (``LogsAndContainerScan``).
        binary: Whether an ``InputStream`` gets the blob's bytes unchanged, not as text.
    """

    pattern: PathPattern
    connection: str
    event_grid: bool
    binary: bool


@dataclass(frozen=True, slots=True)
class QueueTrigger:
    """A queue, the connection setting that reaches it, and whether the function takes bytes that are not UTF-8."""

    queue: str
    connection: str
    binary: bool


@dataclass(frozen=True, slots=True)
class TimerTrigger:
    """An NCRONTAB expression of six fields, or a time span."""

    schedule: str
    run_on_startup: bool
    use_monitor: bool


@dataclass(frozen=True, slots=True)
class AppFunction:
    """One function of the app.

    Attributes:
        call: The app's function, undecorated.
        parameter: Name of the parameter that receives the trigger.
    """

    name: str
    call: Callable[..., Any]
    parameter: str
    trigger: BlobTrigger | QueueTrigger | TimerTrigger


def load_functions(root: Path, settings: Mapping[str, str]) -> list[AppFunction]:
    """Import ``function_app.py`` of a folder and return its functions that are not disabled.

    Raises:
        ConfigurationError: There is no app, it fails while it is imported, or it cannot be served here.
    """
    path = root / "function_app.py"
    if not path.is_file():
        raise ConfigurationError(f"there is no function_app.py in {root}: run this in the function app's folder.")
    sys.path.insert(0, str(root))
    spec = importlib.util.spec_from_file_location("function_app", path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules["function_app"] = module
    try:
        spec.loader.exec_module(module)
    except ConfigurationError:
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})"
        raise ConfigurationError(f"function_app.py failed while it was imported: {reason}") from error
    apps = [value for value in vars(module).values() if isinstance(value, func.FunctionApp)]
    if len(apps) != 1:
        raise ConfigurationError(f"function_app.py must hold exactly one FunctionApp; it holds {len(apps)}.")
    functions = read_functions(apps[0], settings)
    if not functions:
        raise ConfigurationError("function_app.py registers no function.")
    return [function for function in functions if not _disabled(function.name, settings)]


def read_functions(app: func.FunctionApp, settings: Mapping[str, str]) -> list[AppFunction]:
    """Return every function that is registered in an app.

    Raises:
        ConfigurationError: A function cannot be served here.
    """
    return [_read(function, settings) for function in _registered(app)]


def _registered(app: func.FunctionApp) -> list[Any]:
    # It warns that an app without HTTP functions needs no auth level, through the root logger. We know.
    logging.disable(logging.WARNING)
    try:
        return list(app.get_functions())
    finally:
        logging.disable(logging.NOTSET)


def _disabled(name: str, settings: Mapping[str, str]) -> bool:
    return settings.get(f"AzureWebJobs.{name}.Disabled", "").strip().lower() in ("true", "1")


def _read(function: Any, settings: Mapping[str, str]) -> AppFunction:
    name = str(function.get_function_name())
    bindings = [json.loads(raw) for raw in function.get_raw_bindings()]
    if any(binding["type"].lower() == "httptrigger" for binding in bindings):
        raise ConfigurationError(f"{name} has an HTTP trigger: this host has no HTTP path; serve it with `func start`.")
    triggers = [binding for binding in bindings if binding["type"].lower().endswith("trigger")]
    if len(bindings) != 1 or len(triggers) != 1:
        others = ", ".join(sorted(binding["type"] for binding in bindings if binding not in triggers))
        raise ConfigurationError(f"{name} has bindings this host does not serve ({others}): use `func start` for it.")
    try:
        trigger = _trigger(triggers[0], settings, name)
    except ConfigurationError as error:
        sentence = str(error)
        raise ConfigurationError(sentence if sentence.startswith(name) else f"{name}: {sentence}") from error
    return AppFunction(name, function.get_user_function(), str(triggers[0]["name"]), trigger)


def _binary(binding: Mapping[str, Any]) -> bool:
    return str(binding.get("dataType") or "").upper() in ("BINARY", "STREAM")


def _trigger(
    binding: Mapping[str, Any], settings: Mapping[str, str], name: str
) -> BlobTrigger | QueueTrigger | TimerTrigger:
    connection = binding.get("connection") or _HOST_STORAGE
    match binding["type"]:
        case "blobTrigger":
            source = resolve(binding.get("source") or "LogsAndContainerScan", settings, name)
            if source.lower() not in ("eventgrid", "logsandcontainerscan"):
                raise ConfigurationError(f"the source {source!r} is neither EventGrid nor LogsAndContainerScan.")
            return BlobTrigger(
                PathPattern.parse(resolve(binding["path"], settings, name)),
                connection,
                event_grid=source.lower() == "eventgrid",
                binary=_binary(binding),
            )
        case "queueTrigger":
            return QueueTrigger(resolve(binding["queueName"], settings, name).lower(), connection, _binary(binding))
        case "timerTrigger":
            return TimerTrigger(
                resolve(binding["schedule"], settings, name),
                run_on_startup=binding.get("runOnStartup") is True,
                use_monitor=binding.get("useMonitor") is not False,
            )
        case other:
            raise ConfigurationError(f"a trigger of type {other} is not served by this host; use `func start` for it.")
