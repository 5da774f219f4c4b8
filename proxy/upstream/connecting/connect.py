"""Makes a new connection: name, TCP, egress proxy, TLS.

It raises ConnectError and leaves no socket behind.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohappyeyeballs import start_connection

from proxy.http1.timeouts import timeout_at
from proxy.process.file_descriptors import scarce
from proxy.upstream.connecting.handshake import Handshake
from proxy.upstream.connecting.tunnel import Tunnel, connect_request
from proxy.upstream.model import ConnectError, Obstacle

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from proxy.config import EgressProxy, Origin
    from proxy.upstream.connecting.pace import Pace
    from proxy.upstream.connecting.resumption import Resumption
    from proxy.upstream.connection import Connection
    from proxy.upstream.model import Limits

_NEXT_ADDRESS_AFTER: Final = 0.25  # seconds; the Connection Attempt Delay that RFC 8305 section 5 recommends


@dataclass(frozen=True, slots=True)
class Route:
    """The way to the origin."""

    origin: Origin
    tls: ssl.SSLContext | None
    egress: EgressProxy | None
    limits: Limits
    now: Callable[[], float]
    resumption: Resumption
    pace: Pace


async def connect(route: Route, connection: Connection, deadline: float) -> None:
    """Open a connection before the deadline (on the loop's clock), or raise ConnectError."""
    step = "TCP connection" if route.egress is None else "egress proxy"
    raw: asyncio.Transport | None = None
    connected = False
    handshake = None if route.tls is None else Handshake(route, route.tls, connection.secured)
    try:
        async with timeout_at(deadline):
            raw = await _reach(route, handshake or connection)
            if handshake is not None:
                step = "TLS handshake"
                await handshake.ended
            connected = True
    except TimeoutError as error:
        detail = f"no connection within {route.limits.connect_timeout} s; the step not finished was: {step}"
        raise ConnectError(Obstacle.SLOW, detail) from error
    finally:
        if raw is not None and not connected:
            raw.close()  # an alert still gets out


async def _reach(route: Route, protocol: asyncio.Protocol) -> asyncio.Transport:
    """Give the protocol a TCP connection to the origin, straight or through the egress proxy."""
    if route.egress is None:
        return await _dial(route.origin.host, route.origin.port, lambda: protocol)
    return await _through(route.egress, route, protocol)


async def _dial(host: str, port: int, factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
    """Resolve the name and race its addresses."""
    loop = asyncio.get_running_loop()
    try:
        addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # the latter from the IDNA codec: an impossible name
        raise ConnectError(Obstacle.NAME, f"the name {host} cannot be resolved") from error
    if scarce():
        detail = "the sidecar has no file descriptors left for connections: raise `ulimit -n`"
        raise ConnectError(Obstacle.NO_DESCRIPTORS, detail)
    try:
        sock = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS_AFTER, interleave=1)
    except ConnectionRefusedError as error:
        raise ConnectError(Obstacle.REFUSED, f"{host} port {port} refuses connections") from error
    except (OSError, RuntimeError) as error:  # uvloop raises RuntimeError for some failures to connect
        raise ConnectError(Obstacle.NO_ROUTE, f"{host} port {port} cannot be reached") from error
    making = asyncio.ensure_future(loop.create_connection(factory, sock=sock))
    try:
        transport, _ = await asyncio.shield(making)
    except asyncio.CancelledError:
        (await making)[0].abort()  # it takes turns of the loop; uvloop, cancelled meanwhile, would leave it open
        raise
    except BaseException:
        sock.close()
        raise
    return transport


async def _through(egress: EgressProxy, route: Route, protocol: asyncio.Protocol) -> asyncio.Transport:
    """Have the egress proxy open a tunnel for the protocol."""
    tunnel = Tunnel(route.limits, protocol)
    raw = await _dial(egress.host, egress.port, lambda: tunnel)
    try:
        raw.write(connect_request(route.origin, egress))
        await tunnel.opened
    except BaseException:
        raw.abort()
        raise
    return raw
