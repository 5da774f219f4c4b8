"""Takes the caller's body: held, so that it can be sent again, or streamed.

Memory per call is bounded by the replay buffer; a caller that stalls is cut.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web import RequestPayloadError

from proxy.errors import BadRequestError, BodyTooLargeError, SlowRequestError
from proxy.http1.timeouts import timeout_at
from proxy.upstream.model import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp.base_protocol import BaseProtocol

    from proxy.upstream.model import Body


_NEVER_FULL: Final = 1 << 62  # bytes; what may be held bounds such a body


class CallerGoneError(Exception):
    """The caller's connection ended; nobody can be answered."""


def body_in_pieces(connection: BaseProtocol, begun: bytes) -> StreamReader:
    """Return what gives a body of which the beginning has come; the rest is fed to it, and held."""
    source = StreamReader(connection, _NEVER_FULL, loop=asyncio.get_running_loop())
    source.feed_data(begun)
    return source


class CallerBody:
    """The body of one request.

    Args:
        source: where it comes from.
        length: its declared length, None without one.
        limit: bytes that a body may have.
        hold: bytes up to which it is held.
        stall: seconds without a byte after which the caller is cut.
        now: a clock, in seconds.

    Raises:
        BodyTooLargeError: more is declared than may come.

    Attributes:
        received: bytes of the body that have come.
        waited: seconds spent on waiting for the caller.
    """

    __slots__ = ("_hold", "_length", "_limit", "_now", "_since", "_source", "_stall", "_taken", "received", "waited")

    def __init__(  # noqa: PLR0913 - a request, its length and four limits of ours, each named at the call
        self,
        source: StreamReader,
        *,
        length: int | None,
        limit: int,
        hold: int,
        stall: float,
        now: Callable[[], float],
    ) -> None:
        self._source = source
        self._length = length
        self._limit = limit
        self._hold = hold
        self._stall = stall
        self._now = now
        self.received = 0
        self.waited = 0.0
        self._since = now()
        self._taken: bytes | None = None
        if length is not None and length > limit:
            raise self._too_large()

    @property
    def arrived(self) -> bool:
        """Whether taking it will not wait for the caller."""
        return self._source.is_eof()

    def take_at_once(self) -> bytes:
        """Return a body that has come whole, in pieces, without anyone having asked for it before."""
        self.waited = self._now() - self._since
        self._taken = self._source.read_nowait()
        self.received = len(self._taken)
        return self._taken

    def stalled(self) -> SlowRequestError:
        """Return what the caller gets when nobody has asked for the body, and no more of it comes."""
        self.waited, self.received = self._now() - self._since, self._source.total_bytes
        return self._too_slow()

    async def take(self) -> Body:
        """Return the whole body, or a stream of it when it is too large to hold or of unknown length and not small.

        Raises:
            BodyTooLargeError, SlowRequestError, BadRequestError: as for the stream's iterator.
            CallerGoneError: the caller's connection ended.
        """
        if self._taken is not None:
            return self._taken
        if self._source is EMPTY_PAYLOAD:
            return b"" if self._length == 0 else None
        if self._length is not None and self._length > self._hold:
            return Stream(self._length, self._rest(b""))
        pieces: list[bytes] = []
        while self.received <= self._hold:
            piece = await self._piece()
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
        return Stream(None, self._rest(b"".join(pieces)))

    async def _rest(self, begun: bytes) -> AsyncIterator[bytes]:
        piece = begun or await self._piece()
        while piece:
            yield piece
            piece = await self._piece()

    async def _piece(self) -> bytes:
        """Return what has come, after a bounded wait for anything; b"" at the end."""
        content = self._source
        try:
            if content.total_bytes == self.received and not content.is_eof():
                piece = await self._next()
            else:
                piece = await content.readany()
        except TimeoutError as error:
            raise self._too_slow() from error
        except (RequestPayloadError, HttpProcessingError) as error:
            detail = "The request body is not framed as its head declares; send it again from the start."
            raise BadRequestError(detail) from error
        except ConnectionError as error:
            raise CallerGoneError from error
        self.received += len(piece)
        if self.received > self._limit:
            raise self._too_large()
        return piece

    async def _next(self) -> bytes:
        started = self._now()
        try:
            async with timeout_at(asyncio.get_running_loop().time() + self._stall):
                return await self._source.readany()
        finally:
            self.waited += self._now() - started

    def _too_slow(self) -> SlowRequestError:
        return SlowRequestError(f"No byte of the request body came for {self._stall:g} s (PROXY_IDLE_TIMEOUT).")

    def _too_large(self) -> BodyTooLargeError:
        return BodyTooLargeError(f"The request body is larger than {self._limit} bytes (PROXY_MAX_REQUEST_BODY).")
