"""Makes a stream of calls with wrk, whose own Lua script says what came of them."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.benchmarks.ground import READ, TEMPLATES
from tests.benchmarks.pinned import LOAD_CORE
from tests.benchmarks.tools import TASKSET, WRK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.contenders import Contender

PAYOUT: Final = "/api/payout"
_MARK: Final = "RESULT "
_SLACK: Final = 30.0  # seconds that wrk may take beyond what it was told


class LoadError(Exception):
    """The load did not run, or not one call was answered; the text says what was said."""


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a stream of calls; times in seconds.

    Attributes:
        calls: answered ones.
        seconds: how long it took.
        p50, p99, p999: of the time from a request to its whole answer.
        failed: calls without an answer, or with one of status 400 or more.
    """

    calls: int
    seconds: float
    p50: float
    p99: float
    p999: float
    failed: int

    @property
    def per_second(self) -> float:
        """Answered calls a second."""
        return self.calls / self.seconds


def run(
    contender: Contender,
    *,
    connections: int,
    seconds: int,
    path: str = READ,
    upload: int = 0,
    bearer: str | None = None,
    key: str | None = None,
    payouts: bool = False,
) -> Load:
    """Make as many calls as are answered within some whole seconds.

    Args:
        contender: whom to call.
        connections: how many calls there are at once.
        seconds: for how long.
        path: what to ask for.
        upload: bytes of a body to send by POST, 0 to send a GET.
        bearer: a token to send, for who adds none.
        key: of a caller in the policy.
        payouts: whether to make payouts, each with an id of its own, in place of `path`.

    Raises:
        LoadError: nothing was answered.
    """
    command = [
        *(TASKSET.found(), "--cpu-list", str(LOAD_CORE), WRK.found(), "--threads", "1", "--timeout", "10s"),
        *("--connections", str(connections), "--duration", f"{seconds}s"),
        *("--script", str(TEMPLATES / ("payouts.lua" if payouts else "load.lua"))),
        contender.url + (PAYOUT if payouts else path),
    ]
    environment = {"PATH": os.defpath, "LOAD_UPLOAD": str(upload), "LOAD_SCRIPTS": str(TEMPLATES)}
    environment["LOAD_RUN"] = secrets.token_hex(4)
    if bearer is not None:
        environment["LOAD_BEARER"] = bearer
    if key is not None:
        environment["LOAD_KEY"] = key
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=seconds + _SLACK, env=environment
    )
    load = read(ended.stdout)
    if load is None or not load.calls:
        message = f"wrk got no answer from {contender.name}: {ended.stderr.strip() or ended.stdout.strip()}"
        raise LoadError(message)
    return load


def read(text: str) -> Load | None:
    """Read what the script wrote among wrk's own words; None if it wrote nothing."""
    for line in text.splitlines():
        if line.startswith(_MARK):
            return Load(**json.loads(line.removeprefix(_MARK)))
    return None


def warm(contender: Contender, connections: int) -> None:
    """Make one call on each of so many connections at once, so that the proxy has as many to the origin."""
    if contender.command:
        asyncio.run(_each_once(contender.port, connections))


async def _each_once(port: int, connections: int) -> None:
    opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(connections)))
    for _, writer in opened:
        writer.write(_request(port))
    await asyncio.gather(*(reader.readuntil(b"\r\n\r\n") for reader, _ in opened))
    for _, writer in opened:
        writer.close()


def idlers(contender: Contender, count: int) -> Iterator[int]:
    """Open connections that each make one call and then stay; yield how many there are, once all are."""
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            caller = socket.create_connection(("127.0.0.1", contender.port), 10)
            opened.append(caller)
            caller.sendall(_request(contender.port))
            caller.recv(4096)
        yield len(opened)
    finally:
        for caller in opened:
            caller.close()


def _request(port: int) -> bytes:
    return f"GET {READ} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
