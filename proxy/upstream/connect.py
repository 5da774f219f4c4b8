"""How does a new connection come about: name, TCP, egress proxy, TLS?

It raises ConnectError and leaves no socket behind. The egress proxy's credentials go to the egress proxy only.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from aiohappyeyeballs import start_connection

from proxy.descriptors import scarce
from proxy.upstream.framing import MalformedAnswerError
from proxy.upstream.handshake import Handshake
from proxy.upstream.model import ConnectError, ConnectResult
from proxy.upstream.parser import AnswerParser

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from proxy.upstream.connection import Connection
    from proxy.upstream.model import EgressProxy, Exchange, Limits, Origin

_NEXT_ADDRESS_AFTER: Final = 0.25  # seconds; the Connection Attempt Delay that RFC 8305 section 5 recommends


@dataclass(frozen=True, slots=True)
class Route:
    """The way to the origin."""

    origin: Origin
    tls: ssl.SSLContext | None
    egress: EgressProxy | None
    limits: Limits
    now: Callable[[], float]


async def connect(route: Route, connection: Connection, exchange: Exchange, deadline: float) -> None:
    """Open a connection before the deadline (on the loop's clock), or raise ConnectError."""
    step = "TCP connection" if route.egress is None else "egress proxy"
    started = route.now()
    raw: asyncio.Transport | None = None
    connected = False
    handshake = None if route.tls is None else Handshake(route.tls, route.origin.host, connection.secured)
    try:
        async with asyncio.timeout_at(deadline):
            raw = await _reach(route, handshake or connection)
            exchange.connect_seconds = route.now() - started
            if handshake is not None:
                step = "TLS handshake"
                await handshake.ended
                exchange.tls_seconds = route.now() - started - exchange.connect_seconds
            connected = True
    except TimeoutError as error:
        detail = f"no connection within {route.limits.connect_timeout} s; the step not finished was: {step}"
        raise ConnectError(ConnectResult.TIMEOUT, detail) from error
    finally:
        if raw is not None and not connected:
            raw.close()  # an alert still gets out


async def _reach(route: Route, protocol: asyncio.Protocol) -> asyncio.Transport:
    """Give the protocol a TCP connection to the origin, straight or through the egress proxy."""
    if route.egress is None:
        return await _dial(route.origin.host, route.origin.port, lambda: protocol)
    return await _through(route.egress, route, protocol)


async def _dial(host: str, port: int, factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
    """Resolve the name anew and race its addresses."""
    loop = asyncio.get_running_loop()
    try:
        addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # the latter from the IDNA codec: an impossible name
        raise ConnectError(ConnectResult.UNREACHABLE, f"the name {host} cannot be resolved") from error
    if scarce():
        detail = "the sidecar has no file descriptors left for connections: raise `ulimit -n`"
        raise ConnectError(ConnectResult.UNREACHABLE, detail)
    try:
        sock = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS_AFTER, interleave=1)
    except ConnectionRefusedError as error:
        raise ConnectError(ConnectResult.UNREACHABLE, f"{host} port {port} refuses connections") from error
    except (OSError, RuntimeError) as error:  # uvloop raises RuntimeError for some failures to connect
        raise ConnectError(ConnectResult.UNREACHABLE, f"{host} port {port} cannot be reached") from error
    try:
        transport, _ = await loop.create_connection(factory, sock=sock)
    except BaseException:
        sock.close()
        raise
    return transport


async def _through(egress: EgressProxy, route: Route, protocol: asyncio.Protocol) -> asyncio.Transport:
    """Have the egress proxy open a tunnel (RFC 9110 section 9.3.6) for the protocol."""
    tunnel = _Tunnel(route.limits, protocol)
    raw = await _dial(egress.host, egress.port, lambda: tunnel)
    try:
        host = f"[{route.origin.host}]" if ":" in route.origin.host else route.origin.host
        authority = f"{host}:{route.origin.port}"
        secret = egress.authorization
        proof = f"Proxy-Authorization: {secret.reveal()}\r\n" if secret else ""
        raw.write(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{proof}\r\n".encode("latin-1"))
        await tunnel.opened
    except BaseException:
        raw.abort()
        raise
    return raw


class _Tunnel(asyncio.Protocol):
    """The egress proxy's answer to CONNECT; what comes after it is for the next protocol."""

    def __init__(self, limits: Limits, then: asyncio.Protocol) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parser = AnswerParser(b"CONNECT", limits)
        self._then = then
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed(data)
        except MalformedAnswerError:
            self._fail("the egress proxy's answer is not valid HTTP")
            return
        head = self._parser.head
        if head is None:
            return
        if not 200 <= head.status < 300:  # noqa: PLR2004 - the class of successes, RFC 9110 section 15.3
            self._fail(f"the egress proxy refused to connect to the origin (status {head.status})")
        elif self._parser.excess:
            self._fail("the egress proxy sent more than its answer")
        elif not self.opened.done():
            self._transport.set_protocol(self._then)
            self._then.connection_made(self._transport)
            self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._fail("the egress proxy ended the connection without an answer")

    def _fail(self, detail: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectError(ConnectResult.UNREACHABLE, detail))
            self.opened.exception()  # not an error of ours if the one who waited has given up
