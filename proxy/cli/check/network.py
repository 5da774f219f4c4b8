"""Checks the way to Localpayment as a call would go: name, TCP, egress proxy, TLS, one step each.

Only the CONNECT line and the egress proxy's own credentials are ever sent here.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from aiohappyeyeballs import start_connection

from proxy.cli.check.findings import NotNeededError
from proxy.upstream.connecting.handshake import obstacle
from proxy.upstream.connecting.tls import tls_context
from proxy.upstream.connecting.tunnel import connect_request
from proxy.upstream.model import Obstacle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.cli.check.context import CheckContext

NEXT_ADDRESS_AFTER: Final = 0.25  # seconds; the Connection Attempt Delay that RFC 8305 section 5 recommends
STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")
PROXY_AUTHENTICATION_REQUIRED: Final = 407  # RFC 9110 section 15.5.8


async def resolve(context: CheckContext) -> str:
    """Resolve the name that is dialled: the egress proxy's if there is one."""
    host, port = context.site.host, context.site.port
    try:
        async with _in_time(context, Obstacle.NAME, f"the name {host} was not resolved"):
            context.addresses = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        raise context.obstructed(Obstacle.NAME, f"the name {host} cannot be resolved") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in context.addresses))
    return f"{host} is an address" if addresses == [host] else f"{host} is {', '.join(addresses)}"


async def dial(context: CheckContext) -> str:
    """Connect to the first address that answers."""
    there = f"{context.site.host} port {context.site.port}"
    try:
        async with _in_time(context, Obstacle.SLOW, f"no TCP connection to {there}"):
            sock = await start_connection(context.addresses, happy_eyeballs_delay=NEXT_ADDRESS_AFTER, interleave=1)
    except ConnectionRefusedError:
        raise context.obstructed(Obstacle.REFUSED, f"{there} refuses connections") from None
    except OSError as error:
        seen = f"{there} cannot be reached: {error.strerror or 'every address failed'}"
        raise context.obstructed(Obstacle.NO_ROUTE, seen) from None
    peer = sock.getpeername()[0]
    context.stream = await asyncio.open_connection(sock=sock)
    return f"connected to {peer} port {context.site.port}"


async def tunnel(context: CheckContext) -> str:
    """Have the egress proxy open a tunnel to the origin."""
    egress = context.egress
    if egress is None or context.stream is None:
        message = "calls go through no egress proxy"
        raise NotNeededError(message)
    reader, writer = context.stream
    writer.write(connect_request(context.settings.origin, egress))
    try:
        async with _in_time(context, Obstacle.EGRESS_ANSWER, "no answer to CONNECT"):
            head = await reader.readuntil(b"\r\n\r\n")
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        head = b""
    shape = STATUS_LINE.match(head)
    if shape is None:
        raise context.obstructed(Obstacle.EGRESS_ANSWER, "the egress proxy gave no HTTP answer to CONNECT")
    status = int(shape[1])
    if status == PROXY_AUTHENTICATION_REQUIRED:
        raise context.obstructed(Obstacle.EGRESS_LOGIN, "the egress proxy refused its credentials (407)")
    if not 200 <= status < 300:  # noqa: PLR2004 - the class of successes, RFC 9110 section 15.3
        seen = f"the egress proxy refused CONNECT to {context.site.origin} (status {status})"
        raise context.obstructed(Obstacle.EGRESS_DENIES, seen)
    return f"{egress} opened a tunnel to {context.site.origin}"


async def secure(context: CheckContext) -> str:
    """Shake hands, and say until when the certificate holds."""
    host = context.settings.origin.host
    if not context.settings.origin.tls or context.stream is None:
        message = "a plain http origin, possible on this machine only"
        raise NotNeededError(message)
    context.tls = tls_context(context.settings.upstream_ca_file)
    writer = context.stream[1]
    try:
        async with _in_time(context, Obstacle.HANDSHAKE, "the TLS handshake did not end"):
            await writer.start_tls(context.tls, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        seen = f"the certificate of {host} is not trusted: {error.verify_message}"
        raise context.obstructed(obstacle(error), seen) from None
    except OSError as error:
        met = obstacle(error) if isinstance(error, ssl.SSLError) else Obstacle.HANDSHAKE
        seen = f"the TLS handshake with {host} failed: {getattr(error, 'reason', None) or 'the connection ended'}"
        raise context.obstructed(met, seen) from None
    certificate = writer.get_extra_info("peercert")
    expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    days = int((expires.timestamp() - context.clock.wall()) // 86400)
    version = writer.get_extra_info("ssl_object").version()
    return f"{version}, certificate of {host} valid until {expires:%Y-%m-%d} ({days} days)"


@asynccontextmanager
async def _in_time(context: CheckContext, met: Obstacle, seen: str) -> AsyncIterator[None]:
    """Bound what is awaited inside as a call's connecting is bounded."""
    seconds = context.settings.connect_timeout
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise context.obstructed(met, f"{seen} within PROXY_CONNECT_TIMEOUT ({seconds:g} s)") from None
