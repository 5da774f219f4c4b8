"""Can this answer go to the caller as it stands? Then here is its head.

Pure. It must never let another field cross than `headers` does: whatever is unusual is not ordinary.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from proxy.http1.bounded_cache import keep
from proxy.http1.framing import Ending
from proxy.http1.header_cache import MOST
from proxy.relay.fields import VIA
from proxy.relay.response_fields import answer_crosses

if TYPE_CHECKING:
    from proxy.http1.framing import Head

# A 401 or 403 may be about our token; a 204 loses its Content-Length.
_UNUSUAL: Final = frozenset((HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NO_CONTENT))
_ENDINGS: Final = frozenset((Ending.LENGTH, Ending.HEAD))
_REQUEST_ID: Final = b"x-request-id"
_END: Final = VIA + b"\r\n\r\n"
_LAST_END: Final = VIA + b"\r\nConnection: close\r\n\r\n"

_known: dict[Head, tuple[bytes, bool]] = {}


def answer_head(head: Head, request_id: str, *, secret: bytes | None = None, last: bool = False) -> bytes | None:
    """Return an ordinary answer's head as it goes to the caller, or None for any other answer.

    Args:
        head: Localpayment's.
        request_id: sent as X-Request-Id unless Localpayment sent one.
        secret: what no field that stays here may hold, lest nobody hears of it; whoever passes the answer on looks for
            it in the others.
        last: whether the caller's connection ends with it.
    """
    if head.status in _UNUSUAL or head.framing.ending not in _ENDINGS:
        return None
    read = _known.get(head) or _read(head, secret)
    if read is None:
        return None
    crossing, theirs = read
    own_id = b"" if theirs else b"X-Request-Id: %b\r\n" % request_id.encode("ascii")
    return crossing + own_id + (_LAST_END if last else _END)


def _read(head: Head, secret: bytes | None) -> tuple[bytes, bool] | None:
    """Return status line and fields as they cross, and whether X-Request-Id is among them."""
    lines = [b"HTTP/1.1 %d %b" % (head.status, head.reason)]
    theirs = False
    for name, value in head.headers:
        folded = name.lower()
        fate = answer_crosses(folded, value)
        if fate is None:
            return None
        if fate:
            lines.append(name + b": " + value)
            theirs = theirs or folded == _REQUEST_ID
        elif secret is not None and secret in value:
            return None
    lines.append(b"")
    read = b"\r\n".join(lines), theirs
    return keep(_known, head, read, most=MOST) if head.comes_again else read
