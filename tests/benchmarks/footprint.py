"""Measures memory and CPU of a sidecar: `python -m tests.benchmarks.footprint` prints a table in a minute.

A sidecar and a simulator as processes of their own, on loopback without TLS; what is told is the sidecar's alone, as
the kernel counts it. Every load is bounded in calls.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp

from tests.support.processes import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

PORTS: Final = {"data": 18080, "admin": 18081, "api": 18090, "control": 18091}
DATA: Final = f"http://127.0.0.1:{PORTS['data']}"
TICKS: Final = os.sysconf("SC_CLK_TCK")  # a second has so many, in /proc
IDLE: Final = 20.0  # seconds
READ: Final = "/api/resources/payment-methods?country=ARG"
BATCH: Final = 2 * 1024 * 1024  # bytes; a virtual account batch of some thousands


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one process: seconds of CPU so far, and KiB resident now and at most."""

    cpu: float
    resident: int
    most: int


def usage(process: int) -> Usage:
    """Read what the kernel counted (proc_pid_stat(5), proc_pid_status(5))."""
    times = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return Usage(
        cpu=(int(times[11]) + int(times[12])) / TICKS,
        resident=int(status["VmRSS"].split()[0]),
        most=int(status["VmHWM"].split()[0]),
    )


async def reads(client: aiohttp.ClientSession, calls: int, rate: float) -> None:
    """Begin so many reads a second, whether earlier ones have ended or not."""
    begun = asyncio.get_running_loop().time()

    async def call(number: int) -> None:
        await asyncio.sleep(begun + number / rate - asyncio.get_running_loop().time())
        async with client.get(DATA + READ) as answer:
            assert answer.status == 200
            await answer.read()

    await asyncio.gather(*(call(number) for number in range(calls)))


async def uploads(client: aiohttp.ClientSession, calls: int, together: int) -> None:
    """Send large bodies, some at once; what they are answered does not matter here."""
    gate = asyncio.Semaphore(together)
    body = b'{"externalId": "' + b"x" * BATCH + b'"}'

    async def call() -> None:
        async with gate, client.post(f"{DATA}/api/virtual-account-batch", data=body) as answer:
            await answer.read()

    await asyncio.gather(*(call() for _ in range(calls)))


async def rows() -> AsyncIterator[str]:
    """Yield the table's lines, one load after the other on the same sidecar."""
    yield "| load | calls | CPU | CPU a call | resident | at most so far |\n|---|---|---|---|---|---|"
    api = ("--port", str(PORTS["api"]), "--control-port", str(PORTS["control"]))
    settings = {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": f"http://127.0.0.1:{PORTS['api']}",
        "LOCALPAYMENT_USERNAME": "anything",
        "LOCALPAYMENT_PASSWORD": "anything",
        "PROXY_LISTEN": f"127.0.0.1:{PORTS['data']}",
        "PROXY_ADMIN_LISTEN": f"127.0.0.1:{PORTS['admin']}",
        "PROXY_LOG_LEVEL": "info",
    }
    async with running("simulator", *api) as simulator:
        await simulator.says("Simulated Localpayment")
        async with running("serve", settings=settings) as sidecar:
            await sidecar.says("token.refreshed")
            drain = asyncio.create_task(_read_on(sidecar.says))
            connector = aiohttp.TCPConnector(limit=256)
            async with aiohttp.ClientSession(connector=connector) as client:
                for name, calls, work in _loads(client):
                    yield await _measured(sidecar.pid, name, calls, work)
            drain.cancel()


def _loads(client: aiohttp.ClientSession) -> list[tuple[str, int, Callable[[], Awaitable[None]]]]:
    return [
        ("none", 0, lambda: asyncio.sleep(IDLE)),
        ("reads, 50 a second", 1000, lambda: reads(client, 1000, 50)),
        ("reads, 300 a second", 4500, lambda: reads(client, 4500, 300)),
        ("reads, 256 at once", 5000, lambda: reads(client, 5000, 1e6)),
        ("bodies of 2 MiB, 32 at once", 200, lambda: uploads(client, 200, 32)),
    ]


async def _measured(process: int, name: str, calls: int, work: Callable[[], Awaitable[None]]) -> str:
    before, began = usage(process), time.monotonic()
    await work()
    seconds, after = time.monotonic() - began, usage(process)
    spent = after.cpu - before.cpu
    each = f"{spent / calls * 1000:.2f} ms" if calls else "-"
    share = f"{spent / seconds * 100:.1f} % of one"
    return f"| {name} | {calls} | {share} | {each} | {after.resident // 1024} MiB | {after.most // 1024} MiB |"


async def _read_on(says: Callable[[str], Awaitable[str]]) -> None:
    """Take the log's lines off the pipe, as whoever collects logs does."""
    await says("a text that no line has")


async def _print() -> None:
    async for row in rows():
        sys.stdout.write(f"{row}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_print())
