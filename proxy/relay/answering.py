"""Passes Localpayment's answers on, each to the caller of its call.

A call that waits for nothing but its answer is carried by no task: `answer_came` passes the answer on in the turn in
which it is here whole. An answer that has begun is never followed by another.
"""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from proxy.errors import Outcome
from proxy.http1.framing import Ending
from proxy.relay.ending import finish
from proxy.relay.response.head import CLOSES, KEEPS
from proxy.relay.response.problem import options_head
from proxy.relay.response.token_echo import LOOKED_AT, Echo

if TYPE_CHECKING:
    from proxy.relay.call import Call
    from proxy.upstream.answer import Answer
    from proxy.upstream.exchange import Exchange
    from proxy.upstream.model import Timings

# A 401 or 403 may be about our token, which must be looked into.
_LOOKED_INTO: Final = frozenset((HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN))
# Names for what each call asks for: an enumeration looks its members up each time.
_ANSWERED: Final = Outcome.ANSWERED
_WITH_LENGTH, _WITHOUT_BODY = Ending.LENGTH, Ending.HEAD


def answer_came(call: Call) -> None:
    """Pass the answer on if it is here whole, and nothing has to be waited for or looked into."""
    exchange, last = call.exchange, call.request.last or call.carrier.shedding
    if exchange is None or not exchange.over:
        call.hand_over()
        return
    try:
        answer = _whole_answer(call, exchange, last)
    except Exception as error:  # noqa: BLE001 - a defect must not leave the caller without an answer
        call.parts.failed(error)
        answer = None
    transport = call.connection.transport
    if answer is None or transport is None or transport.is_closing() or transport.get_write_buffer_size():
        call.hand_over()
        return
    transport.write(answer)
    if transport.is_closing():  # the write found the caller gone
        call.hand_over()
    else:
        _passed_on(call, exchange, last)


def _whole_answer(call: Call, exchange: Exchange, last: bool) -> bytes | None:  # noqa: FBT001 - called for each call
    """Return what the caller gets; None if that must be waited for, or looked into."""
    head, token, pieces = exchange.parser.head, call.token, exchange.pieces
    if head is None or token is None or exchange.fault is not None:
        return None
    ending = head.framing.ending
    if (ending is not _WITH_LENGTH and ending is not _WITHOUT_BODY) or len(pieces) > 1 or head.status in _LOOKED_INTO:
        return None
    secret, parts = token.header.partition(b" ")[2], call.parts
    heads = parts.heads
    if head not in heads.known and any(secret in value for _, value in head.headers):
        return None
    timing = _timing(call, exchange.timings) if parts.settings.server_timing else None
    repeats = b"" if call.intent is None else call.intent.duplicate_of
    answer = heads.compose(head, call.record.request_id, timing, repeats, CLOSES if last else KEEPS, *pieces)
    return None if len(answer) > LOOKED_AT or secret in answer else answer


def _passed_on(call: Call, exchange: Exchange, last: bool) -> None:  # noqa: FBT001 - called for each call
    exchange.watcher = None  # which holds the call, so that only the collector would free the two
    record, head = call.record, exchange.parser.head
    record.status, record.outcome = 0 if head is None else head.status, _ANSWERED
    try:
        call.spent(exchange.timings)
        if exchange.pieces:
            record.response_bytes = len(exchange.pieces[0])
        if call.parts.refusals.doubts:
            call.carrier.succeeded(call)
    finally:
        finish(call, last)


async def pass_on(call: Call, answer: Answer, pieces: list[bytes]) -> None:
    """Pass an answer on as it comes; `pieces` were read of its body already."""
    writer, record, parts = call.writer, call.record, call.parts
    record.status, record.outcome = answer.status, _ANSWERED
    token = None if call.token is None else call.token.header.partition(b" ")[2]
    echo = Echo(token, masked=parts.settings.redact_echoes)
    try:
        timing = _timing(call, answer.timings) if parts.settings.server_timing else None
        repeats = b"" if call.intent is None else call.intent.duplicate_of
        composed = parts.heads.compose(echo.head(answer.head), record.request_id, timing, repeats)
        writer.begin(composed, body=answer.has_body, length=answer.length)
        call.let_go()
        for piece in pieces:
            await writer.write(echo.piece(piece), complete=answer.complete)
        while answer.has_body:
            if answer.waiting:
                writer.flush()
            piece = await answer.read()
            if not piece:
                break
            await writer.write(echo.piece(piece), complete=answer.complete)
        await writer.write(echo.rest(), complete=True)
        writer.end()
    finally:
        record.echoed = echo.found


def _timing(call: Call, timings: Timings) -> bytes:
    """Return what a Server-Timing field tells of the time until an answer began (W3C Server Timing section 2)."""
    waited, meanwhile = (0.0, 0.0) if call.body is None else (call.body.waited, call.body.waited - call.waited_before)
    provider = call.record.upstream_seconds + (timings.first_byte_seconds or 0.0) - meanwhile
    own = call.parts.now() - call.record.started - provider - waited
    return b"own;dur=%.1f, localpayment;dur=%.1f" % (max(own, 0.0) * 1000, max(provider, 0.0) * 1000)


def answer_options(call: Call) -> None:
    """Answer an OPTIONS request as its last recipient; nothing is sent."""
    call.record.status = HTTPStatus.NO_CONTENT.value
    date, close = formatdate(usegmt=True), call.writer.settle()
    call.writer.whole(options_head(request_id=call.record.request_id, date=date, close=close), b"")
