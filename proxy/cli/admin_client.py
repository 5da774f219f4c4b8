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
REASON_BYTES: Final = 4096  # of the reason that /readyz gives


class AddressError(ValueError):
    """The admin listener's address, or its key, cannot be known; the text says what to do."""


class NoAnswerError(Exception):
    """The admin listener gave no answer; the text says why, and what to do."""


class AnswerTimeoutError(NoAnswerError):
    """The admin listener took the request, perhaps, and gave no answer in time."""


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
        message = f"{VARIABLE}: {error}"
        raise AddressError(message) from None
    if isinstance(listen, UnixAddress):
        return listen
    if listen.port == 0:
        message = f"{VARIABLE} leaves the port to the kernel, so no other process knows it: name a port"
        raise AddressError(message)
    return TcpAddress(_reachable(listen.host), listen.port)


def admin_key(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the header that carries the admin key; empty when PROXY_ADMIN_KEY_FILE names none.

    Raises:
        AddressError: the file cannot be read.
    """
    path = environ.get(KEY_FILE)
    if not path:
        return {}
    try:
        return {"Authorization": f"Bearer {Path(path).read_text('utf-8').strip()}"}
    except (OSError, ValueError) as error:
        message = f"{KEY_FILE}={path}: cannot be read; run this as a user who may, or as the sidecar's own"
        raise AddressError(message) from error


def ask(  # noqa: PLR0913 - a request and its bounds, each named at the call
    admin: Listen,
    method: str,
    path: str,
    *,
    seconds: float,
    most: int,
    headers: Mapping[str, str] | None = None,
) -> AdminAnswer:
    """Send one request and return its answer.

    Args:
        admin: where the listener is.
        method: GET or POST; neither carries a body.
        path: of the request.
        seconds: that any single wait may take.
        most: bytes that are read of the body.
        headers: besides Host and Connection.

    Raises:
        AnswerTimeoutError: no answer came in time.
        NoAnswerError: no connection, or what answers does not speak HTTP.
    """
    import http.client  # noqa: PLC0415 - 50 ms, which `--help` does not need

    length = {"Content-Length": "0"} if method == "POST" else {}
    try:
        with closing(_connection(admin, seconds)) as connection:
            connection.request(method, path, headers={"Connection": "close", **length, **(headers or {})})
            answer = connection.getresponse()
            return AdminAnswer(answer.status, answer.read(most))
    except TimeoutError:
        message = f"no answer from {admin} within {seconds:g} s"
        raise AnswerTimeoutError(message) from None
    except OSError as error:
        message = f"nothing answers at {admin} ({error.strerror or 'no connection'}); is `serve` running there?"
        raise NoAnswerError(message) from None
    except http.client.HTTPException:
        message = f"what answers at {admin} does not speak HTTP"
        raise NoAnswerError(message) from None


def readiness(admin: Listen, seconds: float = PROBE_SECONDS) -> str | None:
    """Ask `GET /readyz` once.

    Returns:
        None when the sidecar is ready, else why not.
    """
    try:
        answer = ask(admin, "GET", "/readyz", seconds=seconds, most=REASON_BYTES, headers={"Accept": "text/plain"})
    except NoAnswerError as error:
        return str(error)
    if answer.status == HTTPStatus.OK:
        return None
    lines = answer.body.decode("utf-8", "replace").splitlines()
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
    except (OSError, ValueError) as error:
        message = "PROXY_CONFIG_FILE cannot be read as TOML; `localpayment-proxy check` says more"
        raise AddressError(message) from error
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
