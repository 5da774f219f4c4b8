"""Remembers one call on its connection: what was written, what came back and how it ended.

It wakes the call that waits, and decides nothing; that is the connection's.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from proxy.http1.framing import MalformedAnswerError
from proxy.upstream.model import Progress, UpstreamFault

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from proxy.upstream.model import FaultKind, Limits, Timings
    from proxy.upstream.parser import AnswerParser

# Names for what each call asks for: an enumeration looks its members up each time.
_NOTHING, _SOME, _ALL = Progress


class Exchange:
    """One call's use of a connection: what was written, what came back and how it ended.

    Attributes:
        watcher: called, in the turn of the loop in which something came or the exchange ended, if there is one.
    """

    __slots__ = (
        "_loop", "_waiter", "fault", "handed_out", "held", "over", "parser", "paused", "pieces", "progress", "timings",
        "watcher", "written",
    )  # fmt: skip

    def __init__(self, parser: AnswerParser, timings: Timings, loop: asyncio.AbstractEventLoop) -> None:
        self.parser = parser
        self.timings = timings
        self.progress = _NOTHING
        self.written = False
        self.pieces: deque[bytes] = deque()
        self.held = 0
        self.paused = False
        self.handed_out = False
        self.over = False
        self.fault: Exception | None = None
        self._loop = loop
        self.watcher: Callable[[], None] | None = None
        self._waiter: asyncio.Future[None] | None = None

    def cut(self, kind: FaultKind, detail: str) -> UpstreamFault:
        """Return the fault that ends it here, as far as it got."""
        return UpstreamFault(
            kind,
            progress=self.progress,
            reused=self.timings.reused,
            answer_begun=self.handed_out,
            detail=detail,
            timings=self.timings,
        )

    @property
    def sending(self) -> bool:
        """Whether the request is still on its way out, and no answer has come."""
        return self.progress is not Progress.ALL and self.parser.head is None

    @property
    def clean(self) -> bool:
        """Whether it is known where the answer ended, and that nothing of the request is still to come."""
        head = self.parser.head
        ended = head is not None and head.framing.keeps_alive and not self.parser.excess
        return ended and self.progress is _ALL

    def wrote(self, *, last: bool) -> None:
        """Note that bytes of the request are handed to the socket, and whether they are the last."""
        self.progress = _SOME
        self.written = last

    def overdue(self, limits: Limits) -> str:
        """Say which time has run out."""
        if self.parser.head is not None:
            return f"no byte of the answer for {limits.idle_timeout} s"
        if self.progress is Progress.ALL:
            return f"no answer within {limits.response_timeout} s"
        return f"no byte of the request was taken for {limits.idle_timeout} s"

    def feed(self, data: bytes) -> None:
        """Take bytes of the answer; raises MalformedAnswerError.

        What comes behind an answer is no reason to refuse it, but for a second answer at once on a connection that has
        carried other calls: the first may then be another call's that came twice.
        """
        self.timings.response_bytes += len(data)
        pieces = self.parser.feed(data)
        if self.parser.excess and self.timings.reused and b"HTTP/".startswith(self.parser.excess):
            message = "two answers came at once, and the first may be another call's"
            raise MalformedAnswerError(message)
        for piece in pieces:
            self.pieces.append(piece)
            self.held += len(piece)

    async def changed(self) -> None:
        """Wait until something came or the exchange is over."""
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def wake(self) -> None:
        """Tell the watcher, or the call that waits, if any."""
        if self.watcher is not None:
            try:
                self.watcher()
            except Exception as error:  # noqa: BLE001 - a watcher's defect must not harm the connection
                self._loop.call_exception_handler({"message": "the watcher of a call failed", "exception": error})
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
