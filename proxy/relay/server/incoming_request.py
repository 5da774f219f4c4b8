"""What did aiohttp's server parse? One request as the relay sees it, without the URL, cookie and form machinery."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp.http import StreamWriter
from aiohttp.streams import EMPTY_PAYLOAD

from proxy.relay.request.framing import HTTP_1_1
from proxy.relay.server.request_stream import CONNECT

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http_parser import RawRequestMessage
    from aiohttp.streams import StreamReader

    from proxy.relay.request.plain_request import PlainRequest
    from proxy.relay.server.connection import CallerConnection


class IncomingRequest:
    """A request whose head is complete; the server's request factory.

    Attributes:
        method: as sent.
        target: the request target, byte for byte; of one in absolute-form, what a request in origin-form would have.
        headers: raw names and values, in order.
        content: the body as it arrives, its chunked coding taken off and nothing else.
        connection: the caller's.
        writer: aiohttp's, of which only draining is used.
    """

    __slots__ = ("_message", "_task", "connection", "content", "headers", "method", "target", "writer")

    def __init__(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: CallerConnection,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> None:
        self._message = message
        self._task: asyncio.Task[None] | None = task
        self.method = message.method
        self.target = message.path.encode("utf-8", "surrogateescape")
        self.headers = message.raw_headers
        self.content = payload
        self.connection = protocol
        self.writer = writer
        protocol.head_arrived()

    @property
    def version(self) -> tuple[int, int]:
        """HTTP's, as the request line says it."""
        return (self._message.version.major, self._message.version.minor)

    @property
    def http_1_1(self) -> bool:
        """Whether the caller understands chunks and interim answers."""
        return self.version >= HTTP_1_1

    @property
    def ends_connection(self) -> bool:
        """Whether nothing may be read after this request: so the caller wants it, or it is unclear what comes next."""
        return self._message.should_close or not self.content.is_eof() or self.method == CONNECT

    @property
    def has_body(self) -> bool:
        """Whether a body may follow the head."""
        return self.content is not EMPTY_PAYLOAD

    # What aiohttp's server asks of a request.

    def _finish(self) -> None:
        """Nothing to release."""

    def _cancel(self, error: BaseException) -> None:
        """Tell the one who reads the body that the rest of it will not come; a body that has come stays readable."""
        if self.has_body and not self.content.is_eof():
            # aiohttp tells of the server's end by a CancelledError, which would end nobody but the one who reads.
            lost = error if isinstance(error, Exception) else ConnectionResetError("the server ends")
            self.content.set_exception(lost)


class HeldRequest(IncomingRequest):
    """A request that was read whole, without the server's parser; of its fields it has those that cross."""

    __slots__ = ("_request",)

    def __init__(self, request: PlainRequest, connection: CallerConnection) -> None:  # takes nothing of the parser's
        self._request = request
        self.method = request.method
        self.target = request.target
        self.headers = request.crossing
        self.content = EMPTY_PAYLOAD
        self.connection = connection
        self.writer = StreamWriter(connection, asyncio.get_running_loop())

    @property
    def version(self) -> tuple[int, int]:
        """Always HTTP/1.1."""
        return HTTP_1_1

    @property
    def ends_connection(self) -> bool:
        """Whether the caller wants it so: nothing more of the request can come."""
        return self._request.last
