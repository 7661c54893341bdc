"""The app's settings: the environment is one more outside store, read once, at the composition root.

``Settings.from_environ`` checks everything and reports every problem at once, by setting name. README has the table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from storage.blob_folder import CONTAINER, BlobFolder
from storage.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_T = TypeVar("_T")

APP_ROOT = Path(__file__).resolve().parent.parent

# Azurite's account, published by Microsoft for everybody: no secret. The SDKs for Python do not expand the short form.
_AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
DEVELOPMENT_STORAGE = (
    f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={_AZURITE_KEY};"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)

# What a setting is when nobody sets it. The Functions host resolves ``%NAME%`` itself and knows no defaults, so
# ``local.settings.example.json`` and ``infra/`` state these values again; a test keeps them in step.
DEFAULTS: Mapping[str, str] = {
    "INCOMING_CONTAINER": "incoming",
    "RESULTS_CONTAINER": "results",
    "RESULTS_TABLE": "classifications",
    "MODEL_DIR": "models/shapes",
    "MODEL_REFRESH_SECONDS": "300",
    "BLOB_TRIGGER_SOURCE": "LogsAndContainerScan",
    "TOP_K": "5",
    "MAX_IMAGE_BYTES": str(128 * 1024 * 1024),
    "MAX_IMAGE_PIXELS": "200000000",
    "RETRY_DELAYS_SECONDS": "60,300,900,1800,3600",
    "RECONCILE_SCHEDULE": "0 0 * * * *",
}

_A_CONTAINER = "a container name: 3 to 63 lower-case letters, digits and single dashes, none at the ends"
_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9]{2,57}")  # 63 at most, and "index" is appended
_A_TABLE = "a table name: 3 to 58 letters and digits, a letter first"
_SOURCES = ("EventGrid", "LogsAndContainerScan")
_FOLDERS = "a folder, or several with ; between them"
_BLOB_FOLDERS = "container/prefix, or several with ; between them"
_MAX_DELAY_SECONDS = 7 * 24 * 3600  # a queue message may not be hidden for longer


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach one storage account: a connection string, or service URIs with an identity.

    Attributes:
        name: The setting's name, for messages.
        connection_string: With a key or a SAS; kept out of every repr.
        blob_uri: ``https://...`` of the blob service, where an identity is used.
        queue_uri: Likewise for queues.
        table_uri: Likewise for tables.
        managed_identity: True for ``__credential=managedidentity``; otherwise the developer's own login is tried.
        client_id: Of a user-assigned identity.
    """

    name: str
    connection_string: str | None = field(default=None, repr=False)
    blob_uri: str | None = None
    queue_uri: str | None = None
    table_uri: str | None = None
    managed_identity: bool = False
    client_id: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the app reads from its environment. See README for what each means.

    Attributes:
        retry_delays_seconds: The growing delays before another try, in seconds.
        min_score: Below it the label is ``unknown``; ``None`` keeps every label.
        model_dirs: The models' folders, the first one's answer being the verdict; empty where ``model_blobs`` are set.
        model_blobs: The same in blob storage.
        model_cache_dir: Where models of blob storage are kept on this machine; ``None`` is the temporary folder.
        model_refresh_seconds: How often to look for another version there; 0 is never.
        decode_budget_mib: Memory for what is downloaded and decoded at one moment, in MiB; ``None`` derives it.
    """

    image_storage: Connection
    incoming_container: str
    results_container: str
    results_table: str
    model_dirs: tuple[Path, ...]
    model_blobs: tuple[BlobFolder, ...]
    model_cache_dir: Path | None
    model_refresh_seconds: int
    blob_trigger_source: str
    top_k: int
    min_score: float | None
    max_image_bytes: int
    max_image_pixels: int
    decode_budget_mib: int | None
    retry_delays_seconds: tuple[int, ...]
    reconcile_schedule: str

    @property
    def index_table(self) -> str:
        """The second table: rows by label, day and status."""
        return f"{self.results_table}index"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Build settings from a mapping, such as ``os.environ``.

        Raises:
            SettingsError: Names every setting that is missing or wrong, all at once.
        """
        read = _Reader(environ)
        settings = cls(
            image_storage=read.connection("ImageStorage"),
            incoming_container=read.matching("INCOMING_CONTAINER", CONTAINER, _A_CONTAINER),
            results_container=read.matching("RESULTS_CONTAINER", CONTAINER, _A_CONTAINER),
            results_table=read.matching("RESULTS_TABLE", _TABLE, _A_TABLE),
            model_dirs=() if read.text("MODEL_BLOB") else read.parsed("MODEL_DIR", _folders, _FOLDERS) or (),
            model_blobs=read.parsed("MODEL_BLOB", _blob_folders, _BLOB_FOLDERS) or (),
            model_cache_dir=read.parsed("MODEL_CACHE_DIR", lambda text: (APP_ROOT / text).resolve(), "a folder"),
            model_refresh_seconds=read.whole("MODEL_REFRESH_SECONDS", 0, 7 * 24 * 3600) or 0,
            blob_trigger_source=read.one_of("BLOB_TRIGGER_SOURCE", _SOURCES),
            top_k=read.whole("TOP_K", 1, 1000) or 0,
            min_score=read.parsed("MIN_SCORE", _score, "a number from 0 to 1"),
            max_image_bytes=read.whole("MAX_IMAGE_BYTES", 1, 2**31) or 0,
            max_image_pixels=read.whole("MAX_IMAGE_PIXELS", 1, 2**31) or 0,
            decode_budget_mib=read.whole("DECODE_BUDGET_MIB", 1, 2**20),
            retry_delays_seconds=read.parsed("RETRY_DELAYS_SECONDS", _delays, "whole seconds, as 60,300,900") or (),
            reconcile_schedule=read.text("RECONCILE_SCHEDULE"),
        )
        if settings.incoming_container == settings.results_container:
            read.problems.append(
                "INCOMING_CONTAINER and RESULTS_CONTAINER are the same container, so each sidecar would be classified "
                "again, for ever: give RESULTS_CONTAINER a name of its own"
            )
        if read.text("MODEL_BLOB") and read.text("MODEL_DIR") != DEFAULTS["MODEL_DIR"]:
            read.problems.append("MODEL_DIR and MODEL_BLOB both name a model: remove one of them")
        written = {settings.incoming_container, settings.results_container}
        if any(folder.container in written for folder in settings.model_blobs):
            read.problems.append(
                "MODEL_BLOB lies in INCOMING_CONTAINER or RESULTS_CONTAINER, where its files would be taken for images "
                "or results: give it a container of its own"
            )
        if read.problems:
            raise SettingsError("; ".join(read.problems) + ".")
        return settings


