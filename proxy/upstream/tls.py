"""Is it the origin that we speak to?

Certificates and host names are always verified; nothing switches that off.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from proxy.upstream.model import ConnectError, ConnectResult

if TYPE_CHECKING:
    from pathlib import Path


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return the context for all connections of a pool; a private CA stands in for the system's, not beside them.

    Not ssl.create_default_context, which writes session keys to the file that SSLKEYLOGFILE names.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as error:
        message = f"{ca_file}: no readable PEM file of CA certificates; check the path and that it holds certificates"
        raise ValueError(message) from error
    return context


async def handshake(
    raw: asyncio.Transport, protocol: asyncio.Protocol, context: ssl.SSLContext, host: str
) -> asyncio.Transport:
    """Put TLS on a connection, or raise ConnectError; whatever it raises, asyncio has closed the connection."""
    if raw.is_closing():
        raise ConnectError(ConnectResult.TLS, f"{host} ended the connection, or spoke, before the TLS handshake")
    try:
        transport = await asyncio.get_running_loop().start_tls(raw, protocol, context, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        detail = f"the certificate of {host} is not trusted: {error.verify_message}"
        raise ConnectError(ConnectResult.TLS, detail) from error
    except ssl.SSLError as error:
        raise ConnectError(ConnectResult.TLS, f"the TLS handshake with {host} failed: {error.reason}") from error
    except (OSError, RuntimeError) as error:
        raise ConnectError(ConnectResult.TLS, f"the connection ended during the TLS handshake with {host}") from error
    if transport is None:  # the connection was lost in the moment that the handshake ended
        raise ConnectError(ConnectResult.TLS, f"the connection ended after the TLS handshake with {host}")
    return transport
