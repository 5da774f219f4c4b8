"""A TLS origin whose records a test may part, spoil and hold back: OpenSSL, in memory."""

from __future__ import annotations

import contextlib
import ssl
from functools import cache
from typing import TYPE_CHECKING

from tests.support.scripted_origin import At, authority

if TYPE_CHECKING:
    from tests.support.scripted_origin import ScriptedOrigin, Wire

VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}


@cache
def server_context(version: ssl.TLSVersion, tickets: int = 2) -> ssl.SSLContext:
    """Speaks one version only, and hands out so many session tickets after the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.num_tickets = tickets
    authority().issue_cert("localhost").configure_cert(context)
    return context


class Server:
    """The origin's end of a TLS connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.done = False

    def shake(self, records: bytes) -> bytes:
        """Go on with the handshake; return what is to be sent."""
        self._incoming.write(records)
        with contextlib.suppress(ssl.SSLWantReadError):
            self._object.do_handshake()
            self.done = True
        return self._outgoing.read()

    def seal(self, data: bytes) -> bytes:
        self._object.write(data)
        return self._outgoing.read()

    def open(self, records: bytes) -> bytes:
        self._incoming.write(records)
        data = b""
        with contextlib.suppress(ssl.SSLWantReadError):
            while piece := self._object.read(65536):
                data += piece
        return data

    def farewell(self) -> bytes:
        """Say that no more comes (close_notify)."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._object.unwrap()
        return self._outgoing.read()


def at(served: ScriptedOrigin) -> At:
    """Where a scripted origin is that speaks TLS by itself."""
    return At(served.at.host, served.at.port, tls=True)


async def shaken(wire: Wire, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, first: bytes = b"") -> Server:
    """Agree on TLS with whoever has connected; `first` goes into the segment that ends it."""
    server = Server(server_context(version))
    while True:
        received = await wire.reader.read(65536)
        if not received:
            raise ConnectionError
        records = server.shake(received)
        if server.done:
            await wire.send(records + server.seal(first) if first else records)
            return server
        await wire.send(records)


async def requested(wire: Wire, server: Server) -> bytes:
    """Read a request without a body."""
    read = server.open(b"")  # it may have come with the end of the handshake
    while b"\r\n\r\n" not in read:
        records = await wire.reader.read(65536)
        if not records:
            raise ConnectionError
        read += server.open(records)
    wire.received += read
    return read
