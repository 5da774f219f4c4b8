"""Composes a request's bytes, writes them onto a connection, and waits for the answer.

A request is written once, in order, and stops at the first sign of an answer or a fault; nothing here begins it again.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proxy.http1.framing import field_value, is_token
from proxy.upstream.answer import Answer
from proxy.upstream.model import BodyLengthError, FaultKind, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from proxy.upstream.connection import Connection
    from proxy.upstream.exchange import Exchange
    from proxy.upstream.model import Body, OutgoingRequest, Timings


PIECE: Final = 64 * 1024  # bytes of a held body that are handed to the socket at once: its backlog is a second copy
_TARGET: Final = re.compile(rb"/[\x21-\x7e\x80-\xff]*").fullmatch  # origin-form; what it means is not ours to judge
_OURS: Final = frozenset((b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade"))


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return fields as lines, each with its end; ValueError when one is no field, or is one that the pool writes."""
    lines = bytearray()
    for name, value in headers:
        if not is_token(name) or not field_value(value) or name.lower() in _OURS:
            message = "a header field is not valid HTTP, or is one that the pool writes itself"
            raise ValueError(message)
        lines += b"%b: %b\r\n" % (name, value)
    return bytes(lines)


def opening(call: OutgoingRequest, authority: bytes) -> bytes:
    """Return what is written first; ValueError when it would not begin one unambiguous request."""
    if not is_token(call.method) or call.method == b"CONNECT" or not _TARGET(call.target):
        message = "the method is not a token, or the target is not origin-form without white space and controls"
        raise ValueError(message)
    return compose(call.method, call.target, authority, call.lines, call.body)


def compose(method: bytes, target: bytes, authority: bytes, lines: bytes, body: Body) -> bytes:
    """Return a request's bytes from parts that were judged: the head, and the body if it is at hand whole."""
    if body is None:
        framing = b"\r\n"
    elif isinstance(body, bytes):
        framing = b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    elif body.length is None:
        framing = b"Transfer-Encoding: chunked\r\n\r\n"
    else:
        framing = b"Content-Length: %d\r\n\r\n" % body.length
    return b"".join((method, b" ", target, b" HTTP/1.1\r\nHost: ", authority, b"\r\n", lines, framing))


async def _in_pieces(body: bytes) -> AsyncIterator[memoryview]:
    whole = memoryview(body)
    for begin in range(0, len(body), PIECE):
        yield whole[begin : begin + PIECE]


class BodyFramer:
    """The framing of a streamed body: never more and never fewer bytes than were declared."""

    __slots__ = ("_left",)

    def __init__(self, length: int | None) -> None:
        if length is not None and length < 0:
            message = "a body cannot be shorter than nothing"
            raise ValueError(message)
        self._left = length

    @property
    def complete(self) -> bool:
        """Whether every declared byte was framed; never so for a chunked body, which only `end` completes."""
        return self._left == 0

    def frame(self, chunk: bytes | memoryview) -> bytes | memoryview:
        """Return the bytes that carry a chunk, none for an empty one."""
        if self._left is None:
            return b"%x\r\n%b\r\n" % (len(chunk), bytes(chunk)) if chunk else b""
        if len(chunk) > self._left:
            message = "the streamed body is longer than its declared length"
            raise BodyLengthError(message)
        self._left -= len(chunk)
        return chunk

    def end(self) -> bytes:
        """Return the bytes that end the body."""
        if self._left:
            message = "the streamed body is shorter than its declared length"
            raise BodyLengthError(message)
        return b"0\r\n\r\n" if self._left is None else b""


class Request:
    """The bytes of one call, piece by piece; `ended` once the last was given."""

    __slots__ = ("_chunks", "_framer", "_head", "ended", "method")

    def __init__(self, call: OutgoingRequest, authority: bytes) -> None:
        self.method = call.method
        if isinstance(call.body, bytes) and len(call.body) > PIECE:
            call = replace(call, body=Stream(len(call.body), _in_pieces(call.body)))
        self.ended = not isinstance(call.body, Stream)
        self._head = opening(call, authority)
        if isinstance(call.body, Stream):
            self._framer, self._chunks = BodyFramer(call.body.length), call.body.chunks

    async def piece(self) -> bytes | memoryview:
        """Return the next bytes to write, the head with the first of them; what the body's iterator raises passes."""
        head, self._head = self._head, b""
        if self.ended:
            return head
        framed: bytes | memoryview = b""
        while not framed and not self._framer.complete:
            try:
                framed = self._framer.frame(await anext(self._chunks))
            except StopAsyncIteration:
                self.ended = True
                return head + self._framer.end()
        self.ended = self._framer.complete
        return head + framed if head else framed


async def converse(connection: Connection, request: Request, opening: bytes | memoryview, timings: Timings) -> Answer:
    """Send one request on a usable connection; return its answer's head, or raise what stopped it."""
    exchange = connection.begin(request.method, timings)
    connection.write(exchange, opening, last=request.ended)
    sender = None if request.ended else asyncio.create_task(_send_rest(connection, exchange, request))
    return await answered(connection, exchange, sender)


async def answered(connection: Connection, exchange: Exchange, sender: asyncio.Task[None] | None = None) -> Answer:
    """Wait for the head of the answer to a request that was begun; return it, or raise what stopped it.

    Args:
        connection: that carries the exchange.
        exchange: of the request.
        sender: sends what is left of the request.
    """
    try:
        while exchange.parser.head is None and exchange.fault is None:
            await exchange.changed()
        if sender is not None and not sender.done():
            sender.cancel()
            await asyncio.wait((sender,))
    except asyncio.CancelledError:
        connection.fail(exchange, FaultKind.DISCONNECTED, "the call was given up")
        if sender is not None:
            sender.cancel()
        raise
    if exchange.fault is not None or exchange.parser.head is None:
        raise exchange.fault or AssertionError  # without a head there is a fault, which the type checker cannot know
    return Answer(connection, exchange, exchange.parser.head)


async def _send_rest(connection: Connection, exchange: Exchange, request: Request) -> None:
    try:
        while not request.ended:
            await connection.drained()
            piece = await request.piece()
            connection.write(exchange, piece, last=request.ended)
    except Exception as error:  # noqa: BLE001 - what the body's producer raises is raised to the caller of `send`
        connection.stop(exchange, error)
