"""What did aiohttp's server parse? One request as the relay sees it, without the URL, cookie and form machinery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp.streams import EMPTY_PAYLOAD

if TYPE_CHECKING:
    import asyncio

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http_parser import RawRequestMessage
    from aiohttp.streams import StreamReader

    from proxy.relay.listener import CallerConnection

_HTTP_1_1: Final = (1, 1)


class Arrival:
    """A request whose head is complete; the server's request factory.

    Attributes:
        method: as sent.
        headers: raw names and values, in order.
        content: the body as it arrives, its chunked coding taken off and nothing else.
        connection: the caller's.
        writer: aiohttp's, of which only draining is used.
    """

    __slots__ = ("_message", "_task", "connection", "content", "headers", "method", "writer")

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
        self.headers = message.raw_headers
        self.content = payload
        self.connection = protocol
        self.writer = writer
        protocol.head_arrived()

    @property
    def target(self) -> bytes:
        """The request target, byte for byte."""
        return self._message.path.encode("utf-8", "surrogateescape")

    @property
    def http_1_1(self) -> bool:
        """Whether the caller understands chunks and interim answers."""
        return tuple(self._message.version) >= _HTTP_1_1

    @property
    def keep_alive(self) -> bool:
        """Whether the caller wants to send another request on its connection."""
        return not self._message.should_close

    @property
    def upgrade(self) -> bool:
        """Whether aiohttp has stopped reading HTTP, because the caller asks for another protocol."""
        return self._message.upgrade

    @property
    def chunked(self) -> bool:
        """Whether the body's length is not known beforehand."""
        return self._message.chunked

    @property
    def has_body(self) -> bool:
        """Whether a body may follow the head."""
        return self.content is not EMPTY_PAYLOAD

    @property
    def waits_for_invitation(self) -> bool:
        """Whether the caller sends its body only after a 100 (RFC 9110 section 10.1.1)."""
        return self.http_1_1 and any(
            name.lower() == b"expect" and value.strip().lower() == b"100-continue" for name, value in self.headers
        )

    # What aiohttp's server asks of a request.

    def _finish(self) -> None:
        """Nothing to release."""

    def _cancel(self, error: BaseException) -> None:
        """Tell the one who reads the body that the caller is gone."""
        if self.has_body:
            self.content.set_exception(error)
