"""Composes the heads of answers as they go to the caller, from those that Localpayment sent.

Pure. It must never let another field cross than `fields` does.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from proxy.http1.header_cache import MOST, keep
from proxy.http1.proxied_fields import VIA
from proxy.relay.response.fields import headers_to_caller

if TYPE_CHECKING:
    from proxy.config import Origin
    from proxy.http1.framing import Head

_REQUEST_ID: Final = b"x-request-id"
_END: Final = VIA + b"\r\n"
_WITHOUT_LENGTH: Final = frozenset((HTTPStatus.NO_CONTENT,))  # RFC 9110 section 8.6
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
_LAST: Final = b"Connection: close\r\n"
_KEPT: Final = b"Connection: keep-alive\r\n"


class ResponseHeads:
    """Composes the heads of all answers of one relay, and remembers those that come again.

    Args:
        origin: Localpayment's; references to it come to lead to the sidecar.

    Attributes:
        known: heads that hold nothing but what comes again and again, each with what goes on of it, and whether
            X-Request-Id is among that.
    """

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self.known: dict[Head, tuple[bytes, bool]] = {}

    def compose(self, head: Head, request_id: str, timing: bytes | None, *rest: bytes) -> bytes:
        """Return an answer's head up to what `ending` adds, and the rest.

        Args:
            head: Localpayment's.
            request_id: sent as X-Request-Id unless Localpayment sent one.
            timing: value of a Server-Timing field, None for none.
            rest: what follows, if it is known already.
        """
        crossing, theirs = self.known.get(head) or self._read(head)
        if timing is not None:
            rest = b"Server-Timing: ", timing, b"\r\n", *rest
        if theirs:
            return b"".join((crossing, _END, *rest))
        return b"".join((crossing, b"X-Request-Id: ", request_id.encode("ascii"), b"\r\n", _END, *rest))

    def _read(self, head: Head) -> tuple[bytes, bool]:
        """Return status line and fields as they cross, and whether X-Request-Id is among them."""
        lines = [b"HTTP/1.1 %d %b" % (head.status, head.reason)]
        theirs = False
        unwanted = b"content-length" if head.status in _WITHOUT_LENGTH else None
        for name, value in headers_to_caller(head.headers, origin=self._origin):
            folded = name.lower()
            if folded != unwanted:
                lines.append(name + b": " + value)
            theirs = theirs or folded.replace(b"_", b"-") == _REQUEST_ID
        lines.append(b"")
        read = b"\r\n".join(lines), theirs
        return keep(self.known, head, read, most=MOST) if head.comes_again else read


def ending(*, last: bool, chunked: bool = False, http_1_1: bool = True) -> bytes:
    """Return what ends a head: how the body is framed, if not by its length, and what becomes of the connection."""
    connection = _LAST if last else b"" if http_1_1 else _KEPT
    return (_CHUNKED if chunked else b"") + connection + b"\r\n"


KEEPS: Final = ending(last=False)
CLOSES: Final = ending(last=True)
