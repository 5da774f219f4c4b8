"""Callers in the ways by which a policy knows them: socket files, client certificates, keys."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import ssl
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.sidecars import BOUND

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.support.sidecars import Running

NOBODY = 65534  # uid and gid of Debian's user `nobody`
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="ANOTHER USER IS NOT TESTED: only root can become one")


def policy(folder: Path, text: str) -> Path:
    """Write a policy file."""
    path = folder / "policy.toml"
    path.write_text(text)
    return path


def key() -> tuple[str, str]:
    """A new key and its SHA-256."""
    made = secrets.token_urlsafe(32)
    return made, hashlib.sha256(made.encode()).hexdigest()


@contextlib.contextmanager
def shared_folder() -> Iterator[Path]:
    """A folder that every user may look into, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextlib.asynccontextmanager
async def on_socket(path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client whose calls go to a socket file."""
    async with aiohttp.ClientSession("http://localhost", connector=aiohttp.UnixConnector(str(path))) as session:
        yield session


class Certificates:
    """A CA, and files of what it issued, in a folder of its own."""

    def __init__(self, folder: Path, ca: trustme.CA | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.ca = ca or trustme.CA()
        self.ca_file = folder / "ca.pem"
        self.cert_file, self.key_file = folder / "cert.pem", folder / "key.pem"
        self.write()

    def write(self, *names: str) -> None:
        """Issue a server's certificate, and write it in the place of the last."""
        issued = self.ca.issue_cert(*(names or ("127.0.0.1", "localhost")))
        self.ca.cert_pem.write_to_path(str(self.ca_file))
        self.cert_file.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        self.key_file.write_bytes(issued.private_key_pem.bytes())

    @property
    def settings(self) -> dict[str, Path]:
        return {"tls_cert_file": self.cert_file, "tls_key_file": self.key_file}

    def client(self, *names: str, trusting: trustme.CA | None = None) -> ssl.SSLContext:
        """A caller's context: what it trusts, and its certificate for these names, or none."""
        context = ssl.create_default_context()
        context.load_verify_locations(cadata=(trusting or self.ca).cert_pem.bytes().decode())
        if names:
            self.ca.issue_cert(*names).configure_cert(context)
        return context

    def nameless(self) -> ssl.SSLContext:
        """A caller's context, with a certificate whose only name is empty."""
        context, key = self.client(), ec.generate_private_key(ec.SECP256R1())
        issuer = x509.load_pem_x509_certificate(self.ca.cert_pem.bytes())
        signed_with = serialization.load_pem_private_key(self.ca.private_key_pem.bytes(), None)
        assert isinstance(signed_with, ec.EllipticCurvePrivateKey)
        made = (
            x509.CertificateBuilder(issuer.subject, x509.Name([]), key.public_key(), x509.random_serial_number())
            .not_valid_before(issuer.not_valid_before_utc)
            .not_valid_after(issuer.not_valid_after_utc)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("")]), critical=False)
            .sign(signed_with, hashes.SHA256())
        )
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        path = self.folder / "nameless.pem"
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*form))
        context.load_cert_chain(path)
        return context


async def get(relay: Running, path: str, tls: ssl.SSLContext) -> int:
    """Call over a TLS connection of its own; return the status."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls, force_close=True)) as session,
        session.get(relay.url + path) as answer,
    ):
        await answer.read()
        return answer.status


# Started as root, since an interpreter may stand where only root can look.
_CALL = """
import http.client, json, os, socket, sys
os.setgroups([]), os.setgid(int(sys.argv[3])), os.setuid(int(sys.argv[3]))
connection = http.client.HTTPConnection("localhost")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect(sys.argv[1])
connection.request("GET", sys.argv[2])
answer = connection.getresponse()
print(json.dumps([answer.status, answer.read().decode()]))
"""


async def get_as(uid: int, path: Path, target: str) -> tuple[int, str]:
    """Call through a socket file in a process of another user; return status and body."""
    command = (sys.executable, "-I", "-c", _CALL, str(path), target, str(uid))
    async with asyncio.timeout(BOUND):
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env={})
        out, _ = await process.communicate()
    assert process.returncode == 0
    status, body = json.loads(out)
    return int(status), str(body)
