"""Decides which header fields of an answer cross towards the caller. Pure.

Order and bytes of what crosses stay as they are, but for references to Localpayment's own origin, which come to lead
to the sidecar.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.relay.fields import (
    FOLD,
    HOP_BY_HOP,
    MEANING,
    PSEUDONYM,
    connection_options,
    without_named,
)
from proxy.relay.response.location import REFERENCES, reference_to_caller

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.config import Origin
    from proxy.relay.fields import Field

_DROPPED_FROM_ANSWERS: Final = HOP_BY_HOP | {b"authorization", b"set-cookie", b"set-cookie2"}
_MEANING_OF_ANSWERS: Final = MEANING | {
    b"content-length", b"content-location", b"location", b"retry-after", b"www-authenticate", b"etag", b"date",
    b"last-modified", b"expires", b"vary", b"allow", b"link", b"proxy-status",
}  # fmt: skip
# An item of a structured field's list up to its parameters, and these (RFC 9651); enough to part members.
_MEMBER: Final = re.compile(
    rb'[ \t]*+((?:"(?:[^"\\]|\\.)*"|[^",;])*)((?:;(?:"(?:[^"\\]|\\.)*"|[^",])*)?)(?:,|\Z)', re.DOTALL
)


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
    return without_named(kept, options - _MEANING_OF_ANSWERS)


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
