"""Takes the caller's body: held, so that it can be sent again, or streamed.

Memory per call is bounded by the replay buffer; a caller that stalls is cut. What counts is the time spent on waiting
for the caller alone, so that a slow Localpayment cuts no upload.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web import RequestPayloadError

from proxy.errors import BadRequestError, BodyTooLargeError, SlowRequestError
from proxy.http1.timeouts import timeout_at
from proxy.process.memory import Holding
from proxy.relay.concurrency import memory_full
from proxy.upstream.model import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp.base_protocol import BaseProtocol

    from proxy.config import Settings
    from proxy.process.memory import MemoryBudget
    from proxy.upstream.model import Body


# Bytes of a body that is held in any case, and not counted: the body of nearly every payment.
SMALL: Final = 4 * 1024
# Bytes that a streamed body holds at once, between the caller's socket and Localpayment's.
STREAMED: Final = 256 * 1024
_NEVER_FULL: Final = 1 << 62  # bytes; what may be held bounds such a body


class CallerGoneError(Exception):
    """The caller's connection ended; there is no one to answer."""


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
        settings: bound its bytes, and the time in which they must come.
        memory: counts what of it is held.
        now: a clock, in seconds.

    Raises:
        BodyTooLargeError: more is declared than may come.

    Attributes:
        received: bytes of the body that have come.
        waited: seconds spent on waiting for the caller.
    """

    __slots__ = (
        "_bound_by", "_charged", "_length", "_memory", "_now", "_settings", "_since", "_source", "_taken", "received",
        "waited",
    )  # fmt: skip

    def __init__(
        self,
        source: StreamReader,
        length: int | None,
        settings: Settings,
        memory: MemoryBudget,
        now: Callable[[], float],
    ) -> None:
        self._source = source
        self._length = length
        self._settings = settings
        self._memory = memory
        self._charged = 0
        self._bound_by = "PROXY_IDLE_TIMEOUT"
        self._now = now
        self.received = 0
        self.waited = 0.0
        self._since = now()
        self._taken: bytes | None = None
        if length is not None and length > settings.max_request_body:
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
        if self.received > SMALL:
            self._charge(self.received - self._charged)
        return self._taken

    def came(self, size: int) -> float:
        """Count bytes that have come without anyone having asked for them; return seconds until more must come.

        Raises:
            OverloadedError: they fit no more; others took the room while the body was coming.
        """
        if self._length is None or self._length > SMALL:
            if not self._memory.fits_body(size):
                raise memory_full()
            self._charge(size)
        self.waited = self._now() - self._since
        self.received += size
        return self._patience()

    def stalled(self) -> SlowRequestError:
        """Return what the caller gets when the body was not asked for, and no more of it comes."""
        self.waited, self.received = self._now() - self._since, self._source.total_bytes
        return self._too_slow()

    def release(self) -> None:
        """Hold it no more."""
        self._taken = None
        if self._charged:
            self._charge(-self._charged)

    def _charge(self, size: int) -> None:
        self._memory.charge(Holding.BODIES, size)
        self._charged += size

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
        if self.received:  # what `came` has counted is still in the source
            self._charge(-self._charged)
            self.received = 0
        held = self._length or 0
        if held > self._settings.replay_buffer or (held > SMALL and not self._memory.fits_body(held)):
            return self._stream([])
        pieces: list[bytes] = []
        while self.received <= self._settings.replay_buffer and (self.received <= SMALL or self._memory.fits_body(0)):
            piece = await self._piece()
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
            self._charge(len(piece))
        return self._stream(pieces)

    def _stream(self, begun: list[bytes]) -> Stream:
        """Give the body on as it comes, for it is too large to be held; that takes room as well."""
        if self._charged < STREAMED:
            if not self._memory.fits(STREAMED - self._charged):
                raise memory_full()
            self._charge(STREAMED - self._charged)
        return Stream(self._length, self._rest(b"".join(begun)))

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
        if self.received > self._settings.max_request_body:
            raise self._too_large()
        return piece

    def _patience(self) -> float:
        """Return the seconds within which more must come, and note the setting that says so."""
        settings, waited = self._settings, self.waited
        seconds, self._bound_by = settings.idle_timeout, "PROXY_IDLE_TIMEOUT"
        if settings.upload_timeout - waited < seconds:
            seconds, self._bound_by = settings.upload_timeout - waited, "PROXY_UPLOAD_TIMEOUT"
        rate = settings.upload_min_rate
        if rate and (left := settings.header_timeout + self.received / rate - waited) < seconds:
            seconds, self._bound_by = left, "PROXY_UPLOAD_MIN_RATE"
        return max(0.0, seconds)

    def _too_slow(self) -> SlowRequestError:
        """Return what the caller gets when no more has come in time."""
        settings = self._settings
        match self._bound_by:
            case "PROXY_UPLOAD_TIMEOUT":
                detail = f"The request body did not arrive within {settings.upload_timeout:g} s"
            case "PROXY_UPLOAD_MIN_RATE":
                detail = f"The request body came at less than {settings.upload_min_rate} bytes a second"
            case _:
                detail = f"No byte of the request body came for {settings.idle_timeout:g} s"
        return SlowRequestError(f"{detail} ({self._bound_by}).")

    def _too_large(self) -> BodyTooLargeError:
        """Return what the caller gets when more is declared, or comes, than may."""
        most = self._settings.max_request_body
        return BodyTooLargeError(f"The request body is larger than {most} bytes (PROXY_MAX_REQUEST_BODY).")

    async def _next(self) -> bytes:
        started = self._now()
        try:
            async with timeout_at(asyncio.get_running_loop().time() + self._patience()):
                return await self._source.readany()
        finally:
            self.waited += self._now() - started
