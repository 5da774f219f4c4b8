"""How is the caller's body taken: held, so that it can be sent again, or streamed?

Memory per call is bounded by the replay buffer; a caller that stalls is cut.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError

from proxy.errors import BadRequestError, BodyTooLargeError, SlowRequestError
from proxy.upstream.model import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from proxy.relay.server.incoming_request import IncomingRequest
    from proxy.upstream.model import Body


class CallerGoneError(Exception):
    """The caller's connection ended; nobody can be answered."""


class CallerBody:
    """The body of one request.

    Args:
        arrival: the request.
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

    __slots__ = ("_arrival", "_hold", "_length", "_limit", "_now", "_stall", "received", "waited")

    def __init__(  # noqa: PLR0913 - a request, its length and four limits of ours, each named at the call
        self,
        arrival: IncomingRequest,
        *,
        length: int | None,
        limit: int,
        hold: int,
        stall: float,
        now: Callable[[], float],
    ) -> None:
        self._arrival = arrival
        self._length = length
        self._limit = limit
        self._hold = hold
        self._stall = stall
        self._now = now
        self.received = 0
        self.waited = 0.0
        if length is not None and length > limit:
            raise self._too_large()

    @property
    def arrived(self) -> bool:
        """Whether taking it will not wait for the caller."""
        return not self._arrival.has_body or self._arrival.content.is_eof()

    async def take(self) -> Body:
        """Return the whole body, or a stream of it when it is too large to hold or of unknown length and not small.

        Raises:
            BodyTooLargeError, SlowRequestError, BadRequestError: as for the stream's iterator.
            CallerGoneError: the caller's connection ended.
        """
        if not self._arrival.has_body:
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
        content = self._arrival.content
        try:
            if content.total_bytes == self.received and not content.is_eof():
                piece = await self._next()
            else:
                piece = await content.readany()
        except TimeoutError as error:
            detail = f"No byte of the request body came for {self._stall:g} s (PROXY_IDLE_TIMEOUT)."
            raise SlowRequestError(detail) from error
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
            async with asyncio.timeout(self._stall):
                return await self._arrival.content.readany()
        finally:
            self.waited += self._now() - started

    def _too_large(self) -> BodyTooLargeError:
        return BodyTooLargeError(f"The request body is larger than {self._limit} bytes (PROXY_MAX_REQUEST_BODY).")
