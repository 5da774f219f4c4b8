"""Makes the reads by which the ledger finds out what became of a call: with the relay's token, limits and connections.

It sends GETs of status reads only, each once.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from proxy.http1.proxied_fields import VIA
from proxy.ledger.settler import Reading
from proxy.tokens.issuer import http_date
from proxy.upstream.json_client import first_value
from proxy.upstream.model import OutgoingRequest, Progress, UpstreamFault

if TYPE_CHECKING:
    from proxy.relay.concurrency import ConcurrencyLimit
    from proxy.tokens.keeper import Keeper
    from proxy.upstream.pool import Pool

MOST: Final = 64 * 1024  # bytes of an answer that are read; a longer one tells nothing
LONGEST: Final = 100.0  # seconds of a read, so that none holds up the others; less than a claim on an entry lasts


class UpstreamStatusReads:
    """The way to Localpayment for the settler, which makes one read at a time."""

    def __init__(self, pool: Pool, tokens: Keeper, concurrency: ConcurrencyLimit, *, longest: float = LONGEST) -> None:
        self._pool = pool
        self._tokens = tokens
        self._concurrency = concurrency
        self._longest = longest
        self._refused: int | None = None  # generation of the first token that these reads were refused for lately

    @property
    def healthy(self) -> bool:
        """Whether a token is held, and no call of a caller would have to make room."""
        return self._concurrency.in_flight < self._concurrency.limit and self._tokens.current() is not None

    async def __call__(self, path: str) -> Reading | None:
        """Make the read; None when it could not be sent, or was refused for a token that another may do better than."""
        token = self._tokens.current()
        if token is None:
            return None
        lines = b"Accept: application/json\r\n%b\r\nAuthorization: %b\r\n" % (VIA, token.header)
        request = OutgoingRequest(b"GET", path.encode("ascii"), lines, None, effects=False)
        try:
            async with asyncio.timeout(self._longest):
                reading = await self._read(request)
        except UpstreamFault as fault:
            return None if fault.progress is Progress.NOTHING else Reading(0, b"")
        except TimeoutError:
            return Reading(0, b"")
        if reading.status != HTTPStatus.UNAUTHORIZED:
            self._refused = None
        elif self._refused in {None, token.generation}:
            self._refused = token.generation
            self._tokens.dispute(token.generation)
            return None
        return reading

    async def _read(self, request: OutgoingRequest) -> Reading:
        async with await self._pool.send(request) as answer:
            body = b""
            while answer.has_body and len(body) <= MOST:
                piece = await answer.read()
                if not piece:
                    break
                body += piece
            return Reading(answer.status, body, http_date(first_value(answer.headers, b"date")))
