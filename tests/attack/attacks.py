"""What a hostile caller does to a sidecar: each attack opens its connections, holds them, and leaves when it is told.

`python -m tests.attack.attacks NAME,NAME SECONDS PORT ADMIN_PORT [KEY]` carries some out together.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

READ = "/api/resources/banks"
PAYOUT = "/api/payout"
MIB = 1024 * 1024


@dataclass(frozen=True)
class Target:
    """Where a sidecar listens, and the key of the hostile caller, if it has one."""

    port: int
    admin_port: int
    key: str = ""

    def head(self, method: str, path: str, *fields: str) -> bytes:
        """The lines of a request's head, without the empty one at its end."""
        key = (f"X-Proxy-Key: {self.key}",) if self.key else ()
        return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: localhost", *key, *fields, "")).encode()

    def payout(self, size: int) -> bytes:
        """A whole payout with a body of so many bytes."""
        body = b'{"externalId": "' + b"x" * (size - 18) + b'"}'
        fields = ("Content-Type: application/json", f"Content-Length: {len(body)}")
        return self.head("POST", PAYOUT, *fields) + b"\r\n" + body


@contextlib.asynccontextmanager
async def connections(port: int, count: int) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    """Open connections, as many as the sidecar takes; those that it ends meanwhile are no fault."""
    opened = []
    for _ in range(count):
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2):
                opened.append(await asyncio.open_connection("127.0.0.1", port, limit=65536))
    try:
        yield opened
    finally:
        for _, writer in opened:
            writer.transport.abort()


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    with contextlib.suppress(ConnectionError, TimeoutError, RuntimeError):
        async with asyncio.timeout(10):
            writer.write(data)
            await writer.drain()


async def unfinished_heads(target: Target, stop: asyncio.Event, count: int = 514, size: int = 950_000) -> None:
    """Send heads of nearly a MiB that never end, without a key."""
    field = b"X-Filler: " + b"x" * 7_900 + b"\r\n"
    head = Target(target.port, 0).head("GET", READ) + field * (size // len(field))
    async with connections(target.port, count) as opened:
        await asyncio.gather(*(_send(writer, head) for _, writer in opened))
        await stop.wait()


async def trickled_bodies(target: Target, stop: asyncio.Event, count: int = 514) -> None:
    """Send the bodies of payouts a byte a second, and begin anew when they are cut."""

    async def trickle() -> None:
        while not stop.is_set():
            async with connections(target.port, 1) as opened:
                for _, writer in opened:
                    await _send(writer, target.head("POST", PAYOUT, f"Content-Length: {MIB}") + b"\r\n")
                    while not stop.is_set() and not writer.is_closing():
                        await _send(writer, b"x")
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(1):
                                await stop.wait()

    await asyncio.gather(*(trickle() for _ in range(count)))


async def silence(target: Target, stop: asyncio.Event, count: int = 520) -> None:
    """Connect to the data listener, and say nothing."""
    async with connections(target.port, count):
        await stop.wait()


async def silence_at_admin(target: Target, stop: asyncio.Event, count: int = 900) -> None:
    """Connect to the admin listener, and say nothing."""
    async with connections(target.admin_port, count):
        await stop.wait()


async def slow_readers(target: Target, stop: asyncio.Event, count: int = 256) -> None:
    """Ask for large answers, and hardly read them."""
    async with connections(target.port, count) as opened:
        for reader, writer in opened:
            writer.transport.set_write_buffer_limits(0)
            reader._transport.pause_reading()  # type: ignore[attr-defined]  # noqa: SLF001 - StreamReader has no public way
        await asyncio.gather(*(_send(writer, target.head("GET", READ) + b"\r\n") for _, writer in opened))
        await stop.wait()


async def pipelines(target: Target, stop: asyncio.Event, count: int = 256) -> None:
    """Send many requests at once behind one whose answer is not read."""
    requests = (target.head("GET", READ, "X-Filler: " + "x" * 4_000) + b"\r\n") * 500
    async with connections(target.port, count) as opened:
        for reader, _ in opened:
            reader._transport.pause_reading()  # type: ignore[attr-defined]  # noqa: SLF001 - StreamReader has no public way
        await asyncio.gather(*(_send(writer, requests) for _, writer in opened))
        await stop.wait()


async def burst(target: Target, stop: asyncio.Event, count: int = 128, size: int = MIB) -> None:
    """Pay out with bodies of a MiB, so many at once, again and again."""
    request = target.payout(size)

    async def one() -> None:
        while not stop.is_set():
            async with connections(target.port, 1) as opened:
                for reader, writer in opened:
                    await _send(writer, request)
                    with contextlib.suppress(ConnectionError, TimeoutError, asyncio.IncompleteReadError):
                        async with asyncio.timeout(20):
                            await reader.readuntil(b"\r\n\r\n")

    await asyncio.gather(*(one() for _ in range(count)))


ATTACKS: dict[str, Callable[[Target, asyncio.Event], Awaitable[None]]] = {
    attack.__name__: attack
    for attack in (unfinished_heads, trickled_bodies, silence, silence_at_admin, slow_readers, pipelines, burst)
}


async def carry_out(names: str, seconds: str, port: str, admin_port: str, key: str = "") -> None:
    target, stop = Target(int(port), int(admin_port), key), asyncio.Event()
    asyncio.get_running_loop().call_later(float(seconds), stop.set)
    await asyncio.gather(*(ATTACKS[name](target, stop) for name in names.split(",")))


if __name__ == "__main__":
    os.nice(10)  # a caller has its own processors, and takes none from the sidecar's and Localpayment's
    asyncio.run(carry_out(*sys.argv[1:]))
