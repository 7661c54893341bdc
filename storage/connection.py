"""How to reach one storage account: a connection string, or service URIs with an identity."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from storage.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Azurite's account key is published by Microsoft and the same on every machine: no secret. The Python SDKs do not
# expand the short form ``UseDevelopmentStorage=true``.
_AZURITE_ACCOUNT = "devstoreaccount1"
_AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
DEVELOPMENT_STORAGE = (
    f"DefaultEndpointsProtocol=http;AccountName={_AZURITE_ACCOUNT};AccountKey={_AZURITE_KEY};"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)
_SERVICES = ("Blob", "Queue", "Table")
_CLOUDS = ("core.windows.net", "core.chinacloudapi.cn", "core.usgovcloudapi.net")
_AZURE_KEY_BYTES = 64  # of every key that Azure makes: 88 characters of Base64
_ACCOUNT_NAME = re.compile(r"[a-z0-9]{3,24}(-secondary)?")
_QUOTES = "\"'`\u201c\u201d\u2018\u2019"
_PLACEHOLDER = re.compile(r"[<>{}]|\.\.\.|\u2026|\$\(|^\W*(your|my|the)[-_ ]|^%.*%$|^(x+|\*+)$", re.IGNORECASE)


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


def connection_string_fault(text: str) -> str | None:
    """Return the fault of a connection string that people make most, as words that follow the setting's name.

    The words never quote a value, which may be a secret. ``None`` means that no such fault was found.
    """
    if text.startswith("@Microsoft.KeyVault("):
        return (
            "is a reference to Key Vault that Azure has not resolved: check the reference's state in the portal, and"
            " the access of the app's identity to the vault."
        )
    if any(mark in text for mark in _QUOTES):
        return "stands in quotation marks: remove them."
    parts = [part.partition("=") for part in text.split(";") if part]
    values = {name.lower(): value for name, _, value in parts}
    if placeholder := _placeholder(values):
        return placeholder
    if re.search(r"\s", text):
        return "is wrapped, or has spaces inside: write it in one line without spaces."
    if not all(separator for _, separator, _ in parts):
        return "has a part without '=': copy the whole string again from the account's access keys."
    return _missing_part(values) or _bad_account(values) or _missing_endpoint(values)


def _missing_part(values: Mapping[str, str]) -> str | None:
    if values.get("sharedaccesssignature"):
        return None
    missing = [name for name in ("AccountName", "AccountKey") if not values.get(name.lower())]
    if not missing:
        return None
    others = "" if len(missing) == 1 else ", and no SharedAccessSignature= either"
    return f"has no {'= and no '.join(missing)}={others}: copy the whole string again from the account's access keys."


def _placeholder(values: Mapping[str, str]) -> str | None:
    """Name a value that a person has yet to fill in."""
    for name in ("AccountName", "AccountKey", "SharedAccessSignature"):
        if _PLACEHOLDER.search(values.get(name.lower(), "")):
            return f"has a placeholder as {name}: put the account's own value there."
    return None


def _bad_account(values: Mapping[str, str]) -> str | None:
    """Name an impossible account or a damaged key."""
    account = values.get("accountname")
    if account and _is_azure(values) and not _ACCOUNT_NAME.fullmatch(account):
        return "has an AccountName that no account has: 3 to 24 lower-case letters and digits are expected."
    key = values.get("accountkey")
    if key is None:
        return None
    try:
        decoded = base64.b64decode(key, validate=True)
    except binascii.Error:
        decoded = b""
    if not decoded or (_has_key_of_azure(values) and len(decoded) != _AZURE_KEY_BYTES):
        return (
            f"has an AccountKey of {len(key)} characters that is cut or mistyped. A key of Azure has 88 and ends"
            " with ==: copy it again, whole."
        )
    return None


def _has_key_of_azure(values: Mapping[str, str]) -> bool:
    """Whether the key must be as long as Azure's are; other accounts of emulators may have keys of any length."""
    return _is_azure(values) or values.get("accountname") == _AZURITE_ACCOUNT


def _is_azure(values: Mapping[str, str]) -> bool:
    own = [value for name, value in values.items() if name.endswith("endpoint")]
    suffix = values.get("endpointsuffix", _CLOUDS[0]).lower()
    return all(any(cloud in url.lower() for cloud in _CLOUDS) for url in own) if own else suffix in _CLOUDS


def _missing_endpoint(values: Mapping[str, str]) -> str | None:
    """Name the services without an address. The SDK makes them up from the account's name, where there is one."""
    given = [service for service in _SERVICES if values.get(f"{service.lower()}endpoint")]
    absent = [f"{service}Endpoint=" for service in _SERVICES if service not in given]
    name = values.get("accountname")
    standard = bool(name) and all(
        re.match(rf"https?://{re.escape(name or '')}\.{service}\.", values[f"{service}endpoint"], re.IGNORECASE)
        for service in map(str.lower, given)
    )
    if not absent or standard:
        return None
    return f"has no {' and no '.join(absent)}: the app needs blobs, queues and tables of one account."
