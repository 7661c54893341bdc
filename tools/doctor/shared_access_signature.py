"""Checks what a connection string's shared access signature (SAS) allows, and how long, without a request.

Storage answers a wrong, an expired and a narrow SAS with the same few codes, but the SAS states its own limits.
Parameters: https://learn.microsoft.com/rest/api/storageservices/create-account-sas
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from tools.doctor.findings import ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.connection import Connection
    from tools.doctor.findings import Finding

_PERMISSIONS = {
    "r": "read", "w": "write", "d": "delete", "l": "list", "a": "add", "c": "create", "u": "update", "p": "process",
}  # fmt: skip
_SERVICES = {"b": "blobs", "q": "queues", "t": "tables"}
_RESOURCES = {"s": "the service", "c": "containers, queues and tables", "o": "blobs, messages and rows"}
_SOON = timedelta(days=7)


def check_sas(connection: Connection, now: datetime) -> list[Finding]:
    """Check the SAS of a connection string; no findings where there is none.

    Args:
        connection: The setting.
        now: Aware time.
    """
    parts = dict(part.partition("=")[::2] for part in (connection.connection_string or "").split(";"))
    sas = next((value for name, value in parts.items() if name.lower() == "sharedaccesssignature"), None)
    if sas is None:
        return []
    values = {name: each[0] for name, each in parse_qs(sas.removeprefix("?")).items()}
    findings = list(_problems(connection.name, values, now))
    return findings or [ok("settings", f"The SAS of {connection.name} allows what the app needs{_until(values)}.")]


def _problems(name: str, values: dict[str, str], now: datetime) -> Iterator[Finding]:
    renew = "make a new one for blobs, queues and tables, with all permissions, or use an identity."
    expiry, start = _time(values.get("se")), _time(values.get("st"))
    if expiry is not None and expiry <= now:
        yield problem("settings", f"The SAS of {name} expired on {expiry:%Y-%m-%d %H:%M} UTC (se=): {renew}")
    elif expiry is not None and expiry <= now + _SOON:
        yield warning("settings", f"The SAS of {name} expires on {expiry:%Y-%m-%d %H:%M} UTC (se=): {renew}")
    if start is not None and start > now:
        yield problem("settings", f"The SAS of {name} is not valid before {start:%Y-%m-%d %H:%M} UTC (st=): {renew}")
    if "sp" in values:
        allowed = ", ".join(word for letter, word in _PERMISSIONS.items() if letter in values["sp"]) or "nothing"
        denied = [word for letter, word in _PERMISSIONS.items() if letter not in values["sp"]]
        if denied:
            yield problem(
                "settings",
                f"The SAS of {name} allows {allowed} (sp=), but the app must also {_words(denied)}: {renew}",
            )
    for parameter, words in (("ss", _SERVICES), ("srt", _RESOURCES)):
        if parameter not in values:
            continue
        missing = [word for letter, word in words.items() if letter not in values[parameter]]
        if missing:
            yield problem("settings", f"The SAS of {name} does not reach {_words(missing)} ({parameter}=): {renew}")
    if "sr" in values or "tn" in values:
        yield problem(
            "settings", f"The SAS of {name} is for one container, blob or table, not for the account: {renew}"
        )


def _until(values: dict[str, str]) -> str:
    expiry = _time(values.get("se"))
    return f", until {expiry:%Y-%m-%d %H:%M} UTC" if expiry else ""


def _time(text: str | None) -> datetime | None:
    """Read a time of a SAS: a day, or a time in UTC."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _words(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
