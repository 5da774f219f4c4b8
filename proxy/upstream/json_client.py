"""Asks an HTTP API for a JSON document, on a connection of its own, bounded in time and size.

No redirect is followed, no environment's proxy is used, and nothing of an answer is ever quoted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.http1.timeouts import timeout_at
from proxy.upstream.model import Limits, OutgoingRequest
from proxy.upstream.pool import Pool

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from proxy.config import EgressProxy, Origin
    from proxy.upstream.answer import Answer

MAX_ANSWER: Final = 64 * 1024  # bytes; DESIGN section 5
_FIELDS: Final = b"Accept: application/json\r\nAccept-Encoding: identity\r\nUser-Agent: localpayment-proxy\r\n"
_CONTENT: Final = b"Content-Type: application/json\r\n"
_A_DAY: Final = 86_400.0  # seconds; a call is bounded as a whole, so no step of it has a bound that comes first
_LIMITS: Final = Limits(connect_timeout=_A_DAY, response_timeout=_A_DAY, idle_timeout=_A_DAY, max_connections=1)
_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32  # which of the two it is, the data tell


class ContentError(Exception):
    """An answer whose content is not read; the text says why."""


class JsonAnswer(NamedTuple):
    """An answer's status and header fields, and the content of a 200; the content of any other is not read."""

    status: int
    fields: Sequence[tuple[bytes, bytes]]
    content: bytes

    def __repr__(self) -> str:
        return object.__repr__(self)  # it may hold tokens


@contextlib.asynccontextmanager
async def connection_to(
    origin: Origin, tls: ssl.SSLContext | None, now: Callable[[], float], egress: EgressProxy | None = None
) -> AsyncIterator[Pool]:
    """Give a pool of one connection, which is closed at the block's end."""
    pool = Pool(origin, limits=_LIMITS, ssl_context=tls, egress=egress, now=now, chance=float)
    try:
        yield pool
    finally:
        await pool.close()


async def ask(  # noqa: PLR0913 - the parts of one call
    pool: Pool,
    method: bytes,
    path: str,
    document: object = None,
    *,
    lines: bytes = b"",
    seconds: float,
    sending: Callable[[], None] = lambda: None,
) -> JsonAnswer:
    """Make one call, with a JSON document if any, and further header lines; `sending` is told before the first byte.

    Raises:
        TimeoutError: it took longer than so many seconds.
        UpstreamFault: there is no whole answer.
        ContentError: the content is too large, or not coded in a way that is known.
    """
    body = None if document is None else json.dumps(document).encode()
    lines = _FIELDS + (_CONTENT if body is not None else b"") + lines
    call = OutgoingRequest(method, path.encode(), lines, body, effects=method != b"GET", sending=sending)
    async with timeout_at(asyncio.get_running_loop().time() + seconds), await pool.send(call) as answer:
        content = await _content(answer) if answer.status == HTTPStatus.OK else b""
    return JsonAnswer(answer.status, answer.headers, content)


def first_value(fields: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """Return the value of the first field of a name, which is given in lower case; None without one."""
    return next((value.decode("latin-1") for field, value in fields if field.lower() == name), None)


async def _content(answer: Answer) -> bytes:
    """Return the body without its content coding (RFC 9110 section 8.4); never make more bytes than may be."""
    body = bytearray()
    async for piece in answer:
        body += piece
        if len(body) > MAX_ANSWER:
            break
    coding = (first_value(answer.headers, b"content-encoding") or "identity").strip().lower()
    content = bytes(body) if coding == "identity" or len(body) > MAX_ANSWER else _decoded(bytes(body), coding)
    if len(content) > MAX_ANSWER:
        message = "is larger than 64 KiB"
        raise ContentError(message)
    return content


def _decoded(content: bytes, coding: str) -> bytes:
    decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        plain = decoder.decompress(content, MAX_ANSWER + 1)
    except zlib.error:
        plain = b""
    if coding not in {"gzip", "x-gzip", "deflate"} or not (decoder.eof or len(plain) > MAX_ANSWER):
        message = "has a content coding that cannot be undone"
        raise ContentError(message)
    return plain
