"""Checks the way to Localpayment as a call would go: name, TCP, egress proxy, TLS, one step each.

Only the CONNECT line and the egress proxy's own credentials are ever sent here.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from aiohappyeyeballs import start_connection

from proxy.cli.check.findings import FailedError, NotNeededError
from proxy.cli.exits import Exit
from proxy.config.addresses import bracketed
from proxy.upstream.connecting.tunnel import connect_request
from proxy.upstream.tls import tls_context

if TYPE_CHECKING:
    from proxy.cli.check.context import CheckContext

NEXT_ADDRESS_AFTER: Final = 0.25  # seconds; the Connection Attempt Delay that RFC 8305 section 5 recommends
STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")
PROXY_AUTHENTICATION_REQUIRED: Final = 407  # RFC 9110 section 15.5.8

# The verification errors of OpenSSL that have a cure of their own: X509_V_ERR_… in openssl/x509_vfy.h.
CERTIFICATE_CURES: Final = {
    9: "the certificate is not valid yet: set this machine's clock",
    10: "the certificate has expired: check this machine's clock first, else tell Localpayment",
    62: "the certificate is for another host: check LOCALPAYMENT_BASE_URL, and where its name leads",
}
UNKNOWN_AUTHORITY: Final = (
    "something between here and Localpayment may break TLS open (a corporate proxy), or the trust store is old; "
    "set PROXY_UPSTREAM_CA_FILE to the PEM file of the authority that you trust, or update ca-certificates"
)


async def resolve(context: CheckContext) -> str:
    """Resolve the name that is dialled: the egress proxy's if there is one."""
    host, port, variable = _dialled(context)
    try:
        async with asyncio.timeout(context.settings.connect_timeout):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise _too_slow(context, "the name was not resolved", "check this machine's resolver") from None
    except socket.gaierror:
        advice = f"check {variable}, and that this machine's resolver knows the name"
        seen = f"the name {host} cannot be resolved"
        raise FailedError(seen, advice, Exit.UNAVAILABLE) from None
    context.addresses = list(found)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    return f"{host} is an address" if addresses == [host] else f"{host} is {', '.join(addresses)}"


async def dial(context: CheckContext) -> str:
    """Connect to the first address that answers."""
    host, port, variable = _dialled(context)
    advice = f"allow outgoing TCP to {host} port {port} in the firewall, or check {variable}"
    try:
        async with asyncio.timeout(context.settings.connect_timeout):
            sock = await start_connection(context.addresses, happy_eyeballs_delay=NEXT_ADDRESS_AFTER, interleave=1)
    except TimeoutError:
        raise _too_slow(context, f"no TCP connection to {host} port {port}", advice) from None
    except ConnectionRefusedError:
        seen = f"{host} port {port} refuses connections"
        raise FailedError(seen, f"check {variable}; nothing listens there", Exit.UNAVAILABLE) from None
    except OSError as error:
        seen = f"{host} port {port} cannot be reached: {error.strerror or 'every address failed'}"
        raise FailedError(seen, advice, Exit.UNAVAILABLE) from None
    peer = sock.getpeername()[0]
    context.stream = await asyncio.open_connection(sock=sock)
    return f"connected to {peer} port {port}"


async def tunnel(context: CheckContext) -> str:
    """Have the egress proxy open a tunnel to the origin."""
    egress, origin = context.egress, context.settings.origin
    if egress is None or context.stream is None:
        message = "calls go through no egress proxy"
        raise NotNeededError(message)
    reader, writer = context.stream
    authority = f"{bracketed(origin.host)}:{origin.port}"
    writer.write(connect_request(origin, egress))
    try:
        async with asyncio.timeout(context.settings.connect_timeout):
            head = await reader.readuntil(b"\r\n\r\n")
    except TimeoutError:
        raise _too_slow(context, "no answer to CONNECT", "check the egress proxy's own log") from None
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        head = b""
    shape = STATUS_LINE.match(head)
    if shape is None:
        seen = "the egress proxy gave no HTTP answer to CONNECT"
        raise FailedError(seen, "check that PROXY_EGRESS_PROXY names an HTTP proxy", Exit.UNAVAILABLE)
    status = int(shape[1])
    if 200 <= status < 300:  # noqa: PLR2004 - the class of successes, RFC 9110 section 15.3
        return f"{egress} opened a tunnel to {authority}"
    if status == PROXY_AUTHENTICATION_REQUIRED:
        seen = "the egress proxy refused its credentials (407)"
        raise FailedError(seen, "check user and password in PROXY_EGRESS_PROXY", Exit.UNAVAILABLE)
    seen = f"the egress proxy refused CONNECT to {authority} (status {status})"
    raise FailedError(seen, f"have the egress proxy allow CONNECT to {authority}", Exit.UNAVAILABLE)


async def secure(context: CheckContext) -> str:
    """Shake hands, and say until when the certificate holds."""
    host = context.settings.origin.host
    if not context.settings.origin.tls or context.stream is None:
        message = "a plain http origin, possible on this machine only"
        raise NotNeededError(message)
    context.tls = tls_context(context.settings.upstream_ca_file)
    writer = context.stream[1]
    try:
        async with asyncio.timeout(context.settings.connect_timeout):
            await writer.start_tls(context.tls, server_hostname=host)
    except TimeoutError:
        raise _too_slow(context, "the TLS handshake did not end", "check what stands in between") from None
    except ssl.SSLCertVerificationError as error:
        seen = f"the certificate of {host} is not trusted: {error.verify_message}"
        cure = CERTIFICATE_CURES.get(error.verify_code, UNKNOWN_AUTHORITY)
        raise FailedError(seen, cure, Exit.UNAVAILABLE) from None
    except OSError as error:
        seen = f"the TLS handshake with {host} failed: {getattr(error, 'reason', None) or 'the connection ended'}"
        advice = "check that LOCALPAYMENT_BASE_URL's port speaks TLS, and what stands in between"
        raise FailedError(seen, advice, Exit.UNAVAILABLE) from None
    certificate = writer.get_extra_info("peercert")
    expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    days = int((expires.timestamp() - context.clock.wall()) // 86400)
    version = writer.get_extra_info("ssl_object").version()
    return f"{version}, certificate of {host} valid until {expires:%Y-%m-%d} ({days} days)"


def _dialled(context: CheckContext) -> tuple[str, int, str]:
    """Host and port of the TCP connection, and the setting that names them."""
    if context.egress is not None:
        return context.egress.host, context.egress.port, "PROXY_EGRESS_PROXY"
    origin = context.settings.origin
    return origin.host, origin.port, "LOCALPAYMENT_BASE_URL"


def _too_slow(context: CheckContext, seen: str, advice: str) -> FailedError:
    within = f"{seen} within PROXY_CONNECT_TIMEOUT ({context.settings.connect_timeout:g} s)"
    return FailedError(within, advice, Exit.UNAVAILABLE)
