"""Decides which header fields of an answer cross towards the caller. Pure.

Order and bytes of what crosses stay as they are, but for references to Localpayment's own origin. They become paths,
which lead back here: a client that followed the origin itself would go past the sidecar, without a token. References to
any other host stay as they are, and none may come to lead to another host than it did.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.http1.proxied_fields import (
    FOLD,
    HOP_BY_HOP,
    MEANING,
    PSEUDONYM,
    USUAL_OPTIONS,
    connection_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.config import Origin
    from proxy.http1.proxied_fields import Field

_DROPPED_FROM_ANSWERS: Final = HOP_BY_HOP | {b"authorization", b"set-cookie", b"set-cookie2"}
_MEANING_OF_ANSWERS: Final = MEANING | {
    b"content-length", b"content-location", b"location", b"retry-after", b"www-authenticate", b"etag", b"date",
    b"last-modified", b"expires", b"vary", b"allow", b"link", b"proxy-status",
}  # fmt: skip
# An item of a structured field's list up to its parameters, and these (RFC 9651); enough to part members.
_MEMBER: Final = re.compile(
    rb'[ \t]*+((?:"(?:[^"\\]|\\.)*"|[^",;])*)((?:;(?:"(?:[^"\\]|\\.)*"|[^",])*)?)(?:,|\Z)', re.DOTALL
)


# RFC 9110 sections 10.2.2 and 8.7: fields that hold one URI reference.
REFERENCES: Final = frozenset((b"location", b"content-location"))

# RFC 3986 section 4.2 and appendix B, as far as there is an authority; the scheme's names are cased as one likes.
_WITH_AUTHORITY: Final = re.compile(
    rb"(?:(?P<scheme>https?):)?//(?:[^/?#@\\]*@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^:/?#@\\\[\]]+)(?::(?P<port>[0-9]{0,5}))?"
    rb"(?P<rest>[/?#\\].*)?",
    re.IGNORECASE | re.DOTALL,
).fullmatch
_PORTS: Final = {b"http": 80, b"https": 443}


def headers_to_caller(headers: Iterable[Field], *, origin: Origin | None = None) -> list[Field]:
    """Return the fields that cross to the caller; Content-Length stays as it was, other framing does not.

    Args:
        headers: Localpayment's, raw.
        origin: Localpayment's; references to it come to lead to the sidecar. None leaves them.
    """
    kept: list[Field] = []
    options: set[bytes] = set()
    for field in headers:
        name = field[0].translate(FOLD)
        if name in _DROPPED_FROM_ANSWERS:
            if name == b"connection":
                options |= connection_options(field[1])
        elif name in REFERENCES and origin is not None:
            kept.append((field[0], reference_to_caller(field[1], origin)))
        elif name.startswith(b"proxy-"):
            value = _without_ours(field[1]) if name == b"proxy-status" else b""
            if value:
                kept.append(field if value == field[1] else (field[0], value))
        else:
            kept.append(field)
    named = options - _MEANING_OF_ANSWERS
    if named <= USUAL_OPTIONS:  # which name no field
        return kept
    return [field for field in kept if field[0].translate(FOLD) not in named]


def _without_ours(value: bytes) -> bytes:
    """Return a Proxy-Status list without the members that bear our name; empty when it cannot be read."""
    members: list[bytes] = []
    imitated = False
    at = 0
    while at < len(value):
        found = _MEMBER.match(value, at)
        if found is None:
            return b""
        at = found.end()
        if found[1].strip(b' \t"').replace(b"\\", b"").lower() == PSEUDONYM:
            imitated = True
        else:
            members.append((found[1] + found[2]).strip(b" \t"))
    return b", ".join(members) if imitated else value


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
