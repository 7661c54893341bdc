from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.blob import generate_account_sas

from storage.connection import Connection
from tools.doctor.findings import Level
from tools.doctor.shared_access_signature import check_sas

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
KEY = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
ALL = "rwdlacup"


def connection(permissions: str = ALL, services: str = "bqt", types: str = "sco", *, days: float = 30) -> Connection:
    """A connection with a SAS as Microsoft's own library writes it."""
    sas = generate_account_sas(
        "photos",
        KEY,
        resource_types=types,
        permission=permissions,
        expiry=NOW + timedelta(days=days),
        start=NOW - timedelta(days=90),
        services=services,
    )
    return Connection("ImageStorage", f"BlobEndpoint=https://photos.blob.core.windows.net/;SharedAccessSignature={sas}")


def test_a_sas_that_allows_everything_is_good_and_its_end_is_named() -> None:
    (finding,) = check_sas(connection(), NOW)
    assert finding.level is Level.OK
    assert "2026-07-01 12:00 UTC" in finding.sentence


def test_an_account_key_is_no_sas() -> None:
    assert check_sas(Connection("ImageStorage", f"AccountName=photos;AccountKey={KEY}"), NOW) == []
    assert check_sas(Connection("ImageStorage", blob_uri="https://photos.blob.core.windows.net"), NOW) == []


@pytest.mark.parametrize(
    ("made", "level", "words"),
    [
        (connection("r"), Level.PROBLEM, "allows read (sp=), but the app must also write, delete"),
        (connection("rl"), Level.PROBLEM, "allows read, list (sp=)"),
        (connection("rwdlacu"), Level.PROBLEM, "must also process:"),
        (connection(days=-1), Level.PROBLEM, "expired on 2026-05-31 12:00 UTC (se=)"),
        (connection(days=2), Level.WARNING, "expires on 2026-06-03 12:00 UTC (se=)"),
        (connection(services="bq"), Level.PROBLEM, "does not reach tables (ss=)"),
        (connection(types="o"), Level.PROBLEM, "does not reach the service and containers, queues and tables (srt=)"),
        (
            Connection("X", "SharedAccessSignature=sv=2024&sr=c&sp=rwdlacup&se=2027-01-01&sig=x"),
            Level.PROBLEM,
            "for one container",
        ),
        (
            Connection("X", "sharedaccesssignature=?sp=rwdlacup&st=2026-06-02T00:00Z&se=2027-01-01T00:00:00Z&sig=x"),
            Level.PROBLEM,
            "not valid before 2026-06-02 00:00 UTC (st=)",
        ),
    ],
)
def test_a_limit_of_a_sas_is_named_with_its_parameter(made: Connection, level: Level, words: str) -> None:
    (finding,) = check_sas(made, NOW)
    assert finding.level is level
    assert words in finding.sentence
    assert "sig" not in finding.sentence
