"""Ends a call: with one answer unless its caller has left, and with one record.

Whatever fails here, a call that has begun is over afterwards: its caller has an answer or a reset, its place is free.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.api.external_id import check_path_of
from proxy.errors import InternalError, Outcome, RelayError
from proxy.relay.record import OTHER_METHOD, Record
from proxy.relay.request.request_line import WrongProtocolError
from proxy.relay.request.trace_context import RANDOM_BITS, uuid7
from proxy.relay.response.problem import own_answer
from proxy.relay.server.body import CallerGoneError
from proxy.upstream.model import held

if TYPE_CHECKING:
    from proxy.relay.call import Call
    from proxy.relay.parts import RelayParts
    from proxy.relay.server.connection import CallerConnection


def end(call: Call, failure: BaseException | None = None) -> None:
    """End a call: with its answer, or with what stopped it."""
    try:
        _conclude(call, failure)
    except Exception as error:  # noqa: BLE001 - a defect must not leave the caller without an answer
        _last_resort(call, error)
    finish(call, call.writer.last, call.writer.lingers)
    while failure is not None:  # its frames hold it, and the call: the circle would stay in memory
        failure.__traceback__ = None
        failure = failure.__cause__ or failure.__context__


def _conclude(call: Call, failure: BaseException | None) -> None:
    match failure:
        case None:
            pass
        case RelayError():
            _refuse(call, failure)
        case CallerGoneError():
            _lost(call)
        case asyncio.CancelledError():
            if call.gone:
                _lost(call)
            else:
                _interrupted(call)
        case _:
            call.parts.failed(failure)
            _refuse(call, _internal())


def _internal() -> InternalError:
    return InternalError("The sidecar failed on this call; its log has the reason.")


def _last_resort(call: Call, defect: Exception) -> None:
    """Answer with as little as can be after a defect in answering; reset the connection if even that fails."""
    try:
        call.parts.failed(defect)
        _refuse(call, _internal(), bare=True)
    except Exception:  # noqa: BLE001 - the first defect was told
        _interrupted(call)


def _refuse(call: Call, error: RelayError, *, bare: bool = False) -> None:
    """Give an answer of our own, `bare` with nothing in it that is looked up; end visibly one that has begun."""
    record, writer = call.record, call.writer
    if call.sent and error.outcome is Outcome.REJECTED:
        error.outcome = Outcome.UNKNOWN
    record.code = error.code
    if writer.begun:
        record.outcome = Outcome.ABORTED
        writer.abort()
        return
    record.outcome = error.outcome
    record.status = 0 if call.gone else error.status
    writer.last = writer.last or not call.request.http_1_1
    check = None if bare else _check(call, error)
    head, body = own_answer(error, record, check=check, close=writer.settle())
    if call.intent is not None and not bare:
        head = head.removesuffix(b"\r\n") + call.intent.duplicate_of + b"\r\n"
    writer.whole(head, body)


def _check(call: Call, error: RelayError) -> str | None:
    """Return the path of the read that settles an unknown outcome; None when the id is not known."""
    if call.match is None or not call.effects or error.outcome is not Outcome.UNKNOWN:
        return None
    return check_path_of(call.match, held(call.content) if call.parts.settings.check_from_body else None)


def _lost(call: Call) -> None:
    """Note what became of a call whose caller went away, or took no more of the answer."""
    record = call.record
    if not call.sent:
        record.outcome, record.status = Outcome.NOT_SENT, 0
    elif not call.effects:
        record.outcome = Outcome.ABORTED
    elif record.outcome is Outcome.ANSWERED:
        record.outcome = Outcome.ORPHANED
    else:
        record.outcome = Outcome.UNKNOWN
    call.writer.abort()


def _interrupted(call: Call) -> None:
    """Note what became of a call that the end of the sidecar itself cut short."""
    if call.writer.begun:
        call.record.outcome = Outcome.ABORTED
    else:
        call.record.outcome = Outcome.UNKNOWN if call.sent else Outcome.NOT_SENT
        call.record.status = 0
    call.writer.abort()


def finish(call: Call, last: bool, linger: bool = False) -> None:  # noqa: FBT001, FBT002 - called for each call
    """Give the place back, complete the record and tell of it, and let the connection go on.

    Args:
        call: that is over.
        last: whether the connection ends with it.
        linger: whether the caller may still be sending, and needs time to read its answer.
    """
    parts, record, body, writer = call.parts, call.record, call.body, call.made_writer
    try:
        record.total_seconds = parts.now() - record.started
        if body is not None:
            record.request_bytes = body.received
            record.caller_seconds = body.waited
        if body is not None or call.charged:
            call.let_go()
        if writer is not None:
            record.response_bytes = writer.sent
            record.caller_seconds += writer.waited
        if call.placed:
            call.placed = False
            parts.concurrency.leave(call.party, effects=call.effects)
        if call.intent is not None:
            call.intent.end(record, parts.wall())
        parts.observe(record)
    except Exception as error:  # noqa: BLE001 - who looks on must not fail what it looks on
        parts.failed(error)
    finally:
        call.connection.finish(last, linger)


def refuse_unreadable(parts: RelayParts, connection: CallerConnection, error: RelayError) -> None:
    """Refuse what could not be read as a request, raising nothing; the connection ends with it."""
    try:
        identity = uuid7(int(parts.wall() * 1000), parts.bits(RANDOM_BITS))
        record = Record(identity, OTHER_METHOD, parts.now(), status=error.status, code=error.code)
        record.outcome = error.outcome
        head, body = own_answer(error, record, check=None, close=True)
        if connection.transport is not None and not connection.transport.is_closing():
            connection.transport.write(head + body)
        parts.observe(record)
        if isinstance(error, WrongProtocolError):
            parts.wrong_protocol(error.came)
    except Exception as defect:  # noqa: BLE001 - its caller must be free to end the connection
        parts.failed(defect)
