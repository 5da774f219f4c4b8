"""Holds one request that aiohttp's server parsed, without the URL, cookie and form machinery, or says why it is none.

The parser's text quotes what was sent, and is never passed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp.http_exceptions import BadHttpMessage, BadStatusLine, LineTooLong

from proxy.errors import HeaderTooLargeError, MethodForbiddenError, RelayError
from proxy.relay.request.framing import unclear
from proxy.relay.request.request_line import MOST_TARGET, target_too_long
from proxy.relay.server.request_stream import CONNECT

if TYPE_CHECKING:
    import asyncio

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http_parser import RawRequestMessage
    from aiohttp.streams import StreamReader

    from proxy.relay.server.connection import CallerConnection

MOST_FIELD: Final = 8190  # bytes of a field's name and value; not MOST_TARGET, so that the parser's error tells which
MOST_FIELDS: Final = 128


class IncomingRequest:
    """A request whose head is complete; the server's request factory.

    Attributes:
        method: as sent.
        target: the request target, byte for byte; of one in absolute-form, what a request in origin-form would have.
        headers: raw names and values, in order.
        content: the body as it arrives, its chunked coding taken off and nothing else.
        connection: the caller's.
    """

    __slots__ = ("_message", "_task", "connection", "content", "headers", "method", "target")

    def __init__(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: CallerConnection,
        writer: AbstractStreamWriter,  # noqa: ARG002 - the signature is aiohttp's
        task: asyncio.Task[None],
    ) -> None:
        self._message = message
        self._task: asyncio.Task[None] | None = task
        self.method = message.method
        self.target = message.path.encode("utf-8", "surrogateescape")
        self.headers = message.raw_headers
        self.content = payload
        self.connection = protocol
        protocol.head_arrived()

    @property
    def version(self) -> tuple[int, int]:
        """HTTP's, as the request line says it."""
        return (self._message.version.major, self._message.version.minor)

    @property
    def should_close(self) -> bool:
        """Whether nothing may be read after this request: so the caller wants it, or it asks for a tunnel."""
        return self._message.should_close or self.method == CONNECT

    # What aiohttp's server asks of a request.

    def _finish(self) -> None:
        """Nothing to release."""

    def _cancel(self, error: BaseException) -> None:
        """Tell the one who reads the body that the rest of it will not come; a body that has come stays readable."""
        if not self.content.is_eof():
            # aiohttp tells of the server's end by a CancelledError, which would end only the one who reads.
            lost = error if isinstance(error, Exception) else ConnectionResetError("the server ends")
            self.content.set_exception(lost)


def unreadable(error: BaseException | None) -> RelayError:
    """Return what the caller gets for what was raised when its request line had been judged, or by that."""
    match error:
        case RelayError():
            return error
        case BadStatusLine():  # what the parser has against a line that is well-formed is the method
            detail = "The sidecar knows no such method; methods have a case, and are written in upper case."
            return MethodForbiddenError(detail)
        case LineTooLong(args=(_, limit, *_)) if limit == MOST_TARGET:
            return target_too_long()
        case LineTooLong():
            detail = f"A header field is longer than {MOST_FIELD} bytes, which is more than the sidecar accepts."
            return HeaderTooLargeError(detail)
        case BadHttpMessage(message="Too many headers received"):
            detail = f"The request has more than {MOST_FIELDS} header fields, which is more than the sidecar accepts."
            return HeaderTooLargeError(detail)
        case _:
            return unclear()