class _Reader:
    """Reads settings one by one and remembers every problem, never a value: it may be a secret in the wrong place."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        return self._environ.get(name, "").strip() or DEFAULTS.get(name, "")

    def parsed(self, name: str, parse: Callable[[str], _T], wanted: str) -> _T | None:
        value = self.text(name)
        if not value:
            return None
        try:
            return parse(value)
        except ValueError:
            self.problems.append(f"{name} must be {wanted}")
            return None

    def whole(self, name: str, least: int, most: int) -> int | None:
        def parse(value: str) -> int:
            number = int(value)
            if not least <= number <= most:
                raise ValueError
            return number

        return self.parsed(name, parse, f"a whole number from {least} to {most}")

    def matching(self, name: str, pattern: re.Pattern[str], wanted: str) -> str:
        value = self.text(name)
        if not pattern.fullmatch(value):
            self.problems.append(f"{name} must be {wanted}")
        return value

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.text(name)
        if value not in choices:
            self.problems.append(f"{name} must be {' or '.join(choices)}")
        return value

    def connection(self, name: str) -> Connection:
        try:
            return read_connection(self._environ, name)
        except SettingsError as error:
            self.problems.append(str(error).removesuffix("."))
            return Connection(name)


def read_connection(environ: Mapping[str, str], name: str) -> Connection:
    """Resolve one connection setting, as the Functions host does: a connection string, or ``NAME__*`` with an identity.

    Raises:
        SettingsError: Neither form is complete; the message names what is missing.
    """
    value = environ.get(name, "").strip()
    if value:
        if value.rstrip("; ").lower() == "usedevelopmentstorage=true":
            value = DEVELOPMENT_STORAGE
        elif "=" not in value:
            raise SettingsError(f"{name} is not a connection string (Name=value;...): copy it from the account's keys.")
        return Connection(name, connection_string=value)

    uris = _service_uris(environ, name)
    return Connection(
        name,
        blob_uri=uris["blob"],
        queue_uri=uris["queue"],
        table_uri=uris["table"],
        managed_identity=environ.get(f"{name}__credential", "").strip().lower() == "managedidentity",
        client_id=environ.get(f"{name}__clientId", "").strip() or None,
    )


def _service_uris(environ: Mapping[str, str], name: str) -> dict[str, str]:
    """The URI of each service of an account that is reached by identity."""
    account = environ.get(f"{name}__accountName", "").strip()
    uris: dict[str, str] = {}
    missing: list[str] = []
    problems: list[str] = []
    for service in ("blob", "queue", "table"):
        setting = f"{name}__{service}ServiceUri"
        uri = environ.get(setting, "").strip() or (f"https://{account}.{service}.core.windows.net" if account else "")
        if not uri:
            missing.append(setting)
        elif not uri.lower().startswith("https://"):
            problems.append(f"{setting} must begin with https://: tokens are never sent in the clear")
        uris[service] = uri.rstrip("/")
    if len(missing) == len(uris):
        raise SettingsError(
            f"{name} is not set: give a connection string, or {name}__blobServiceUri, {name}__queueServiceUri and "
            f"{name}__tableServiceUri for an identity."
        )
    if missing:
        problems.append(f"{' and '.join(missing)} missing beside the other {name}__ settings")
    if problems:
        raise SettingsError("; ".join(problems) + ".")
    return uris


def _folders(value: str) -> tuple[Path, ...]:
    return tuple((APP_ROOT / part).resolve() for part in _several(value))


def _blob_folders(value: str) -> tuple[BlobFolder, ...]:
    return tuple(BlobFolder.parse(part) for part in _several(value))


def _several(value: str) -> list[str]:
    parts = [part.strip() for part in value.split(";") if part.strip()]  # not a colon: Windows has one behind the drive
    if not parts:
        raise ValueError
    return parts


def _score(value: str) -> float:
    number = float(value)
    if not 0 <= number <= 1:
        raise ValueError
    return number


def _delays(value: str) -> tuple[int, ...]:
    delays = tuple(int(part) for part in value.split(","))
    if not all(1 <= delay <= _MAX_DELAY_SECONDS for delay in delays):
        raise ValueError
    return delays
