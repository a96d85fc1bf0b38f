"""TLS of the guarded sender: who cannot prove to be the name in the URL gets nothing. Against real TLS servers."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_django import Settings

from common.outbound import Kind, Outcome, post_json

LOOPBACK = "127.0.0.1"


class Authority:
    """A certificate authority that this process trusts through SSL_CERT_FILE."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        certificate = self._sign(self.name, self.key.public_key(), x509.BasicConstraints(ca=True, path_length=None))
        self.file = folder / "authority.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(
        self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey, *extensions: x509.ExtensionType,
        start: datetime | None = None, end: datetime | None = None,
    ) -> x509.Certificate:  # fmt: skip
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            self.name, subject, public_key, x509.random_serial_number(),
            start or now - timedelta(days=1), end or now + timedelta(days=1),
        )  # fmt: skip
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self.key, hashes.SHA256())

    def server_context(self, name: str, *, expired: bool = False) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        alternative: x509.GeneralName = x509.DNSName(name)
        if name[0].isdigit():
            alternative = x509.IPAddress(ip_address(name))
        now = datetime.now(UTC)
        certificate = self._sign(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key.public_key(),
            x509.SubjectAlternativeName([alternative]),
            start=now - timedelta(days=9), end=now - timedelta(days=2) if expired else now + timedelta(days=1),
        )  # fmt: skip
        file = self.folder / f"{name}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


class TlsServer:
    """One answer over TLS; remembers the name the client asked for and what it sent."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.names: list[str | None] = []
        self.received = b""
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self._context = context
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        plain, _ = self._listener.accept()
        plain.settimeout(5)
        try:
            with self._context.wrap_socket(plain, server_side=True) as connection:
                self.received = connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except OSError:
            plain.close()

    def __enter__(self) -> "TlsServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self._listener.close()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


def send_over_tls(server: TlsServer, host: str, settings: Settings) -> Outcome:
    origin = f"https://{host}:{server.port}"
    settings.OUTBOUND_ALLOWED_ORIGINS = frozenset({origin})
    return post_json(f"{origin}/hook", {"secret": "words"}, resolver=lambda *_: [LOOPBACK])


def test_tls_is_verified_for_the_name_not_the_address(authority: Authority, settings: Settings) -> None:
    with TlsServer(authority.server_context("receiver.example")) as server:
        assert send_over_tls(server, "receiver.example", settings) == Outcome(Kind.DELIVERED, "2xx")
    assert server.names == ["receiver.example"]
    assert f"Host: receiver.example:{server.port}\r\n".encode() in server.received


@pytest.mark.parametrize(
    ("name", "expired"), [("other.example", False), ("receiver.example", True), ("127.0.0.1", False)],
    ids=["wrong host", "expired", "right address, wrong host"],
)  # fmt: skip
def test_a_certificate_that_does_not_fit_gets_nothing(
    authority: Authority, settings: Settings, name: str, expired: bool
) -> None:
    with TlsServer(authority.server_context(name, expired=expired)) as server:
        assert send_over_tls(server, "receiver.example", settings) == Outcome(Kind.BLOCKED, "tls")
    assert server.received == b""


def test_a_self_signed_certificate_gets_nothing(tmp_path: Path, settings: Settings) -> None:
    with TlsServer(Authority(tmp_path).server_context("receiver.example")) as server:
        assert send_over_tls(server, "receiver.example", settings) == Outcome(Kind.BLOCKED, "tls")
    assert server.received == b""
