"""Answers on one caller's connection: counts what its caller has yet to take, and ends it once the last one was read.

It must never answer with aiohttp's words, nor let an answer that was cut look like a whole one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from proxy.errors import InternalError
from proxy.process.memory import Holding
from proxy.relay.server.caller_socket import CallerSocket
from proxy.relay.server.incoming_request import unreadable
from proxy.relay.server.lingering import LINGER
from proxy.relay.server.response import Written

if TYPE_CHECKING:
    from proxy.errors import RelayError
    from proxy.http1.timeouts import Deadline
    from proxy.relay.server.connection import CallerConnection
    from proxy.relay.server.listener import Listener
    from proxy.relay.server.ports import Call


class AnsweringSide(web.RequestHandler):
    """The side of a caller's connection on which answers go out.

    Attributes:
        deaf: whether bytes that come are thrown away: those before could not be read, or the last answer was given.
        lingers: whether it is open only so that its caller reads its last answer.
        memory: counts what is held for callers.
    """

    __slots__ = ("_call", "_listener", "_lost", "_patience", "_socket", "_untaken", "deaf", "lingers", "memory")

    def __init__(self, listener: Listener, loop: asyncio.AbstractEventLoop, options: dict[str, Any]) -> None:
        super().__init__(listener, loop=loop, **options)
        self._listener = listener
        self.memory = listener.memory
        self._call: Call | None = None
        self._socket: CallerSocket
        self._lost = asyncio.Event()
        self._patience: Deadline
        self._untaken = 0  # bytes of answers that the budget has counted
        self.deaf = self.lingers = False

    @property
    def unsent(self) -> int:
        """Bytes of answers that the socket has not taken."""
        return 0 if self.transport is None else self._socket.unsent

    @property
    def gone(self) -> bool:
        """Whether the caller has left, as far as the kernel knows; so it has when it ended its sending side alone."""
        return self.transport is None or self._socket.gone

    async def drained(self) -> None:
        """Wait until the caller has taken enough of its answer."""
        if self.transport is not None and self.writing_paused:
            await self._drain_helper()

    def linger(self) -> None:
        """End it once its caller had time to read the last answer, which is written."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        self.deaf = self.lingers = True
        self.close()
        if transport.can_write_eof():
            transport.write_eof()
            transport.resume_reading()
        else:  # TLS: it says that nothing follows, and throws away what comes, until the other end has said so too
            transport.close()
        self._patience.set(LINGER)
        self._listener.lingering.add(self)

    async def lingered(self) -> None:
        """Linger, and return once it has ended."""
        self.linger()
        if self.lingers:
            await self._lost.wait()

    def cut(self) -> None:
        """End it at once; its caller had time to read the last answer."""
        self._force_close = True
        if self.transport is not None:
            self.transport.abort()

    def reset(self) -> None:
        """End the connection at once by a reset: an answer that was cut must not look like a whole one."""
        if self.transport is not None:
            self._socket.reset()

    def force_close(self) -> None:
        """End the connection, and visibly so when that cuts the answer to a call."""
        if self._call is not None:
            self.reset()
        super().force_close()

    # What asyncio reports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._socket = CallerSocket(cast("asyncio.Transport", transport))
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Hold nothing more for it."""
        self._patience.cancel()
        self._lost.set()
        self._taken()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Count what the caller has yet to take of its answers, and read no further request until it has."""
        super().pause_writing()
        self._untaken = self.unsent
        self.memory.charge(Holding.ANSWERS, self._untaken)

    def resume_writing(self) -> None:
        """Count it no more: the caller has taken it."""
        super().resume_writing()
        self._taken()

    def _taken(self) -> None:
        untaken, self._untaken = self._untaken, 0
        self.memory.charge(Holding.ANSWERS, -untaken)

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
            return self._refused(unreadable(exc))
        return self._refused(InternalError("The sidecar failed on this call; its log has the reason."))

    def log_exception(self, *args: object, **kw: object) -> None:
        """Say nothing: aiohttp's text quotes the caller; `handle_error` reports."""

    def _refused(self, error: RelayError) -> Written:
        self._listener.relay.unreadable(cast("CallerConnection", self), error)
        return Written(last=True, then=self.lingered)
