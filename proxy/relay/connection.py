"""What happens on one caller's connection besides its requests: slow heads, unreadable bytes, its end.

It must never answer with aiohttp's words, and never read on after bytes that it could not read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.web_protocol import _ErrInfo

from proxy.errors import (
    BadRequestError,
    HeaderTooLargeError,
    InternalError,
    OverloadedError,
    SlowRequestError,
    TargetTooLongError,
)
from proxy.relay.callers import Peer
from proxy.relay.framing import declared_length
from proxy.relay.peer import peer_of
from proxy.relay.reply import Farewell
from proxy.upstream.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.errors import RelayError
    from proxy.relay.listener import Listener

MOST_TARGET: Final = 8192  # bytes; nginx and Apache httpd accept as much by default
MOST_FIELD: Final = 8190  # bytes of a field's name and value; not MOST_TARGET, so that the parser's error tells which
MOST_FIELDS: Final = 128
# Seconds that what a caller still sends is thrown away after its answer, so that it gets to read the answer.
LINGER: Final = 2.0
# Connections beyond PROXY_MAX_CONNECTIONS that are given that time; the others are closed with their answer.
MOST_LEAVING: Final = 64

_HEAD_END: Final = b"\r\n\r\n"


class CallerConnection(web.RequestHandler):
    """One caller's connection.

    Attributes:
        peer: who is at the other end.
        deaf: whether bytes that come are thrown away: those before could not be read, or the last answer was given.
        overran: whether bytes came behind a request that offers another protocol; the parser loses such bytes.
    """

    __slots__ = (
        "_awaiting",
        "_leaving",
        "_left",
        "_listener",
        "_lost",
        "_patience",
        "_retired",
        "_surplus",
        "deaf",
        "peer",
    )

    def __init__(self, listener: Listener, loop: asyncio.AbstractEventLoop, options: dict[str, Any]) -> None:
        super().__init__(listener, loop=loop, **options)
        self._listener = listener
        self._left: Callable[[], None] | None = None
        self._awaiting = True
        self._retired = False
        self.peer = Peer()
        self.deaf = False
        self._surplus = 0
        self._lost = asyncio.Event()
        self._leaving: asyncio.Task[None] | None = None
        self._patience = Deadline(loop, self._ran_out)

    @property
    def overran(self) -> bool:
        """See the class."""
        return self._surplus > 0

    @property
    def unsent(self) -> int:
        """Bytes of answers that the socket has not taken."""
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    # What the relay tells

    def head_arrived(self) -> None:
        """Stop the head's time."""
        self._awaiting = False
        self._patience.clear()

    def begin(self, left: Callable[[], None]) -> None:
        """Note that a call begins; `left` is called once, when the caller goes away during it."""
        self._left = left
        if self.transport is None:
            left()

    def finish(self, *, last: bool) -> None:
        """Note that the call is over, and whether it was the connection's last."""
        self._left = None
        self._awaiting = not last
        if self._retired:
            self.close()

    def retire(self) -> None:
        """Take no request after one that has begun, and end at once without one; `close` is deaf to a body's rest."""
        self._retired = begun = not self._awaiting or bool(self._messages) or self._patience.running or self.deaf
        if not begun and self.transport is not None:
            self.close()
            self.transport.close()

    # What asyncio reports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look who it is, and whether there is room."""
        self.peer = peer_of(transport)
        super().connection_made(transport)
        if not self._listener.enter():
            self._turn_away()

    def data_received(self, data: bytes) -> None:
        """Give a request's head its time, from its first byte on; read nothing after what could not be read."""
        if self.deaf:
            return
        waiting = len(self._messages)
        super().data_received(data)
        if len(self._messages) > waiting:
            self._look_at(data)
        else:
            self._surplus += len(data)
        if data and self._awaiting and not self._messages and not self._patience.running:
            self._patience.set(self._listener.header_timeout)

    def _look_at(self, data: bytes) -> None:
        """Look at the last of the messages that came with the data."""
        message, _ = self._messages[-1]
        if isinstance(message, _ErrInfo):  # a private class, but nothing public says that the parser gave up
            self.deaf = True
            self._spoil_bodies()
        elif message.upgrade:
            # Exact when the request's head ends with the first empty line; whatever else happened counts as too much.
            end = data.find(_HEAD_END) + len(_HEAD_END)
            alone = end >= len(_HEAD_END)
            self._surplus = len(data) - end - (declared_length(message.raw_headers) or 0) if alone else 1

    def _spoil_bodies(self) -> None:
        """Tell those who read, or will read, a body whose rest can never come; the parser does not."""
        error = web.RequestPayloadError("the rest of the body cannot be read")
        if self._current_request is not None:
            self._current_request._cancel(error)  # noqa: SLF001 - what aiohttp itself calls when a connection is lost
        for _, payload in self._messages:
            if not payload.is_eof():
                payload.set_exception(error)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell the call that runs."""
        self._patience.cancel()
        self._lost.set()
        self._listener.leave()
        super().connection_lost(exc)
        if self._left is not None:
            self._left()

    # What aiohttp asks

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what aiohttp could not read, and what the relay failed on, in our own way."""
        del request, message
        if status == web.HTTPBadRequest.status_code:
            return self._refused(_unreadable(exc))
        return self._refused(InternalError("The sidecar failed on this call; its log has the reason."))

    def log_exception(self, *args: object, **kw: object) -> None:
        """Say nothing: aiohttp's text quotes the caller; `handle_error` reports."""

    async def linger(self) -> None:
        """Let the caller read its answer.

        Closing while bytes come in would reset the connection, and the reset could overtake the answer
        (RFC 9112 section 9.6).
        """
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        self.deaf = True
        if transport.can_write_eof():
            transport.write_eof()
            transport.resume_reading()
        else:  # TLS: it says that nothing follows, and throws away what comes, until the other end has said so too
            transport.close()
        try:
            async with asyncio.timeout(LINGER):
                await self._lost.wait()
        except TimeoutError:
            return

    def _refused(self, error: RelayError) -> Farewell:
        self._listener.relay.unreadable(self, error)
        return Farewell(self.linger)

    def _turn_away(self) -> None:
        self.deaf = True
        most = self._listener.max_connections
        detail = f"The sidecar has as many connections as PROXY_MAX_CONNECTIONS ({most}) lets it; nothing was sent."
        self._listener.relay.unreadable(self, OverloadedError(detail))
        if self._listener.leaving >= MOST_LEAVING:
            self.force_close()
        else:
            self._listener.leaving += 1
            self._leaving = asyncio.ensure_future(self._leave())

    async def _leave(self) -> None:
        try:
            await self.linger()
        finally:
            self._listener.leaving -= 1
            self.force_close()

    def _ran_out(self) -> None:
        detail = f"The request head did not arrive within {self._listener.header_timeout:g} s (PROXY_HEADER_TIMEOUT)."
        self._listener.relay.unreadable(self, SlowRequestError(detail))
        self.force_close()


def _unreadable(error: BaseException | None) -> RelayError:
    """Say what the parser could not read; its own text quotes what was sent."""
    match error:
        case LineTooLong(args=(_, limit, *_)) if limit == MOST_TARGET:
            detail = f"The request target is longer than {MOST_TARGET} bytes, which is more than the sidecar accepts."
            return TargetTooLongError(detail)
        case LineTooLong():
            detail = f"A header field is longer than {MOST_FIELD} bytes, which is more than the sidecar accepts."
            return HeaderTooLargeError(detail)
        case BadHttpMessage(message="Too many headers received"):
            detail = f"The request has more than {MOST_FIELDS} header fields, which is more than the sidecar accepts."
            return HeaderTooLargeError(detail)
        case _:
            return BadRequestError("The request cannot be read as HTTP/1.1 in exactly one way; nothing was sent.")
