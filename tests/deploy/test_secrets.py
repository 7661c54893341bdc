"""detect-secrets finds no secret in any tracked file, except for the findings listed here with their reasons."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest

from storage.connection import DEVELOPMENT_STORAGE

ROOT = Path(__file__).resolve().parents[2]
AZURITE_KEY = DEVELOPMENT_STORAGE.partition("AccountKey=")[2].partition(";")[0]

# By the digest that the scan reports, so that a reason applies to one text only.
HARMLESS = {
    sha1(text.encode()).hexdigest(): reason
    for text, reason in {
        AZURITE_KEY: "the key of Azurite, published by Microsoft for everybody",
        f"AccountKey={AZURITE_KEY}": "the same, in a connection string",
        base64.b64encode(b"secret-secret-secret").decode(): "a made-up key, tests/storage/test_settings.py",
        base64.b64encode(b"secretsecret").decode(): "a made-up key, tests/tools/doctor/test_doctor.py",
        "hunter2": "a made-up password in a URL, tests/tools/model/test_download.py",
    }.items()
}
# The repository contains many hexadecimal digests (wheels, models, Azurite); no key of Azure or GitHub looks like one.
# Keys of services that this project has no account of are left out too: to look for them doubles the time.
LEFT_OUT = (
    "HexHighEntropyString",
    *("CloudantDetector", "DiscordBotTokenDetector", "IbmCloudIamDetector", "IbmCosHmacDetector", "MailchimpDetector"),
    *("SendGridDetector", "SlackDetector", "SoftlayerDetector", "SquareOAuthDetector", "StripeDetector"),
    *("TelegramBotTokenDetector", "TwilioKeyDetector", "ArtifactoryDetector", "IPPublicDetector"),
)
NOT_READ = (".png", ".onnx", "package-lock.json")  # pictures, weights, and a list of digests


def scan(root: Path, *paths: str) -> list[dict[str, Any]]:
    options = [word for name in LEFT_OUT for word in ("--disable-plugin", name)]
    command = [str(Path(sys.executable).parent / "detect-secrets"), "scan", "--no-verify", *options]
    done = subprocess.run([*command, *paths], cwd=root, capture_output=True, text=True, check=True)
    return [secret for found in json.loads(done.stdout)["results"].values() for secret in found]


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("This is no git checkout.")
    names = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    return [name for name in names if not name.endswith(NOT_READ)]


def test_no_tracked_file_contains_a_secret(tracked: list[str]) -> None:
    found = [secret for secret in scan(ROOT, *tracked) if secret["hashed_secret"] not in HARMLESS]
    assert [f"{each['filename']}:{each['line_number']} {each['type']} {each['hashed_secret']}" for each in found] == []


def test_the_scan_finds_a_secret(tmp_path: Path) -> None:
    key = base64.b64encode(os.urandom(64)).decode()
    (tmp_path / "settings.py").write_text(
        f'CONNECTION = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={key}"\n'
    )
    kinds = {secret["type"] for secret in scan(tmp_path, "settings.py")}
    assert "Azure Storage Account access key" in kinds
