"""An origin that does exactly what a script says.

A script is called once per accepted connection; what the peer sent is recorded byte for byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trustme

from proxy.config import Origin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@dataclass(frozen=True)
class At(Origin):
    """An origin, without TLS unless it is asked for."""

    tls: bool = False


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
        self.reader._buffer[:0] = begun  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio's reader has no way to put bytes back
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


async def answering(wire: Wire) -> None:
    """Answer every request with HELLO."""
    while True:
        await wire.request()
        await wire.send(HELLO)


async def break_off(wire: Wire, how: str) -> None:
    match how:
        case "cut":
            wire.writer.close()
        case "reset":
            wire.reset()
        case "garbage":
            await wire.send(b"\x00\x01\r\n\r\n")
        case _:
            pass
    await wire.until_end()


# Answers of an egress proxy to CONNECT, each of which opens the tunnel whatever it says of a body.
OPENED = {
    "HTTP/1.0": b"HTTP/1.0 200 Connection established\r\n\r\n",
    "HTTP/1.0 that closes": b"HTTP/1.0 200 OK\r\nConnection: close\r\nProxy-Agent: x\r\n\r\n",
    "no reason": b"HTTP/1.1 200\r\n\r\n",
    "another success": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a coding in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "an unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "a length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "a length and a coding": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    "an upgrade": b"HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "interim answers": b"HTTP/1.1 102 Processing\r\n\r\n" * 8 + b"HTTP/1.1 200 OK\r\n\r\n",
}


async def tunnel_to(wire: Wire, port: int) -> None:
    """Carry bytes both ways, as a CONNECT proxy does once the tunnel stands."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def upwards() -> None:
        while data := await wire.reader.read(65536):
            wire.received += data
            writer.write(data)
        writer.close()

    up = asyncio.create_task(upwards(), name=SCRIPT)
    try:
        while data := await reader.read(65536):
            await wire.send(data)
    finally:
        up.cancel()
        writer.close()
