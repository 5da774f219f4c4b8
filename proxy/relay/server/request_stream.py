"""Gives a caller's bytes to the server's parser request by request, and knows where each of them ends.

aiohttp's parser loses the requests that it read in the same piece before one that it cannot read, skips spaces in
request lines, and loses what comes behind an offer of another protocol. So it never gets bytes of two requests at once,
and none of the next while one waits: what is parsed takes several times the memory of its bytes.
It must never give the parser anything behind what could not be read.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import _ErrInfo

from proxy.errors import HeaderTooLargeError, RelayError
from proxy.process.memory import Holding
from proxy.relay.concurrency import memory_full
from proxy.relay.request.framing import declared_length, unclear
from proxy.relay.request.request_line import check_beginning, check_request_line

if TYPE_CHECKING:
    from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
    from aiohttp.streams import StreamReader

    from proxy.process.memory import MemoryBudget

    Found = list[tuple[Any, StreamReader]]

CONNECT: Final = "CONNECT"  # what follows it is no request (RFC 9110 section 9.3.6)
MOST_HEAD: Final = 64 * 1024  # bytes of a head
STRANGERS_HEAD: Final = 8 * 1024  # bytes of a head, until a caller is known where each must be
# Empty lines in a chunked body, in one piece from the network, behind which its end is looked for: it costs time, and
# only a caller that sends requests at once, and such a body among them, is refused for it.
MOST_ENDS: Final = 64
_LINE_END: Final = b"\r\n"
_SECTION_END: Final = b"\r\n\r\n"  # of a head; of a chunked body too, since none ends without it
_BAD_REQUEST: Final = 400


class _Place(Enum):
    """Where the next byte belongs."""

    LINE = auto()  # to a request line, of which the parser has nothing yet
    HEAD = auto()
    SIZED = auto()  # to a body of declared length
    CHUNKED = auto()
    NOWHERE = auto()  # nothing is read any more


_IN_A_BODY: Final = frozenset((_Place.SIZED, _Place.CHUNKED))


class RequestStream:
    """The requests of one connection; stands in the place of its parser, and has the same methods.

    Args:
        parser: of the server.
        memory: counts what is held.

    Attributes:
        most_head: bytes of a head.
    """

    __slots__ = (
        "_counted", "_head", "_held", "_memory", "_owed", "_parser", "_paused", "_payload", "_place", "_seam", "_taken",
        "_waiting", "most_head",
    )  # fmt: skip

    def __init__(self, parser: HttpRequestParser, memory: MemoryBudget) -> None:
        self.most_head = MOST_HEAD
        self._parser = parser
        self._memory = memory
        self._head = 0  # bytes of the head that is read
        self._waiting = 0  # bytes of the request that waits to be taken, as far as the parser has them
        self._taken = 0  # of the one that was taken last
        self._counted = (0, 0)  # bytes of heads, and of what waits, that the budget has counted
        self._place = _Place.LINE
        self._held = b""
        self._seam = b""  # the last bytes given of a head or of a chunked body: its end may be parted
        self._owed = 0  # bytes that a body of declared length lacks
        self._payload: StreamReader = EMPTY_PAYLOAD
        self._paused = False  # whether the body's reader has enough for now

    @property
    def between(self) -> bool:
        """Whether whatever was read is whole requests, and the next byte begins another."""
        return self._place is _Place.LINE and not self._held

    @property
    def backlog(self) -> int:
        """Bytes of further requests that the parser has not got yet."""
        return 0 if self._place in _IN_A_BODY else len(self._held)

    def lost(self) -> None:
        """Forget all of it, and the parser, in a circle with which the connection would stay in memory."""
        self._held, self._head, self._waiting, self._taken = b"", 0, 0, 0
        self._place, self._payload = _Place.NOWHERE, EMPTY_PAYLOAD
        del self._parser
        self._count()

    def _count(self) -> None:
        now = self._head, self._waiting + self._taken + len(self._held)
        before, self._counted = self._counted, now
        self._memory.charge(Holding.HEADS, now[0] - before[0])
        self._memory.charge(Holding.PIPELINED, now[1] - before[1])

    # What aiohttp's server asks of a parser.

    def feed_data(self, data: bytes) -> tuple[Found, bool, bytes]:
        """Return the requests whose heads have come, and at the end what could not be read, if anything.

        Args:
            data: what came; empty when what was held back may go on.
        """
        found: Found = []
        if self._place is _Place.NOWHERE:
            return found, False, b""
        try:
            if data:
                self._held += data
            else:
                self._paused = False
                self._give(b"", found)
            self._go_on(found)
        except (HttpProcessingError, RelayError) as error:
            self._place, self._held = _Place.NOWHERE, b""
            error.with_traceback(None)  # whose frames hold what came, in a circle with the error
            found.append((_ErrInfo(status=_BAD_REQUEST, exc=error, message=""), EMPTY_PAYLOAD))
        self._count()
        return found, False, b""

    def message_consumed(self) -> None:
        """Note that a request is no longer waiting."""
        self._taken, self._waiting = self._waiting, 0
        self._count()
        self._parser.message_consumed()

    def request_over(self) -> None:
        """Note that nothing of the request that was taken last is held any more."""
        if self._taken:
            self._taken = 0
            self._count()

    def pause_reading(self) -> None:
        """Hold the body back."""
        self._paused = True
        self._parser.pause_reading()

    # How bytes are parted.

    def _go_on(self, found: Found) -> None:
        held, at, ends = self._held, 0, 0
        while at < len(held) and not self._paused:
            if self._place is _Place.LINE:
                at = _past_line_ends(held, at)
                if self._waiting or not _line_is_whole(held, at):
                    break
                self._place, self._seam = _Place.HEAD, b""
            if self._place is _Place.NOWHERE:
                at = len(held)
                break
            if self._place is _Place.SIZED:
                end = min(at + self._owed, len(held))
            else:
                ends += self._place is _Place.CHUNKED
                end = self._section_end(held, at, last=ends > MOST_ENDS)
            if self._place is _Place.HEAD:
                self._read_head(end - at)
            self._give(held[at:end], found)
            at = end
        self._held = held[at:]

    def _read_head(self, size: int) -> None:
        """Bound a head by its own size, and by the memory that all callers share."""
        self._head += size
        if self._head > self.most_head:
            detail = f"The request head is larger than {self.most_head} bytes, which is more than the sidecar accepts."
            raise HeaderTooLargeError(detail)
        if self._head > STRANGERS_HEAD and not self._memory.fits(self._head - self._counted[0]):
            raise memory_full()

    def _section_end(self, held: bytes, at: int, *, last: bool) -> int:
        """Return where a head, or perhaps a chunked body, ends, or else what is held; the latter if `last`."""
        seam, size = b"" if self._seam == _SECTION_END else self._seam, len(_SECTION_END)
        if last:
            self._seam = held[-size:]
            return len(held)
        begun = (seam + held[at : at + size - 1]).find(_SECTION_END)
        end = begun - len(seam) + at if begun >= 0 else held.find(_SECTION_END, at)
        if begun < 0 and end < 0:
            self._seam = (seam + held[at:])[1 - size :]
            return len(held)
        self._seam = _SECTION_END
        return end + size

    def _give(self, piece: bytes, found: Found) -> None:
        messages, upgraded, _ = self._parser.feed_data(piece)
        if upgraded:  # an offer of another protocol, or a tunnel, that is not accepted here
            self._parser.set_upgraded(False)
        head_ends = self._place is _Place.HEAD and self._seam == _SECTION_END
        if len(messages) != int(head_ends):
            raise unclear()
        if head_ends:
            self._waiting, self._head = self._head, 0
            found.extend(messages)
            self._begin_body(*messages[0])
        elif self._place in _IN_A_BODY:
            if self._waiting:
                self._waiting += len(piece)
            self._go_through_body(len(piece))

    def _begin_body(self, message: RawRequestMessage, payload: StreamReader) -> None:
        self._payload, self._seam = payload, b""
        self._owed = 0 if message.chunked else declared_length(message.raw_headers) or 0
        if message.method == CONNECT:
            self._place = _Place.NOWHERE
        elif message.chunked:
            self._place = _Place.CHUNKED
        else:
            self._place = _Place.SIZED if self._owed else _Place.LINE

    def _go_through_body(self, size: int) -> None:
        whole = self._payload.is_eof()
        if self._place is _Place.SIZED:
            self._owed -= size
            clear = whole == (self._owed == 0) or (self._paused and not whole)
        else:
            clear = not whole or self._seam == _SECTION_END
        if not clear:
            raise unclear()
        if whole:
            self._place, self._paused = _Place.LINE, False


def _past_line_ends(held: bytes, at: int) -> int:
    """Return where a request line begins: empty lines before it are ignored (RFC 9112 section 2.2)."""
    while held.startswith(_LINE_END, at):
        at += len(_LINE_END)
    return at


def _line_is_whole(held: bytes, at: int) -> bool:
    """Tell whether a line has come whole; raises if it is none of a request."""
    end = held.find(_LINE_END, at)
    if end < 0:
        check_beginning(held[at:])
        return False
    check_request_line(held[at:end])
    return True
