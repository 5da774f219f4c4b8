"""Is the sidecar of this machine ready? One GET on its admin listener.

Runs every few seconds in a container, so it imports no aiohttp, and reads no setting but the address.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.config import TcpAddress, UnixAddress, parsing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.config import Listen

VARIABLE: Final = "PROXY_ADMIN_LISTEN"
DEFAULT: Final = "127.0.0.1:8081"  # DESIGN section 4
ANSWER_SECONDS: Final = 2.0  # one probe; the listener answers from memory, and orchestrators end a probe after 3 s
PAUSE_SECONDS: Final = 0.1  # between two probes while waiting
BODY_SHOWN: Final = 200  # bytes of the reason that /readyz gives


class AddressError(ValueError):
    """The admin listener's address cannot be known; the text says what to do."""


def admin_address(environ: Mapping[str, str]) -> Listen:
    """Find the address where `serve` finds it: the environment, else the configuration file, else the default.

    Raises:
        AddressError: it cannot be read.
    """
    text = environ.get(VARIABLE) or _from_file(environ.get("PROXY_CONFIG_FILE")) or DEFAULT
    try:
        listen = parsing.listen(text)
    except ValueError as error:
        message = f"{VARIABLE}: {error}"
        raise AddressError(message) from None
    if isinstance(listen, UnixAddress):
        return listen
    if listen.port == 0:
        message = f"{VARIABLE} leaves the port to the kernel, so nobody else knows it: name a port"
        raise AddressError(message)
    return TcpAddress(_reachable(listen.host), listen.port)


def readiness(admin: Listen, seconds: float = ANSWER_SECONDS) -> str | None:
    """Ask `GET /readyz` once.

    Returns:
        None when the sidecar is ready, else what speaks against it.
    """
    try:
        probe = connection(admin, seconds)
        try:
            probe.request("GET", "/readyz", headers={"Accept": "text/plain", "Connection": "close"})
            answer = probe.getresponse()
            body = answer.read(BODY_SHOWN)
        finally:
            probe.close()
    except TimeoutError:
        return f"no answer from {admin} within {seconds:g} s"
    except OSError as error:
        return f"nothing answers at {admin} ({error.strerror or 'no connection'}); is `serve` running there?"
    except http.client.HTTPException:
        return f"what answers at {admin} does not speak HTTP"
    if answer.status == http.client.OK:
        return None
    said = " ".join("".join(filter(str.isprintable, line)) for line in body.decode("utf-8", "replace").splitlines())
    return f"not ready: {admin}/readyz answered {answer.status} {said}".rstrip()


def wait_until_ready(admin: Listen, seconds: float) -> str | None:
    """Ask again and again for at most so many seconds; returns as `readiness` does."""
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        objection = readiness(admin, min(max(left, PAUSE_SECONDS), ANSWER_SECONDS))
        left = deadline - time.monotonic()
        if objection is None or left <= 0:
            return objection
        time.sleep(min(PAUSE_SECONDS, left))


def _from_file(path: str | None) -> str | None:
    if not path:
        return None
    try:
        found = tomllib.loads(Path(path).read_text("utf-8")).get(VARIABLE.lower())
    except (OSError, ValueError) as error:
        message = "PROXY_CONFIG_FILE cannot be read as TOML; `localpayment-proxy check` says more"
        raise AddressError(message) from error
    return found if isinstance(found, str) else None


def _reachable(host: str) -> str:
    """Return the address to dial for one that is listened on: a wildcard is reached by its loopback."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if isinstance(address, ipaddress.IPv4Address) else "::1"


def connection(admin: Listen, seconds: float) -> http.client.HTTPConnection:
    """Return a connection to an admin listener; no wait on it takes longer than so many seconds."""
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
