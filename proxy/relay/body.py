"""How is the caller's body taken: held, so that it can be sent again, or streamed?

Memory per call is bounded by the replay buffer; a caller that stalls is cut.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError

from proxy.errors import BadRequestError, BodyTooLargeError, SlowRequestError
from proxy.upstream.model import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.relay.arrival import Arrival
    from proxy.upstream.model import Body

_CONTENT_LENGTH: Final = b"content-length"


class CallerGoneError(Exception):
    """The caller's connection ended; nobody can be answered."""


class CallerBody:
    """The body of one request.

    Args:
        arrival: the request.
        limit: bytes that a body may have.
        hold: bytes up to which it is held.
        stall: seconds without a byte after which the caller is cut.

    Attributes:
        received: bytes of the body that have come.
        handed_on: whether more than the beginning of a stream was asked for, so that some of it may have been sent.
    """

    __slots__ = ("_arrival", "_declared", "_hold", "_limit", "_stall", "handed_on", "received")

    def __init__(self, arrival: Arrival, *, limit: int, hold: int, stall: float) -> None:
        self._arrival = arrival
        self._limit = limit
        self._hold = hold
        self._stall = stall
        self._declared = declared_length(arrival.headers)
        self.received = 0
        self.handed_on = False
        if self._declared is not None and self._declared > limit:
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
            return b"" if self._declared == 0 else None
        if self._declared is not None and self._declared > self._hold:
            return Stream(self._declared, self._rest(b""))
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
            self.handed_on = True
            piece = await self._piece()

    async def _piece(self) -> bytes:
        """Return what has come, after a bounded wait for anything; b"" at the end."""
        content = self._arrival.content
        try:
            if content.total_bytes == self.received and not content.is_eof():
                async with asyncio.timeout(self._stall):
                    piece = await content.readany()
            else:
                piece = await content.readany()
        except TimeoutError as error:
            detail = f"No byte of the request body came for {self._stall:g} s (PROXY_IDLE_TIMEOUT)."
            raise SlowRequestError(detail) from error
        except (RequestPayloadError, HttpProcessingError) as error:
            detail = "The request body is not framed as its head declares; send it again from the start."
            raise BadRequestError(detail) from error
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            raise CallerGoneError from error
        self.received += len(piece)
        if self.received > self._limit:
            raise self._too_large()
        return piece

    def _too_large(self) -> BodyTooLargeError:
        return BodyTooLargeError(f"The request body is larger than {self._limit} bytes (PROXY_MAX_REQUEST_BODY).")


def declared_length(headers: tuple[tuple[bytes, bytes], ...]) -> int | None:
    """Return the declared Content-Length, which the server's parser has found to be one plain number."""
    for name, value in headers:
        if len(name) == len(_CONTENT_LENGTH) and name.lower() == _CONTENT_LENGTH:
            return int(value)
    return None
