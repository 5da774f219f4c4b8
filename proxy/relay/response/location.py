"""Writes references to Localpayment's own origin as the caller must follow them: as a path, which leads back here.

Pure. A client that followed the origin itself would go past the sidecar, without a token. References to any other host
stay as they are, and none may come to lead to another host than it did.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.config import Origin

# RFC 9110 sections 10.2.2 and 8.7: fields that hold one URI reference.
REFERENCES: Final = frozenset((b"location", b"content-location"))

# RFC 3986 section 4.2 and appendix B, as far as there is an authority; the scheme's names are cased as one likes.
_WITH_AUTHORITY: Final = re.compile(
    rb"(?:(?P<scheme>https?):)?//(?:[^/?#@\\]*@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^:/?#@\\\[\]]+)(?::(?P<port>[0-9]{0,5}))?"
    rb"(?P<rest>[/?#\\].*)?",
    re.IGNORECASE | re.DOTALL,
).fullmatch
_PORTS: Final = {b"http": 80, b"https": 443}


def is_plain_path(reference: bytes) -> bool:
    """Tell whether a reference names no host for anybody."""
    return reference[:1] == b"/" and reference[1:2] not in {b"/", b"\\"}


def reference_to_caller(reference: bytes, origin: Origin) -> bytes:
    """Return a reference without its origin, if that is Localpayment's; any other as it is.

    Args:
        reference: the field's value.
        origin: Localpayment's. Plain HTTP to the same host counts as it: servers behind a TLS terminator write that.
    """
    found = None if is_plain_path(reference) else _WITH_AUTHORITY(reference)
    if found is None or not _is_own(found, origin):
        return reference
    path: bytes = found["rest"] or b"/"
    if path[:1] != b"/":
        path = b"/" + path
    return path if is_plain_path(path) else b"/." + path  # two slashes would begin a host (RFC 3986 section 4.2)


def _is_own(found: re.Match[bytes], origin: Origin) -> bool:
    own_scheme = b"https" if origin.tls else b"http"
    host = found["host"].lower().strip(b"[]").removesuffix(b".")
    if host != origin.host.encode("ascii"):
        return False
    scheme = (found["scheme"] or own_scheme).lower()
    port = int(found["port"] or _PORTS[scheme])
    return (scheme, port) == (own_scheme, origin.port) or (scheme, port) == (b"http", _PORTS[b"http"])
