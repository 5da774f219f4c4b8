"""The programs that are measured, and how each is told to do the same job.

The job: take plain HTTP, forward it over verified TLS with a bearer token added, write a JSON line for each call.
Each runs on one core with one worker. `direct` is no proxy: it shows what the load and the origin can do.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.ground import free_port
from tests.benchmarks.tools import ENVOY, HAPROXY, NGINX, Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.benchmarks.ground import Ground

OURS: Final = "sidecar"
ROOT: Final = Path(__file__).parents[2]
# PyJWT takes cryptography in wherever it finds it, and structlog rich: beside the tests' packages, but not where a
# sidecar runs.
_AS_INSTALLED: Final = (
    'import sys; sys.modules["cryptography"] = sys.modules["rich"] = None; '
    "from proxy.__main__ import main; sys.exit(main())"
)


@dataclass(frozen=True, slots=True)
class Contender:
    """One who is measured.

    Attributes:
        name: a short word.
        port: where it takes calls.
        command: program and arguments, empty for `direct`.
        environment: all of it.
        scheme: what it speaks with callers.
    """

    name: str
    port: int
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Where it takes calls."""
        return f"{self.scheme}://127.0.0.1:{self.port}"


def sidecar(ground: Ground) -> Contender:
    """Return this project's own, as it is delivered."""
    port = free_port()
    environment = {
        **_python(),
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": f"https://{ground.authority}",
        "LOCALPAYMENT_USERNAME": "invented",
        "LOCALPAYMENT_PASSWORD": "invented",
        "PROXY_LISTEN": f"127.0.0.1:{port}",
        "PROXY_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
        "PROXY_UPSTREAM_CA_FILE": str(ground.ca_file),
        "PROXY_MAX_IN_FLIGHT": "4096",
    }
    return Contender(OURS, port, (sys.executable, "-P", "-c", _AS_INSTALLED, "serve"), environment)


def envoy(ground: Ground) -> Contender:
    """Return Envoy with its credential injector."""
    port = free_port()
    config = ground.write("envoy.yaml", port=port, admin=free_port())
    command = (ENVOY.found(), "-c", str(config), "--concurrency", "1", "--log-level", "error", "--use-dynamic-base-id")
    return Contender("envoy", port, command)


def nginx(ground: Ground) -> Contender:
    """Return nginx with a header set."""
    port = free_port()
    config = ground.write("nginx.conf", port=port)
    return Contender("nginx", port, (NGINX.found(), "-p", str(ground.folder), "-c", str(config)))


def haproxy(ground: Ground) -> Contender:
    """Return HAProxy with a header set."""
    port = free_port()
    config = ground.write("haproxy.cfg", port=port)
    return Contender("haproxy", port, (HAPROXY.found(), "-db", "-f", str(config)))


def plain_aiohttp(ground: Ground) -> Contender:
    """Return the proxy that one would write with aiohttp."""
    port = free_port()
    environment = {
        **_python(),
        "ORIGIN": f"https://{ground.authority}",
        "AUTHORITY": ground.authority,
        "TOKEN": ground.token,
        "CA_FILE": str(ground.ca_file),
        "PORT": str(port),
    }
    return Contender("aiohttp", port, (sys.executable, "-P", "-m", "tests.benchmarks.plain_aiohttp"), environment)


def direct(ground: Ground) -> Contender:
    """Return the origin itself."""
    return Contender("direct", ground.origin, scheme="https")


MAKERS: Final[Mapping[str, tuple[Callable[[Ground], Contender], Tool | None]]] = {
    OURS: (sidecar, None),
    "envoy": (envoy, ENVOY),
    "nginx": (nginx, NGINX),
    "haproxy": (haproxy, HAPROXY),
    "aiohttp": (plain_aiohttp, None),
    "direct": (direct, None),
}


def _python() -> dict[str, str]:
    """Run what this process would import, whatever the working directory."""
    return {"PATH": os.defpath, "PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT))}
