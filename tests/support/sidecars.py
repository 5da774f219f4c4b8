"""Runs a sidecar in this process, on real sockets, in front of whatever origin a test chooses.

What it logs is kept, line by line as parsed JSON; what it counts is read from its metrics as a scrape would.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import json
import secrets
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import aiohttp

from proxy.app import Sidecar
from proxy.config import EnvironmentSource, Origin, Settings, TcpAddress, load_settings
from proxy.ops.logs.log import open_log
from proxy.secret import Secret
from proxy.upstream.model import Timings, UpstreamFault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from proxy.clock import Clock
    from proxy.relay.server.connection import CallerConnection
    from proxy.upstream.pool import Pool

# Every setting's default, so that one that is added later needs no word here; read before any loop runs.
DEFAULTS = load_settings(
    {"LOCALPAYMENT_ENVIRONMENT": "sandbox", "LOCALPAYMENT_USERNAME": "merchant", "LOCALPAYMENT_PASSWORD": "invented"}
)
BOUND = 20.0  # seconds that nothing here may take; only a defect reaches it
PREHEATED = 1.0  # seconds after which an origin, or an egress proxy, is one that lets connections hang
PARTING = 0.05  # seconds that an idle caller's connection is kept once the listener has stopped
SILENCE = 0.15  # seconds after which a connection that is kept open has no more to say


def settings_for(url: str, **changes: Any) -> Settings:
    """Settings of a sidecar in front of an origin; every wait is short enough for a test that must see it end."""
    where = urlsplit(url)
    assert where.hostname is not None
    assert where.port is not None
    values: dict[str, Any] = {
        "origin": Origin(where.hostname, where.port, tls=where.scheme == "https"),
        "credentials": EnvironmentSource(Secret("merchant"), Secret(secrets.token_urlsafe(24))),
        "credentials_interval": None,
        "listen": TcpAddress("127.0.0.1", 0),
        "admin_listen": TcpAddress("127.0.0.1", 0),
        "response_timeout": 10.0,
        "idle_timeout": 10.0,
        "header_timeout": 5.0,
        "drain_timeout": 5.0,
        "log_level": "debug",
        "log_format": "json",
    }
    return dataclasses.replace(DEFAULTS, **{**values, **changes})


class Way:
    """Which way the first call of each sidecar goes, if it is an ordinary one."""

    at_once = False


class Running:
    """A sidecar that listens, with a client for its callers."""

    def __init__(self, sidecar: Sidecar, session: aiohttp.ClientSession, log: io.StringIO) -> None:
        self.sidecar = sidecar
        self.session = session
        self._log = log

    @property
    def url(self) -> str:
        return self.sidecar.url

    @property
    def text_of_log(self) -> str:
        return self._log.getvalue()

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The log's lines of one event, oldest first."""
        lines = [json.loads(line) for line in self.text_of_log.splitlines()]
        return [line for line in lines if line["event"] == event]

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The one line of each request that is over."""
        return self.lines("request.relayed") + self.lines("request.refused")

    @property
    def begun(self) -> int:
        """Calls that have begun, those whose body is still coming among them: these take no place yet."""
        return sum(cast("CallerConnection", each)._call is not None for each in self.sidecar.listener.connections)  # noqa: SLF001 - no one else is told

    @property
    def unsent(self) -> int:
        """Bytes of answers that the kernel has not taken."""
        return sum(cast("CallerConnection", each).unsent for each in self.sidecar.listener.connections)

    def value(self, name: str, **labels: str) -> float:
        """A metric's value, 0 for a series that is not there yet."""
        found = self.sidecar.metrics.registry.get_sample_value(f"localpayment_proxy_{name}", labels)
        return 0.0 if found is None else found

    async def get(self, path: str, **options: Any) -> tuple[int, bytes]:
        async with self.session.get(self.url + path, **options) as answer:
            return answer.status, await answer.read()

    async def post(self, path: str, content: object, **options: Any) -> tuple[int, bytes]:
        async with self.session.post(self.url + path, json=content, **options) as answer:
            return answer.status, await answer.read()

    async def admin(self, path: str, method: str = "GET", **options: Any) -> tuple[int, str]:
        async with self.session.request(method, self.sidecar.admin_url + path, **options) as answer:
            return answer.status, await answer.text()

    async def until_ready(self) -> None:
        async with asyncio.timeout(BOUND):
            await self.sidecar.keeper.obtain()

    async def connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A raw connection to the data listener, for what no client library would send."""
        where = urlsplit(self.url)
        return await asyncio.open_connection(where.hostname, where.port)

    async def raw(self, data: bytes) -> bytes:
        """Send bytes as they are, then read until the sidecar ends the connection, or has been silent for a while."""
        reader, writer = await self.connection()
        answer = b""
        try:
            writer.write(data)
            while True:
                async with asyncio.timeout(SILENCE):
                    piece = await reader.read(65536)
                if not piece:
                    return answer
                answer += piece
        except (TimeoutError, ConnectionError):
            return answer
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def sidecar(
    settings: Settings,
    *,
    ready: bool = True,
    reread: Callable[[], Settings] | None = None,
    clock: Clock | None = None,
    most_connections: int | None = None,
    parting: float = PARTING,
) -> AsyncIterator[Running]:
    """Run a sidecar inside the block, waiting first for its token if `ready`."""
    log = io.StringIO()
    opened = open_log(settings.log_level, settings.log_format, log)
    made = Sidecar(settings, reread=reread, clock=clock, log=opened, most_connections=most_connections, parting=parting)
    async with made as started, aiohttp.ClientSession() as session:
        running = Running(started, session, log)
        if ready:
            await running.until_ready()
            if Way.at_once:
                await preheat(started.pool)
        yield running


async def preheat(pool: Pool, within: float = PREHEATED, connections: int = 1) -> None:
    """Give a pool connections that have carried nothing, so that the first calls are sent at once."""
    with contextlib.suppress(UpstreamFault, TimeoutError):
        async with asyncio.timeout(within):
            taken = [await pool._take(Timings(0.0), effects=True) for _ in range(connections)]  # noqa: SLF001 - calls that must leave no trace
        for connection in taken:
            connection.free, connection.idle_since = True, pool._now()  # noqa: SLF001 - as above
            pool.release(connection)
