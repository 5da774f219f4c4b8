"""An origin behind a sidecar that misbehaves exactly as told. It hands out tokens by itself.

A script is called once for each connection that carries calls; what came is recorded byte for byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import jwt

from tests.support.scripted_origin import ScriptedOrigin, Wire, origin
from tests.support.sidecars import BOUND

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

TOKEN_CALL = b"POST /api/token/"
KEY = "invented, and long enough for what RFC 7518 asks of HS256"
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def access(lifetime: float = 300.0) -> str:
    """A token that nobody checks, with the claims that the sidecar reads."""
    return jwt.encode({"token_type": "access", "exp": int(time.time() + lifetime), "jti": uuid.uuid4().hex}, KEY)


async def hand_out(wire: Wire, lifetime: float = 300.0) -> None:
    """Answer calls of the token endpoints."""
    while True:
        await wire.request()
        body = json.dumps({"access": access(lifetime), "refresh": access(86400)}).encode()
        await wire.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body), body
        )


class Localpayment:
    """An origin and what its calls were."""

    def __init__(self, served: ScriptedOrigin) -> None:
        self._served = served
        self.wires: list[Wire] = []

    @property
    def url(self) -> str:
        at = self._served.at
        return f"{'https' if at.tls else 'http'}://{at.host}:{at.port}"

    @property
    def port(self) -> int:
        return self._served.at.port

    @property
    def received(self) -> list[bytes]:
        """All that came on each connection, but for the token endpoints'."""
        return [bytes(wire.received) for wire in self.wires]

    @property
    def calls(self) -> bytes:
        """All that came."""
        return b"".join(self.received)


@contextlib.asynccontextmanager
async def localpayment(
    script: Callable[[Wire], Awaitable[None]], *, tls: ssl.SSLContext | None = None, lifetime: float = 300.0
) -> AsyncIterator[Localpayment]:
    """Serve tokens, and calls as the script says."""

    async def serve(wire: Wire) -> None:
        if await wire.begins_with(TOKEN_CALL):
            await hand_out(wire, lifetime)
        else:
            there.wires.append(wire)
            await script(wire)

    async with origin(serve, tls=tls) as served:
        there = Localpayment(served)
        yield there


async def until(condition: Callable[[], object]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(BOUND):
        while not condition():  # noqa: ASYNC110 - what is waited for, such as a line in a log, tells nobody
            await asyncio.sleep(0.001)


async def greeting(wire: Wire) -> None:
    """Answer every call with HELLO."""
    while True:
        await wire.request()
        await wire.send(HELLO)


@dataclass(frozen=True)
class Answered:
    """What a caller read.

    Attributes:
        raw: all of it.
        reset: whether the connection ended by a reset.
    """

    raw: bytes
    reset: bool = False

    @property
    def status(self) -> int:
        """Of the final answer, 0 without one."""
        return int(self._final.split(b" ", 2)[1]) if self._final else 0

    @property
    def headers(self) -> dict[str, str]:
        lines = self._final.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    @property
    def body(self) -> bytes:
        """As it came; of a chunked one the chunks."""
        return self._final.partition(b"\r\n\r\n")[2]

    @property
    def problem(self) -> dict[str, object]:
        """The problem document of an answer of the sidecar's own."""
        assert self.headers["content-type"] == "application/problem+json"
        read = json.loads(self.body)
        assert isinstance(read, dict)
        return read

    @property
    def complete(self) -> bool:
        """Whether a caller would take it for a whole answer."""
        head, found, body = self._final.partition(b"\r\n\r\n")
        if not found:
            return False
        if "content-length" in self.headers:
            return len(body) >= int(self.headers["content-length"]) or self.status == 304
        if "transfer-encoding" in self.headers:
            return body.endswith(b"0\r\n\r\n")
        return not self.reset or head.startswith(b"HTTP/1.1 204")

    @property
    def _final(self) -> bytes:
        rest = self.raw
        while rest.startswith(b"HTTP/1.1 1"):
            rest = rest.partition(b"\r\n\r\n")[2]
        return rest


class Reached(Protocol):
    """A sidecar; tests.support.sidecars.Running is one."""

    @property
    def url(self) -> str: ...


class Caller:
    """A caller on a raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        if self.writer.is_closing():  # uvloop's would raise
            return
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def until(self, mark: bytes) -> bytes:
        """Read up to a mark."""
        async with asyncio.timeout(BOUND):
            return await self.reader.readuntil(mark)

    async def one(self) -> Answered:
        """Read one answer that declares its length."""
        head = await self.until(b"\r\n\r\n")
        answered = Answered(head)
        async with asyncio.timeout(BOUND):
            body = await self.reader.readexactly(int(answered.headers.get("content-length", "0")))
        return Answered(head + body)

    async def rest(self, raw: bytes = b"") -> Answered:
        """Read until the sidecar ends the connection; `raw` was read before."""
        try:
            async with asyncio.timeout(BOUND):
                while piece := await self.reader.read(65536):
                    raw += piece
        except ConnectionError:  # which the reader raises before it gives what had come
            return Answered(raw + bytes(self.reader._buffer), reset=True)  # type: ignore[attr-defined]  # noqa: SLF001 - it has no public way
        return Answered(raw)

    def leave(self) -> None:
        """Go away without a word."""
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def calling(relay: Reached) -> AsyncIterator[Caller]:
    """Connect to the sidecar."""
    where = urlsplit(relay.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()


async def said(relay: Reached, request: bytes) -> Answered:
    """Send a request that ends its connection; return all that came."""
    async with calling(relay) as caller:
        await caller.send(request)
        return await caller.rest()


def request(method: str, target: str, *lines: str, body: bytes | None = None, chunked: bool = False) -> bytes:
    """A request that ends its connection."""
    fields = ["Host: localhost", "Connection: close", *lines]
    payload = b"" if body is None else body
    if chunked:
        fields.append("Transfer-Encoding: chunked")
        payload = b"%x\r\n%b\r\n0\r\n\r\n" % (len(payload), payload)
    elif body is not None:
        fields.append(f"Content-Length: {len(body)}")
    return "\r\n".join([f"{method} {target} HTTP/1.1", *fields, "", ""]).encode() + payload


def carried(head: bytes) -> bytes:
    """The token of a call."""
    found = re.search(rb"\r\nAuthorization: Bearer ([^\r]+)\r\n", head)
    assert found is not None
    return found[1]
