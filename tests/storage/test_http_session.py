"""The session below the SDK: proxies and certificates of the environment are used, and read once per host."""

from __future__ import annotations

import ipaddress
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from inference.errors import TransientError
from storage.blobs import SourceBlobs
from storage.clients import connect
from storage.connection import Connection
from storage.results.record import Image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Names
    from tools.azurite.azurite import Azurite

IMAGE = Image("incoming", "site a/cat 1+2=3%.jpg")
PATH = "/account/incoming/site%20a/cat%201%2B2%3D3%25.jpg"


class EmptyServer:
    """A server without blobs: it answers 404 and keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                requests.append((self.path, self.headers["Authorization"]))
                self.send_response(404)
                self.send_header("x-ms-error-code", "BlobNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        scheme = "https" if isinstance(self.server.socket, ssl.SSLSocket) else "http"
        return f"{scheme}://127.0.0.1:{self.server.server_port}"


@contextmanager
def serving(server: EmptyServer) -> Iterator[EmptyServer]:
    thread = threading.Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.server.shutdown()
        thread.join()
        server.server.server_close()


@pytest.fixture
def server() -> Iterator[EmptyServer]:
    with serving(EmptyServer()) as running:
        yield running


@pytest.fixture(autouse=True)
def without_proxies_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def source(endpoint: str) -> SourceBlobs:
    endpoints = "".join(f"{service}Endpoint={endpoint}/account;" for service in ("Blob", "Queue", "Table"))
    text = f"DefaultEndpointsProtocol={endpoint.partition(':')[0]};AccountName=account;AccountKey=AAAA;{endpoints}"
    return SourceBlobs(connect(Connection("ImageStorage", text)).blobs, 1000)


def test_a_proxy_of_the_environment_is_used(server: EmptyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    assert source("http://storage.invalid").info(IMAGE) is None
    assert [path for path, _ in server.requests] == [f"http://storage.invalid{PATH}"]


def test_no_proxy_keeps_a_host_off_the_proxy(server: EmptyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    assert source(server.url).info(IMAGE) is None
    assert [path for path, _ in server.requests] == [PATH]


def test_the_environment_is_read_once_per_host(server: EmptyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = source(server.url)
    blobs.info(IMAGE)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    blobs.info(IMAGE)
    assert [path for path, _ in server.requests] == [PATH] * 2


def test_a_netrc_does_not_replace_the_signature(
    server: EmptyServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password word\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    source(server.url).info(IMAGE)
    assert [signed.partition(":")[0] for _, signed in server.requests] == ["SharedKey account"]


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_of_the_environment_are_trusted(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serving(over_tls(EmptyServer(), tmp_path)) as server:
        monkeypatch.setenv(name, str(tmp_path / "certificate.pem"))
        assert source(server.url).info(IMAGE) is None
        assert [path for path, _ in server.requests] == [PATH]


def test_a_server_with_an_untrusted_certificate_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)  # of the SDK, between its attempts
    with serving(over_tls(EmptyServer(), tmp_path)) as server:
        with pytest.raises(TransientError):
            source(server.url).info(IMAGE)
        assert not server.requests


def test_a_name_with_dots_for_folders_reaches_its_own_blob(azurite: Azurite, names: Names) -> None:
    """A URL that is prepared twice loses them, and its signature no longer matches."""
    clients = connect(Connection("ImageStorage", azurite.connection_string))
    container = clients.blobs.create_container(names.container())
    container.upload_blob("a/../b.jpg", b"dots")
    container.upload_blob("b.jpg", b"none")
    assert container.download_blob("a/../b.jpg").readall() == b"dots"


def over_tls(server: EmptyServer, folder: Path) -> EmptyServer:
    """Let a server use TLS, with a new certificate that is written to ``certificate.pem``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "certificate.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = folder / "key.pem"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
    return server
