"""Holds one request that aiohttp's server parsed, without the URL, cookie and form machinery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.relay.server.request_stream import CONNECT

if TYPE_CHECKING:
    import asyncio

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http_parser import RawRequestMessage
    from aiohttp.streams import StreamReader

    from proxy.relay.server.connection import CallerConnection


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
