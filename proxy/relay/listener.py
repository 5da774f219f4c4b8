"""How do callers' connections reach the relay? aiohttp's low-level server, with its answers and its log replaced.

aiohttp's own error page and log line quote what a caller sent; neither is ever used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from proxy.errors import BadRequestError, HeaderTooLargeError, InternalError, SlowRequestError
from proxy.relay.arrival import Arrival
from proxy.upstream.deadline import Deadline

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable
    from typing import Protocol

    from proxy.errors import RelayError
    from proxy.relay.reply import Written

    class Relay(Protocol):
        """What answers the requests that arrive."""

        def __call__(self, arrival: Arrival) -> Awaitable[Written]:
            """Relay one request; raises nothing."""
            ...

        def unreadable(self, connection: CallerConnection, error: RelayError) -> Written:
            """Refuse what could not be read as a request."""
            ...


# Seconds that an idle caller's connection is kept. A proxy that closes first makes callers lose requests in flight, so
# it is as long as Envoy's default.
CALLER_IDLE: Final = 3600.0
# Seconds that an unread body is read and thrown away after an early answer, so that the caller gets to read the answer.
LINGER: Final = 2.0


class Listener(web.Server):
    """The server of the data listener.

    Args:
        relay: answers each request.
        header_timeout: seconds in which a request's head must arrive whole.
    """

    def __init__(self, relay: Relay, *, header_timeout: float) -> None:
        super().__init__(
            cast("Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]", relay),
            request_factory=cast("Any", Arrival),
            auto_decompress=False,
            access_log=None,
            keepalive_timeout=CALLER_IDLE,
            lingering_time=LINGER,
        )
        self.relay = relay
        self.header_timeout = header_timeout

    def __call__(self) -> CallerConnection:
        """Make the protocol of a new connection."""
        return CallerConnection(self, self._loop, self._kwargs)


class CallerConnection(web.RequestHandler):
    """One caller's connection.

    Attributes:
        left: called once when the caller goes away during a call; None between calls.
    """

    __slots__ = ("_listener", "_patience", "left")

    def __init__(self, listener: Listener, loop: asyncio.AbstractEventLoop, options: dict[str, Any]) -> None:
        super().__init__(listener, loop=loop, **options)
        self.left: Callable[[], None] | None = None
        self._listener = listener
        self._patience = Deadline(loop, self._ran_out)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the first request's head its time."""
        self._patience.set(self._listener.header_timeout)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Give a later request's head its time, from its first byte on."""
        if self.left is None and not self._patience.running:
            self._patience.set(self._listener.header_timeout)
        super().data_received(data)

    def head_arrived(self) -> None:
        """Stop the head's time."""
        self._patience.clear()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell the call that runs."""
        self._patience.cancel()
        super().connection_lost(exc)
        if self.left is not None:
            self.left()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what aiohttp could not read, and what the relay failed on, in our own way."""
        del request, message
        if isinstance(exc, LineTooLong):
            detail = "The request head has a line longer than 8190 bytes, which is more than the sidecar accepts."
            return self._refused(HeaderTooLargeError(detail))
        if status == web.HTTPBadRequest.status_code:
            detail = "The request cannot be read as HTTP/1.1 in exactly one way; nothing was sent."
            return self._refused(BadRequestError(detail))
        return self._refused(InternalError("The sidecar failed on this call; its log has the reason."))

    def log_exception(self, *args: object, **kw: object) -> None:
        """Say nothing: aiohttp's text quotes the caller; `handle_error` reports."""

    def _refused(self, error: RelayError) -> Written:
        return self._listener.relay.unreadable(self, error)

    def _ran_out(self) -> None:
        if self.transport is not None:
            detail = f"The request head did not arrive within {self._listener.header_timeout:g} s."
            self._refused(SlowRequestError(detail))
        self.force_close()
