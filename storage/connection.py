"""How to reach one storage account: a connection string, or service URIs with an identity."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from storage.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Azurite's account key is published by Microsoft and the same on every machine: no secret. The Python SDKs do not
# expand the short form ``UseDevelopmentStorage=true``.
_AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
DEVELOPMENT_STORAGE = (
    f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={_AZURITE_KEY};"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)


@dataclass(frozen=True, slots=True)
class Connection:
    """One storage account and the credential for it.

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


def read_connection(environ: Mapping[str, str], name: str) -> Connection:
    """Read one connection setting, as the Functions host does: a connection string, or ``NAME__*`` with an identity.

    Raises:
        SettingsError: Neither form is complete; the message names the missing settings.
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
    """Return the URI of each service of an account that is reached by identity."""
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
