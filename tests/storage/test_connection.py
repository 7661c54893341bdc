from __future__ import annotations

import base64
import random

import pytest

from storage.clients import connect
from storage.connection import DEVELOPMENT_STORAGE, Connection, connection_string_fault
from storage.errors import SettingsError

KEY = base64.b64encode(random.Random(0).randbytes(64)).decode()  # as long as a key of Azure, and no key
AZURE = f"DefaultEndpointsProtocol=https;AccountName=photos;AccountKey={KEY};EndpointSuffix=core.windows.net"
SIGNATURE = f"SharedAccessSignature=sv=2024-11-04&ss=bqt&srt=sco&sp=rwdlacup&se=2030-01-01T00:00:00Z&sig={KEY}"
ENDPOINTS = "".join(
    f"{each}Endpoint=https://photos.{each.lower()}.core.windows.net/;" for each in ("Blob", "Queue", "Table")
)
EMULATOR = (
    f"DefaultEndpointsProtocol=http;AccountName=photos;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:10000/photos;"
)


@pytest.mark.parametrize(
    "text",
    [
        AZURE,
        AZURE + ";",
        AZURE.replace(";EndpointSuffix=core.windows.net", ""),
        AZURE.replace("core.windows.net", "core.chinacloudapi.cn"),
        f"{AZURE};BlobEndpoint=https://photos.blob.core.windows.net/",
        ENDPOINTS + SIGNATURE,
        DEVELOPMENT_STORAGE,
        EMULATOR.replace(KEY, "c2hvcnQ=")
        + "QueueEndpoint=http://127.0.0.1:1/photos;TableEndpoint=http://127.0.0.1:2/photos",
    ],
)
def test_a_connection_string_that_works_has_no_fault(text: str) -> None:
    assert connection_string_fault(text) is None
    connect(Connection("ImageStorage", text)).close()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f'"{AZURE}"', "quotation marks"),
        (AZURE.replace("AccountName=", 'AccountName="', 1), "quotation marks"),
        (f"'{AZURE}'", "quotation marks"),
        (f"\u201c{AZURE}\u201d", "quotation marks"),
        (AZURE.replace("AccountKey", "\nAccountKey"), "wrapped"),
        (AZURE.replace(KEY, KEY[:40] + "\r\n  " + KEY[40:]), "wrapped"),
        (AZURE.replace(KEY, KEY[:-2]), "86 characters"),
        (AZURE.replace(KEY, KEY[:40]), "40 characters"),
        (AZURE.replace(KEY, KEY[:-9] + "!" + KEY[-8:]), "cut or mistyped"),
        (AZURE.replace(KEY, "<your-key>"), "placeholder as AccountKey"),
        (AZURE.replace(KEY, "<your key>"), "placeholder as AccountKey"),
        (DEVELOPMENT_STORAGE.replace("KBHBeksoGMGw==", ""), "74 characters"),
        (AZURE.replace(KEY, "..."), "placeholder as AccountKey"),
        (AZURE.replace(KEY, "{key}"), "placeholder as AccountKey"),
        (AZURE.replace(KEY, "xxxxxxxx"), "placeholder as AccountKey"),
        (AZURE.replace("=photos", "=<account>"), "placeholder as AccountName"),
        (AZURE.replace("=photos", "=your-account"), "placeholder as AccountName"),
        (AZURE.replace("=photos", "=MyPhotos"), "AccountName that no account has"),
        (ENDPOINTS + "SharedAccessSignature=<sas>", "placeholder as SharedAccessSignature"),
        (AZURE.replace(f"AccountKey={KEY};", ""), "no AccountKey="),
        (AZURE.replace("AccountName=photos;", ""), "no AccountName="),
        (ENDPOINTS, "no AccountName= and no AccountKey="),
        (AZURE.replace("AccountKey=", "AccountKey"), "no AccountKey="),
        (EMULATOR, "no QueueEndpoint= and no TableEndpoint="),
        (EMULATOR + "QueueEndpoint=http://127.0.0.1:10001/photos;", "no TableEndpoint="),
        ("BlobEndpoint=https://photos.blob.core.windows.net/;" + SIGNATURE, "no QueueEndpoint= and no TableEndpoint="),
        ("@Microsoft.KeyVault(SecretUri=https://vault/secrets/storage)", "Key Vault"),
        (AZURE.replace("AccountName=", "AccountName"), "without '='"),
    ],
)
def test_a_fault_of_a_connection_string_is_named_without_a_value(text: str, fault: str) -> None:
    with pytest.raises(SettingsError) as raised:
        connect(Connection("ImageStorage", text))
    assert str(raised.value).startswith("ImageStorage ")
    assert fault in str(raised.value)
    assert not any(KEY[start : start + 8] in str(raised.value) for start in range(80))
