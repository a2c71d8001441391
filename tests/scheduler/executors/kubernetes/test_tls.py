"""Connections to a cluster share what they trust, and learn when its authority is a new one."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kubernetes.client import Configuration

from scheduler.executors.kubernetes.client import Api, Unreachable

NOW = datetime.now(timezone.utc)


def certificate(path: Path) -> Path:
    """Of 127.0.0.1, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, path.stem)])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *form) + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path / "first.pem"))
    found.socket = context.wrap_socket(found.socket, server_side=True)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def client(server: ThreadingHTTPServer, trusted: Path | None, *, verified: bool = True) -> Api:
    told = Configuration()
    told.host = f"https://127.0.0.1:{server.server_port}"
    told.ssl_ca_cert, told.verify_ssl = str(trusted) if trusted else None, verified
    return Api(told)


def test_what_is_trusted_is_read_once(
    server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = client(server, tmp_path / "first.pem")

    def read(*args: object, **options: object) -> None:
        raise AssertionError("a connection reads the authorities for itself")

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", read)
    for _ in range(3):
        assert api.call("GET", "/") == {}
        api._pool.clear()


def test_a_cluster_of_another_authority_is_not_believed(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    for trusted in (None, certificate(tmp_path / "other.pem")):
        with pytest.raises(Unreachable, match="certificate verify failed"):
            client(server, trusted).call("GET", "/")
    assert client(server, None, verified=False).call("GET", "/") == {}, "as somebody has asked for"


def test_a_new_authority_is_read_when_the_old_one_does_not_do(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    trusted = certificate(tmp_path / "other.pem")
    api = client(server, trusted)
    with pytest.raises(Unreachable):
        api.call("GET", "/")
    trusted.write_bytes((tmp_path / "first.pem").read_bytes())  # as the cluster's own authority is renewed
    with pytest.raises(Unreachable):
        api.call("GET", "/")
    assert api.call("GET", "/") == {}
