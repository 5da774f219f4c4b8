"""Relays calls of one kind with all else taken away: a whole sidecar in this process, and one caller beside it.

It is run under an instruction counter, so that nothing may depend on the time it takes: the log is written at once
and into nothing. The collector of garbage runs by itself, as ever.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

import uvloop

from proxy.app import Sidecar
from proxy.config import load_settings
from proxy.ops.logs.log import open_log
from tests.benchmarks.ground import READ

if TYPE_CHECKING:
    from proxy.config import Settings

HEADERS: Final = (
    "Host: localhost\r\nUser-Agent: python-httpx/0.28.1\r\nAccept: application/json\r\n"
    "Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n"
    "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
)
PAYIN: Final = b'{"externalId":"order-1","amount":12.5,"currency":"MXN","country":"MEX"}'
GET: Final = f"GET {READ} HTTP/1.1\r\n{HEADERS}\r\n".encode()
POST: Final = b"".join(
    (
        f"POST /api/payin HTTP/1.1\r\n{HEADERS}".encode(),
        f"Content-Type: application/json\r\nContent-Length: {len(PAYIN)}\r\n\r\n".encode(),
        PAYIN,
    )
)
ORDINARY: Final = "ordinary"
TRACED: Final = "traced"  # spans are kept for each call; what exports them is not counted
SEGMENTS: Final = "in two segments"  # the body of a payment comes apart from its head
LEDGER: Final = "with the ledger"  # each call is a payment that a SQLite file holds before it is sent
KINDS: Final = (ORDINARY, TRACED, SEGMENTS, LEDGER)
TURNS: Final = 4  # of the loop, in which the sidecar reads a head whose body is still to come
READY: Final = "ready"
DONE: Final = "done"
WORDS: Final = (READY, DONE)
BEFORE: Final = 200  # calls that nobody counts, after which nothing is done for the first time


class Nowhere(io.StringIO):
    """A stream that keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)


class Caller(asyncio.Protocol):
    """Makes one call after another on one connection, reads and payments by turns.

    Args:
        kind: one of KINDS; in two segments and with the ledger, all are payments.
    """

    def __init__(self, kind: str = ORDINARY) -> None:
        self._apart = kind == SEGMENTS
        self._pays = kind == LEDGER
        self._done: asyncio.Future[None]
        self._left = 0
        self._transport: asyncio.Transport
        self._seen = b""

    async def make(self, calls: int) -> None:
        """Make so many calls."""
        self._done = asyncio.get_running_loop().create_future()
        self._left = calls
        self._next()
        await self._done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, end, body = self._seen.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        if not head.startswith(b"HTTP/1.1 200 "):
            self._done.set_exception(RuntimeError("a call was not answered with 200"))
            return
        self._seen = b""
        self._left -= 1
        if self._left:
            self._next()
        else:
            self._done.set_result(None)

    def _next(self) -> None:
        if self._apart:
            self._transport.write(POST[: -len(PAYIN)])
            self._body_after(TURNS)
        else:
            self._transport.write(POST if self._pays or self._left % 2 else GET)

    def _body_after(self, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._body_after, turns - 1)
        else:
            self._transport.write(PAYIN)


async def work(settings: Settings, calls: int, kind: str) -> None:
    """Relay so many calls between two words with the one who counts."""
    log = open_log(settings.log_level, "json", Nowhere())
    async with Sidecar(settings, log=log) as sidecar:
        await sidecar.keeper.obtain()
        sidecar.relay.parts.traced = kind == TRACED  # and exported nowhere
        where = urlsplit(sidecar.url)
        loop = asyncio.get_running_loop()
        _, caller = await loop.create_connection(lambda: Caller(kind), str(where.hostname), where.port or 0)
        await caller.make(BEFORE)
        for word in WORDS:
            sys.stdout.write(word + "\n")
            sys.stdout.flush()
            sys.stdin.readline()  # blocks the loop on purpose: nothing may happen meanwhile
            if word == READY:
                await caller.make(calls)


def main() -> None:
    """Relay as many calls as the first argument says, of the kind that the second says."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work(load_settings(os.environ), int(sys.argv[1]), sys.argv[2]))


if __name__ == "__main__":
    main()
