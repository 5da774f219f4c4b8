"""How do a call's bytes get onto a connection, and who waits for the answer?

A request is written once, in order, and stops at the first sign of an answer or a fault; nothing here begins it again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.upstream.answer import Answer
from proxy.upstream.framing import BodyFramer, request_head
from proxy.upstream.model import FaultKind, Stream

if TYPE_CHECKING:
    from proxy.upstream.connection import Connection
    from proxy.upstream.model import Call, Exchange
    from proxy.upstream.turn import Turn


class Request:
    """The bytes of one call, piece by piece; `ended` once the last was given."""

    __slots__ = ("_chunks", "_framer", "_head", "ended", "method")

    def __init__(self, call: Call, authority: bytes) -> None:
        self.method = call.method
        self.ended = not isinstance(call.body, Stream)
        self._head = request_head(call, authority)
        match call.body:
            case Stream(length, chunks):
                self._framer, self._chunks = BodyFramer(length), chunks
            case bytes() as body:
                self._head += body
            case None:
                pass

    async def piece(self) -> bytes:
        """Return the next bytes to write, the head with the first of them; what the body's iterator raises passes."""
        head, self._head = self._head, b""
        if self.ended:
            return head
        framed = b""
        while not framed and not self._framer.complete:
            try:
                framed = self._framer.frame(await anext(self._chunks))
            except StopAsyncIteration:
                self.ended = True
                return head + self._framer.end()
        self.ended = self._framer.complete
        return head + framed


async def converse(connection: Connection, request: Request, opening: bytes, exchange: Exchange) -> Answer:
    """Send one request on a usable connection; return its answer's head, or raise what stopped it."""
    turn = connection.begin(request.method, exchange)
    connection.write(turn, opening, last=request.ended)
    sender = None if request.ended else asyncio.create_task(_send_rest(connection, turn, request))
    return await answered(connection, turn, sender)


async def answered(connection: Connection, turn: Turn, sender: asyncio.Task[None] | None = None) -> Answer:
    """Wait for the head of the answer to a request that was begun; return it, or raise what stopped it.

    Args:
        connection: that carries the turn.
        turn: of the request.
        sender: sends what is left of the request.
    """
    try:
        while turn.parser.head is None and turn.fault is None:
            await turn.changed()
        if sender is not None and not sender.done():
            sender.cancel()
            await asyncio.wait((sender,))
    except asyncio.CancelledError:
        connection.fail(turn, FaultKind.DISCONNECTED, "the call was given up")
        if sender is not None:
            sender.cancel()
        raise
    if turn.fault is not None or turn.parser.head is None:
        raise turn.fault or AssertionError  # without a head there is a fault, which the type checker cannot know
    return Answer(connection, turn, turn.parser.head)


async def _send_rest(connection: Connection, turn: Turn, request: Request) -> None:
    try:
        while not request.ended:
            await connection.drained()
            piece = await request.piece()
            connection.write(turn, piece, last=request.ended)
    except Exception as error:  # noqa: BLE001 - whatever the body's producer raises belongs to the one who sends it
        connection.stop(turn, error)
