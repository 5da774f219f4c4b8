"""Talks to the admin listener of this machine's sidecar: one request, one bounded answer, every failure in words.

It runs every few seconds as a container's health check, so it imports no aiohttp, what takes long only when it is
needed, and reads no setting but the address and the key's file.
"""

from __future__ import annotations

import ipaddress
import socket
import time
import tomllib
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.cli.exits import CommandError, Exit, end
from proxy.config import TcpAddress, UnixAddress, parsing

if TYPE_CHECKING:
    import http.client
    from collections.abc import Mapping

    from proxy.config import Listen

VARIABLE: Final = "PROXY_ADMIN_LISTEN"
DEFAULT: Final = "127.0.0.1:8081"  # DESIGN section 4
KEY_FILE: Final = "PROXY_ADMIN_KEY_FILE"
PROBE_SECONDS: Final = 2.0  # one probe; the listener answers from memory, and orchestrators end a probe after 3 s
PAUSE_SECONDS: Final = 1.0  # between two probes while waiting
MOST: Final = 4 * 1024 * 1024  # bytes of an answer that are read; a status has some ten thousand
REASON_BYTES: Final = 4096  # of the reason that /readyz gives, as much is shown


class AddressError(CommandError):
    """The admin listener's address, or its key, cannot be known; the text says what to do."""

    exit_code = Exit.BAD_CONFIGURATION


class NoAnswerError(CommandError):
    """The admin listener gave no answer; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class AdminAnswer:
    """What the admin listener answered: an HTTP status, and the beginning of the body."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx or 3xx (RFC 9110 section 15)."""
        return self.status < HTTPStatus.BAD_REQUEST


def admin_address(environ: Mapping[str, str]) -> Listen:
    """Find the address where `serve` finds it: the environment, else the configuration file, else the default.

    Raises:
        AddressError: it cannot be read.
    """
    text = written(VARIABLE, environ) or DEFAULT
    try:
        listen = parsing.listen(text)
    except ValueError as error:
        end(f"{VARIABLE}: {error}", AddressError)
    if isinstance(listen, UnixAddress):
        return listen
    if listen.port == 0:
        end(f"{VARIABLE} leaves the port to the kernel, so no other process knows it: name a port", AddressError)
    return TcpAddress(_reachable(listen.host), listen.port)


def admin_key(environ: Mapping[str, str]) -> Mapping[str, bytes]:
    """Return the field that carries the admin key, found where `serve` finds it; empty when no file is set.

    Raises:
        AddressError: the file cannot be read, or holds no key that a field can carry.
    """
    path = written(KEY_FILE, environ)
    if not path:
        return {}
    from proxy.ops.admin import key_file  # noqa: PLC0415 - only commands need it

    try:
        key = key_file.admin_key(Path(path))
    except key_file.KeyFileError as error:
        end(str(error), AddressError)
    return {"Authorization": f"Bearer {key.reveal()}".encode()}


def ask(  # noqa: PLR0913 - a request and its bounds, each named at the call
    admin: Listen,
    method: str,
    path: str,
    headers: Mapping[str, str | bytes],
    *,
    seconds: float = PROBE_SECONDS,
    late: str = "",
) -> AdminAnswer:
    """Send one request without a body and return its answer.

    Args:
        admin: where the listener is.
        method: GET or POST.
        path: begins with a slash.
        headers: besides Host, Connection and Content-Length.
        seconds: that any single wait may take.
        late: said besides when no answer came in time.

    Raises:
        NoAnswerError: no connection, no answer in time, or what answers does not speak HTTP.
    """
    import http.client  # noqa: PLC0415 - 50 ms, which `--help` does not need

    length = {"Content-Length": "0"} if method == "POST" else {}
    try:
        with closing(_connection(admin, seconds)) as connection:
            connection.request(method, path, headers={"Connection": "close", **length, **headers})
            answer = connection.getresponse()
            return AdminAnswer(answer.status, answer.read(MOST))
    except TimeoutError:
        text = f"no answer from {admin} within {seconds:g} s{late}"
    except OSError as error:
        text = f"nothing answers at {admin} ({error.strerror or 'no connection'}); is `serve` running there?"
    except http.client.HTTPException:
        text = f"what answers at {admin} does not speak HTTP"
    raise NoAnswerError(text)


def readiness(admin: Listen, seconds: float = PROBE_SECONDS) -> str | None:
    """Ask `GET /readyz` once; return None when the sidecar is ready, else why not."""
    try:
        answer = ask(admin, "GET", "/readyz", {"Accept": "text/plain"}, seconds=seconds)
    except NoAnswerError as error:
        return str(error)
    if answer.status == HTTPStatus.OK:
        return None
    lines = answer.body[:REASON_BYTES].decode("utf-8", "replace").splitlines()
    said = " ".join("".join(filter(str.isprintable, line)) for line in lines)
    return f"not ready: {admin}/readyz answered {answer.status} {said}".rstrip()


def wait_until_ready(admin: Listen, seconds: float) -> str | None:
    """Ask once a second for at most so many seconds; returns as `readiness` does."""
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        objection = readiness(admin, min(max(left, 0.1), PROBE_SECONDS))
        left = deadline - time.monotonic()
        if objection is None or left <= 0:
            return objection
        time.sleep(min(PAUSE_SECONDS, left))


def written(variable: str, environ: Mapping[str, str]) -> str:
    """Return a setting's text from the environment, else the configuration file, as `serve` does; empty if not set.

    Raises:
        AddressError: the file cannot be read.
    """
    path = environ.get("PROXY_CONFIG_FILE")
    if environ.get(variable) or not path:
        return environ.get(variable, "")
    try:
        found = tomllib.loads(Path(path).read_text("utf-8")).get(variable.lower())
    except (OSError, ValueError):
        end("PROXY_CONFIG_FILE cannot be read as TOML; `localpayment-proxy check` says more", AddressError)
    return found if isinstance(found, str) else ""


def _reachable(host: str) -> str:
    """Return the address to dial for one that is listened on: a wildcard is reached by its loopback."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"  # noqa: PLR2004 - IPv4


def _connection(admin: Listen, seconds: float) -> http.client.HTTPConnection:
    import http.client  # noqa: PLC0415 - as above

    if isinstance(admin, TcpAddress):
        return http.client.HTTPConnection(admin.host, admin.port, timeout=seconds)
    made = http.client.HTTPConnection("localhost", timeout=seconds)
    made.sock = socket.socket(socket.AF_UNIX)
    made.sock.settimeout(seconds)
    try:
        made.sock.connect(str(admin.path))
    except OSError:
        made.sock.close()
        raise
    return made
