"""What all contenders share: one origin that speaks TLS, the CA to verify it by, and an invented token.

Everything is on the loopback interface, in one folder that is removed at the end; no credential is a real one.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final, Self

import trustme

from tests.benchmarks.pinned import LOAD_CORE, Pinned
from tests.benchmarks.tools import NGINX

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

TEMPLATES: Final = Path(__file__).with_name("templates")
SMALL: Final = 300  # bytes of an answer
LARGE: Final = 1024 * 1024  # bytes of a large body, either way
READ: Final = "/api/accounts/032.840.00000001/balance"
DOWNLOAD: Final = "/api/virtual-account-batch/large"
UPLOAD: Final = "/api/virtual-account-batch"
_TOKEN_LIVES: Final = 80_000  # seconds, longer than any measurement
_BOUND: Final = 20.0  # seconds in which a program must answer


class GroundError(Exception):
    """Something did not come up; the text says what it said."""


@dataclass(slots=True)
class Ground:
    """A folder and an origin that answers inside the `with` block.

    Attributes:
        folder: for all that is written.
        origin: its port.
        token: what the origin's callers carry.
    """

    folder: Path = field(init=False)
    origin: int = field(init=False)
    token: str = field(init=False, repr=False)
    _exits: ExitStack = field(default_factory=ExitStack)

    @property
    def authority(self) -> str:
        """Name and port of the origin."""
        return f"localhost:{self.origin}"

    @property
    def ca_file(self) -> Path:
        """The CA by which it is verified."""
        return self.folder / "ca.pem"

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            self.folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="localpayment-proxy-bench-")))
            self.origin = free_port()
            self._certify()
            self._furnish()
            origin = exits.enter_context(
                Pinned(
                    [NGINX.found(), "-p", str(self.folder), "-c", str(self.folder / "origin.conf")],
                    core=LOAD_CORE,
                    said=self.folder / "origin",
                )
            )
            until_listening(self.origin, origin)
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def write(self, name: str, **values: object) -> Path:
        """Fill in a template; return the file."""
        path = self.folder / name
        known = {"folder": self.folder, "origin": self.origin, "authority": self.authority, "token": self.token}
        path.write_text(Template((TEMPLATES / name).read_text()).substitute(known, **values))
        return path

    def _certify(self) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        authority.cert_pem.write_to_path(self.ca_file)
        certificate.private_key_pem.write_to_path(self.folder / "key.pem")
        chain = b"".join(part.bytes() for part in certificate.cert_chain_pems)
        (self.folder / "cert.pem").write_bytes(chain)

    def _furnish(self) -> None:
        self.token = invented_token("access")
        grant = json.dumps({"access": self.token, "refresh": invented_token("refresh")})
        answer = {"accountNumber": "032.840.00000001", "balance": 1000.0, "filling": ""}
        answer["filling"] = "x" * (SMALL - len(json.dumps(answer)))
        (self.folder / "large").write_bytes(os.urandom(LARGE))
        self.write("origin.conf", port=self.origin, sink=free_port(), grant=grant, answer=json.dumps(answer))


def invented_token(kind: str) -> str:
    """Return a token in the form of Simple JWT's, with a signature that is none."""
    claims = {"token_type": kind, "exp": int(time.time()) + _TOKEN_LIVES, "jti": "0" * 32, "user_id": 1}
    parts = (json.dumps({"alg": "HS256", "typ": "JWT"}), json.dumps(claims))
    encoded = [base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "0" * 43])


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def until_listening(port: int, program: Pinned) -> None:
    """Wait until somebody listens; raise GroundError when the program ends before, or takes too long."""
    until_true(lambda: _listens(port), program)


def until_answering(port: int, program: Pinned) -> None:
    """Wait until a call is answered with 200; raise GroundError when the program ends before, or takes too long."""
    until_true(lambda: _answers(port), program)


def until_true(happened: Callable[[], bool], program: Pinned) -> None:
    """Look every millisecond whether something has happened."""
    end = time.monotonic() + _BOUND
    while not happened():
        if not program.alive or time.monotonic() > end:
            message = f"A program did not come up within {_BOUND:g} s. It said: {program.complaint or 'nothing'}"
            raise GroundError(message)
        time.sleep(0.001)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _answers(port: int) -> bool:
    request = f"GET {READ} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as caller:
            caller.sendall(request)
            return caller.recv(12) == b"HTTP/1.1 200"
    except OSError:
        return False
