"""What the other upstream tests stand on: an origin that does exactly what a script says, and a pool to it.

A script is called once per accepted connection; what the peer sent is recorded byte for byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import trustme

from proxy.upstream.model import Body, ConnectResult, Limits, OutgoingRequest, UpstreamFault
from proxy.upstream.pool import Pool
from proxy.upstream.tls import tls_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from proxy.secret import Secret
    from proxy.upstream.answer import Answer

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
BOUND = 5.0  # seconds that nothing here may take; only a defect reaches it


@dataclass(frozen=True)
class At:
    host: str
    port: int
    tls: bool = False

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Egress:
    host: str
    port: int
    authorization: Secret | None = None


class Wire:
    """One accepted connection, as its script sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.received = bytearray()
        self.ended = asyncio.Event()

    async def _record(self, reading: Awaitable[bytes]) -> bytes:
        try:
            data = await reading
        except asyncio.IncompleteReadError as error:
            self.received += error.partial
            raise
        self.received += data
        return data

    async def read(self, count: int) -> bytes:
        return await self._record(self.reader.readexactly(count))

    async def begins_with(self, prefix: bytes) -> bool:
        """Look at the next bytes without taking them."""
        begun = await self.reader.readexactly(len(prefix))
        self.reader._buffer[:0] = begun  # type: ignore[attr-defined]  # asyncio's reader has no way to put bytes back
        return begun == prefix

    async def head(self) -> bytes:
        return await self._record(self.reader.readuntil(b"\r\n\r\n"))

    async def request(self) -> bytes:
        """Read one whole request; raise IncompleteReadError at the end of the connection."""
        head = await self.head()
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            return head + await self._record(self.reader.readuntil(b"0\r\n\r\n"))
        if b"content-length: " in lower:
            return head + await self.read(int(lower.split(b"content-length: ")[1].split(b"\r\n")[0]))
        return head

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def until_end(self) -> None:
        """Stall: answer nothing, until the peer has ended the connection."""
        with contextlib.suppress(ConnectionError):
            while data := await self.reader.read(65536):
                self.received += data

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def cut(self) -> None:
        """End the TCP connection without a word, also under TLS."""
        self.writer.transport.abort()


SCRIPT = "script of an origin"


@dataclass
class ScriptedOrigin:
    at: At
    wires: list[Wire] = field(default_factory=list)

    @property
    def requests(self) -> list[bytes]:
        return [bytes(wire.received) for wire in self.wires]


@functools.cache
def authority() -> trustme.CA:
    return trustme.CA()


@functools.cache
def server_tls(name: str = "localhost") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(name).configure_cert(context)
    return context


@functools.cache
def client_tls() -> ssl.SSLContext:
    with authority().cert_pem.tempfile() as path:
        return tls_context(Path(path))


@contextlib.asynccontextmanager
async def origin(
    script: Callable[[Wire], Awaitable[None]], *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[ScriptedOrigin]:
    tasks: list[asyncio.Task[None]] = []
    served: ScriptedOrigin

    async def serve(wire: Wire) -> None:
        try:
            await script(wire)
        except (asyncio.IncompleteReadError, ConnectionError):
            wire.cut()
        except asyncio.CancelledError:
            wire.cut()
            raise
        finally:
            wire.ended.set()
            wire.writer.close()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        served.wires.append(wire)
        tasks.append(asyncio.create_task(serve(wire), name=SCRIPT))

    server = await asyncio.start_server(accepted, host, 0, ssl=tls, limit=2**20)
    served = ScriptedOrigin(At("localhost", server.sockets[0].getsockname()[1], tls=tls is not None))
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(3):  # turns of the loop in which transports close their sockets
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def pool_to(
    at: At,
    *,
    limits: Limits | None = None,
    egress: Egress | None = None,
    ssl_context: ssl.SSLContext | None = None,
    now: Callable[[], float] = time.monotonic,
    chance: Callable[[], float] = lambda: 0.0,
    connects: list[ConnectResult] | None = None,
) -> AsyncIterator[Pool]:
    pool = Pool(
        at,
        limits=limits or Limits(),
        ssl_context=ssl_context or (client_tls() if at.tls else None),
        egress=egress,
        now=now,
        chance=chance,
        connected=(connects if connects is not None else []).append,
    )
    before = asyncio.all_tasks()
    try:
        async with asyncio.timeout(BOUND):
            yield pool
    finally:
        await pool.close()
        assert pool.stats() == (0, 0, 0)
        left = [task for task in asyncio.all_tasks() - before if task.get_name() != SCRIPT]
        assert [task for task in left if "_accept_connection" not in repr(task)] == []  # the server's own


def call(method: bytes = b"GET", body: Body = None, *, effects: bool = False, target: bytes = b"/x") -> OutgoingRequest:
    return OutgoingRequest(method, target, ((b"Accept", b"*/*"),), body, effects)


async def whole(answer: Answer) -> bytes:
    async with answer:
        return b"".join([piece async for piece in answer])


async def get(pool: Pool, sent: OutgoingRequest | None = None) -> bytes:
    return await whole(await pool.send(sent or call()))


async def fault_of(sending: Awaitable[object]) -> UpstreamFault:
    try:
        await sending
    except UpstreamFault as fault:
        return fault
    message = "the call was answered"
    raise AssertionError(message)


async def seen(condition: Callable[[], object]) -> None:
    """Let the event loop turn until it is so; the pool's own bound ends a wait in vain."""
    while not condition():  # noqa: ASYNC110 - what is waited for tells nobody that it came
        await asyncio.sleep(0)


async def answering(wire: Wire) -> None:
    """Answer every request with HELLO."""
    while True:
        await wire.request()
        await wire.send(HELLO)


async def test_the_scripted_origin_records_exactly_the_bytes_it_was_sent() -> None:
    async with origin(answering) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.at.port)
        for request in (b"GET / HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"):
            writer.write(request)
            assert await reader.readexactly(len(HELLO)) == HELLO
        writer.close()
        await writer.wait_closed()
        assert served.requests == [b"GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"]
