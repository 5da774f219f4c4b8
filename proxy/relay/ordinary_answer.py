"""Can this answer go to the caller as it stands? Then here is its head.

Pure. It must never let another field cross than `headers` does: whatever is unusual is not ordinary.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from proxy.relay.headers import VIA, answer_crosses
from proxy.upstream.framing import Ending
from proxy.upstream.lines import remember

if TYPE_CHECKING:
    from proxy.upstream.framing import Head

    Field = tuple[bytes, bytes]

# A 401 may be about our token; a 204 loses its Content-Length.
_UNUSUAL: Final = frozenset((HTTPStatus.UNAUTHORIZED, HTTPStatus.NO_CONTENT))
_ENDINGS: Final = frozenset((Ending.LENGTH, Ending.HEAD))
_REQUEST_ID: Final = b"x-request-id"
_STAYS: Final = b""

_known: dict[Field, bytes] = {}


def answer_head(head: Head, request_id: str, *, last: bool = False) -> bytes | None:
    """Return an ordinary answer's head as it goes to the caller, or None for any other answer.

    Args:
        head: Localpayment's.
        request_id: sent as X-Request-Id unless Localpayment sent one.
        last: whether the caller's connection ends with it.
    """
    if head.status in _UNUSUAL or head.framing.ending not in _ENDINGS:
        return None
    lines = [b"HTTP/1.1 %d %b" % (head.status, head.reason)]
    own_id: bytes | None = b"X-Request-Id: " + request_id.encode("ascii")
    for field in head.headers:
        line = _known.get(field)
        if line is None:
            name = field[0].lower()
            line = _read(name, field)
            if line is None:
                return None
            if name == _REQUEST_ID:
                own_id = None
        if line is not _STAYS:
            lines.append(line)
    if own_id is not None:
        lines.append(own_id)
    lines += (VIA, b"Connection: close", b"\r\n") if last else (VIA, b"\r\n")
    return b"\r\n".join(lines)


def _read(name: bytes, field: Field) -> bytes | None:
    fate = answer_crosses(name, field[1])
    if fate is None:
        return None
    line = field[0] + b": " + field[1] if fate else _STAYS
    return remember(_known, field, line, name=name, size=len(field[0]) + len(field[1]))
