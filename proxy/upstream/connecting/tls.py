"""Makes the TLS context that verifies the origin.

Certificates and host names are always verified; nothing switches that off.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from proxy.process import landlock

if TYPE_CHECKING:
    from pathlib import Path


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return the context for all connections of a pool; a private CA replaces the system's, and is not added to them.

    Not ssl.create_default_context, which writes session keys to the file that SSLKEYLOGFILE names.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # what a channel seals is never held back by a new handshake
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as error:
        fix = f"check the path and that it holds certificates{landlock.hint(error)}"
        message = f"{ca_file}: no readable PEM file of CA certificates; {fix}"
        raise ValueError(message) from error
    return context
