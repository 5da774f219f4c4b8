"""Relays calls: judges each, sends it, passes the answer on, and ends it in exactly one record.

Read `begin` downwards: a call whose body, token and connection are at hand is written at once; one that has to wait is
carried on by a task from that point. Each decision stands in a pure module. Whatever fails after a call's first byte,
it is never begun anew here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from proxy.api.method_override import names_method
from proxy.api.target import read_target
from proxy.errors import BadRequestError, InternalError, RelayError
from proxy.policy.authorizer import check_release
from proxy.policy.identity import KEY_HEADER
from proxy.policy.rules import UNKNOWN, Mode
from proxy.process.memory import Holding
from proxy.relay.attempts import unknown
from proxy.relay.call import SAFE, Call
from proxy.relay.call_spans import lineage
from proxy.relay.concurrency import draining, memory_full
from proxy.relay.record import METHODS, OTHER_METHOD, Record
from proxy.relay.request.admission import Entrance
from proxy.relay.request.framing import request_framing
from proxy.relay.request.headers import (
    MESH_ATTEMPT,
    attempt_number,
    check_crossing,
    forwards_left,
    own_authorization,
    passed_on,
)
from proxy.relay.request.plain_request import Reader
from proxy.relay.request.request_fields import CONTENT, TRACEPARENT, pairs_of
from proxy.relay.request.request_line import WrongProtocolError
from proxy.relay.request.trace_context import RANDOM_BITS, trace_id, uuid7
from proxy.relay.response.problem import own_answer
from proxy.relay.response.token_echo import Echo
from proxy.relay.server.body import SMALL, CallerBody, CallerGoneError, body_in_pieces
from proxy.relay.server.body_bounds import BodyBounds
from proxy.upstream.model import UpstreamFault
from proxy.upstream.request import PIECE

if TYPE_CHECKING:
    from collections.abc import Collection

    from aiohttp.streams import StreamReader

    from proxy.policy.authorizer import Authorizer
    from proxy.policy.rules import Caller, Policy
    from proxy.relay.attempts import Attempts
    from proxy.relay.parts import RelayParts
    from proxy.relay.request.framing import Framing
    from proxy.relay.request.plain_request import PlainRequest
    from proxy.relay.server.connection import CallerConnection
    from proxy.relay.server.incoming_request import IncomingRequest
    from proxy.relay.server.response import Written
    from proxy.tokens.model import AccessToken
    from proxy.upstream.answer import Answer
    from proxy.upstream.model import Body


_METHOD_DETAIL: Final = (
    "The body has a member or field `_method`, which would override the method; send the request with the method meant."
)
ANSWER: Final = 256 * 1024  # bytes that must be left for the answer to a read
_UNCLEAR: Final = "The request cannot be read as HTTP/1.1 in exactly one way; nothing was sent."


class Relay:
    """The data plane.

    Args:
        parts: what all its calls share.
        attempts: the way to Localpayment.

    Attributes:
        shedding: whether each answer ends its caller's connection, so that callers look for a successor.
    """

    def __init__(self, parts: RelayParts, attempts: Attempts) -> None:
        self._parts = parts
        self._attempts = attempts
        self._settings = settings = parts.settings
        self._bounds = BodyBounds.of(settings)
        self._most_for_reads = parts.memory.limit - ANSWER
        self._divided_by: Policy | None = None
        self._peers: Collection[str] = ()
        self._entrance = Entrance(settings)
        required = self._entrance.required
        most_body = min(settings.max_request_body, settings.replay_buffer)
        self._reader = Reader(None if required is None else required[0], most_body=most_body)
        self.shedding = False

    @property
    def authorizer(self) -> Authorizer:
        """Who may call what."""
        return self._parts.authorizer

    # Where a call comes from

    def knows(self, connection: CallerConnection) -> bool:
        """Whether the connection alone tells of a caller, or none has to be known."""
        policy = self._parts.authorizer.policy
        return policy.mode is Mode.REPORT or policy.caller(connection.peer) is not None

    def begin(self, connection: CallerConnection, data: bytes) -> bool:
        """Carry the request that these bytes begin with; False, and nothing is done, if the parser must read them."""
        try:
            request = self._reader.read(data)
            if request is None:
                return False
            source = None
            if request.owed:
                if request.owed > SMALL and not self._parts.memory.fits_body(request.owed):
                    return False  # the parser lets it stream
                source = body_in_pieces(connection, request.body or b"")
                if len(request.body or b"") > PIECE:
                    request = request._replace(body=None)  # which would be kept as long as the call
            call = self._call(connection, request, source)
        except Exception as error:  # noqa: BLE001 - a defect here is no reason not to carry the call
            self._parts.failed(error)
            return False
        connection.begin(call)
        try:
            if not self._judge(call):
                self.end(call)
            elif source is not None:
                call.fed()
            else:
                self._go_on_at_once(call)
        except Exception as error:  # noqa: BLE001 - `end` tells them apart
            self.end(call, error)
        return True

    def body_came(self, call: Call) -> None:
        """Go on with a call that waited for nothing but its body."""
        try:
            if call.body is not None:
                call.content = call.body.take_at_once()
            call.take_place()
            self._go_on_at_once(call)
        except Exception as error:  # noqa: BLE001 - `end` tells them apart
            self.end(call, error)

    def _go_on_at_once(self, call: Call) -> None:
        """Send a call whose body is here, or let a task wait for what is missing."""
        self._look_into_body(call)
        intents = self._parts.intents
        if intents is not None and call.effects:
            call.intend(intents).waited.add_done_callback(lambda _: self._intent_written(call))
        elif _is_large(call.content) or not self._attempts.send_at_once(call):
            call.hand_over()

    def _intent_written(self, call: Call) -> None:
        """Send a call that may have waited for its intent, unless it is over or a task carries it."""
        intent = call.intent
        if intent is None or intent.ended or call.carried:
            return
        try:
            intent.allow()
            if _is_large(call.content) or not self._attempts.send_at_once(call):
                call.hand_over()
        except Exception as error:  # noqa: BLE001 - `end` tells them apart
            self.end(call, error)

    async def __call__(self, incoming: IncomingRequest) -> Written:
        """Relay one request that the server's parser has read."""
        request = self._reader.parsed(
            incoming.method, incoming.target, incoming.version, incoming.headers, last=incoming.should_close
        )
        call = self._call(incoming.connection, request, incoming.content)
        call.carried_by(asyncio.current_task())
        incoming.connection.begin(call)
        failure: BaseException | None = None
        try:
            if self._judge(call):
                await self._go_on(call)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - `end` tells them apart
            failure = error
        self.end(call, failure)
        if isinstance(failure, asyncio.CancelledError) and not call.gone:
            raise failure
        return call.writer.finished

    def unreadable(self, connection: CallerConnection, error: RelayError) -> None:
        """Refuse what could not be read as a request; the connection ends with it."""
        parts = self._parts
        if isinstance(error, WrongProtocolError):
            parts.wrong_protocol(error.came)
        identity = uuid7(int(parts.wall() * 1000), parts.bits(RANDOM_BITS))
        record = Record(identity, OTHER_METHOD, parts.now(), status=error.status, code=error.code)
        record.outcome = error.outcome
        head, body = own_answer(error, record, check=None, close=True)
        if connection.transport is not None and not connection.transport.is_closing():
            connection.transport.write(head + body)
        parts.observe(record)

    # What is done with it, in order

    def _call(self, connection: CallerConnection, request: PlainRequest, source: StreamReader | None) -> Call:
        parts, method = self._parts, request.method
        told, theirs = request.fields.told, request.fields.request_id
        record = Record(
            uuid7(int(parts.wall() * 1000), parts.bits(RANDOM_BITS)) if theirs is None else theirs.decode("ascii"),
            method if method in METHODS else OTHER_METHOD,
            parts.now(),
        )
        if parts.traced:
            record.lineage = lineage(told, parts.bits, parts.now)
        if record.lineage is not None:
            record.trace_id = record.lineage.trace_id
        elif TRACEPARENT in told:
            record.trace_id = trace_id(told)
        return Call(parts, connection, request, record, source, self)

    def _judge(self, call: Call) -> bool:
        """Let a call pass and give it a place; False if it was answered here, or raise its refusal."""
        parts, request, record, source = self._parts, call.request, call.record, call.source
        fields, method, connection = request.fields, request.method, call.connection
        told = fields.told
        policy = parts.authorizer.policy
        if policy is not self._divided_by:
            self._divide(policy)
        caller = policy.caller(connection.peer, told.get(KEY_HEADER, ()))
        record.caller = UNKNOWN if caller is None else caller.name
        if caller is not connection.caller:
            self._recognise(call, caller)
        if source is not None:  # else the reader has judged it
            call.framing = self._framing(call)
        call.lines = fields.lines
        call.target = self._entrance.admit(method, request.target, told, request.http_1_1)
        call.match = match = read_target(call.target, method)
        operation = match.operation
        call.effects = effects = operation.has_effects
        call.repeatable = not effects and method in SAFE
        record.operation = operation.name
        call.decision, record.policy = parts.authorizer.admit(caller, operation)
        if method == "OPTIONS" and not self._may_go_on(call):
            return False
        if fields.watched:
            check_crossing(told)
        if call.decision.own_authorization:
            call.own_authorization = own_authorization(told)
        if MESH_ATTEMPT in told and operation.moves_money:
            record.mesh_attempt = attempt_number(told)
        if connection.late:
            raise draining()
        self._find_room(call)
        return True

    def _find_room(self, call: Call) -> None:
        """Give a call a place, or see that there is one for when its body is whole, or streams."""
        parts, source, effects, body = self._parts, call.source, call.effects, call.request.body
        if not effects and parts.memory.used > self._most_for_reads:
            raise memory_full()
        if source is None:
            parts.concurrency.enter(call.party, effects=effects)
            call.placed = True
            if body is not None:
                call.record.request_bytes = size = len(body)
                if size > SMALL:
                    parts.memory.charge(Holding.BODIES, size)
                    call.charged = size
        else:
            length = call.framing.length
            call.body = CallerBody(source, length, self._bounds, parts.memory, parts.now)
            if length is None or length > SMALL:  # else all of it is here soon
                parts.concurrency.check(call.party, effects=effects)

    def _recognise(self, call: Call, caller: Caller | None) -> None:
        call.connection.recognise(caller)
        call.party = call.connection.party

    def _divide(self, policy: Policy) -> None:
        """Share the places among the policy's callers, or among peers where it names none."""
        self._divided_by = policy
        names = [caller.name for caller in policy.callers if not caller.identity.anyone]
        self._parts.concurrency.divide(names or self._peers)

    def share_among(self, peers: Collection[str]) -> None:
        """Note from where there are connections."""
        self._peers = peers
        self._divided_by = None

    def _framing(self, call: Call) -> Framing:
        """Judge the framing of a request whose body comes from the parser, or in pieces."""
        try:
            if not call.request.fields.clear:
                raise BadRequestError(_UNCLEAR)
            return request_framing(call.request.version, call.request.fields.told)
        except RelayError:
            call.writer.last = True  # where such a request ends cannot be said
            raise

    def _may_go_on(self, call: Call) -> bool:
        """Count an OPTIONS request down; False if it was answered here, as its last recipient."""
        left = forwards_left(call.request.method, call.request.fields.told)
        if left == 0:
            call.answer_options()
            return False
        if left is not None:
            call.lines = passed_on(call.lines, left)
        return True

    def _look_into_body(self, call: Call) -> None:
        """Judge what could not be judged without the body."""
        content = call.content if isinstance(call.content, bytes) else None
        if content is not None and names_method(content):
            raise BadRequestError(_METHOD_DETAIL)
        if call.decision.by_id_only:
            check_release(call.decision, pairs_of(call.request.fields.told, CONTENT), call.target, content)
        if call.match is not None and self._parts.fingerprint is not None:
            call.record.subject = self._parts.subject(call.match, content)

    async def carry(self, call: Call) -> None:
        """See a call to its end that has to wait."""
        call.carried_by(asyncio.current_task())
        failure: BaseException | None = None
        try:
            if call.gone:
                call.caller_left()
            await self._go_on(call)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - `end` tells them apart
            failure = error
        self.end(call, failure)

    def succeeded(self, call: Call) -> None:
        """Note a call whose answer was passed on at once, while there are doubts about tokens."""
        self._attempts.succeeded(call, call.record.status)

    async def _go_on(self, call: Call) -> None:
        """Wait for what is missing, send the call, and pass the answer on."""
        if call.begun is not None:
            await self._exchange(call, call.token)
            return
        attempts, body = self._attempts, call.body
        token = await attempts.token(call)
        if body is not None:
            if not body.arrived:
                if call.framing.waits:
                    call.writer.invite()
                call.content = await body.take()
                call.take_place()
                token = await attempts.token(call)
            else:
                call.content = await body.take()
            self._look_into_body(call)
        call.take_place()
        if call.effects and self._parts.intents is not None:
            await call.intend(self._parts.intents).wait()
            token = await attempts.token(call)
        await self._exchange(call, token)

    async def _exchange(self, call: Call, token: AccessToken | None) -> None:
        """Send the request, unless its first attempt was begun already, and pass the answer on."""
        answer, pieces = await self._attempts.send(call, token)
        try:
            async with answer:
                await self._pass_on(call, answer, pieces)
        except UpstreamFault as fault:
            raise unknown(fault) from fault
        finally:
            call.spent(answer.timings)

    async def _pass_on(self, call: Call, answer: Answer, pieces: list[bytes]) -> None:
        writer, record, settings = call.writer, call.record, self._settings
        call.answered(answer.status)
        token = None if call.token is None else call.token.header.partition(b" ")[2]
        echo = Echo(token, masked=settings.redact_echoes)
        try:
            timing = call.timing(answer.timings) if settings.server_timing else None
            composed = self._parts.heads.compose(echo.head(answer.head), record.request_id, timing=timing)
            if call.intent is not None:
                composed += call.intent.duplicate_of
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

    def end(self, call: Call, failure: BaseException | None = None) -> None:
        """End a call: one answer unless the caller has left, one record."""
        match failure:
            case None:
                pass
            case RelayError():
                call.refuse(failure)
            case CallerGoneError():
                call.lost()
            case asyncio.CancelledError():
                if call.gone:
                    call.lost()
                else:
                    call.interrupted()
            case _:
                self._parts.failed(failure)
                call.refuse(InternalError("The sidecar failed on this call; its log has the reason."))
        call.finish(call.writer.last, call.writer.lingers)
        while failure is not None:  # its frames hold it, and the call: the circle would stay in memory
            failure.__traceback__ = None
            failure = failure.__cause__ or failure.__context__


def _is_large(content: Body) -> bool:
    """Whether a held body is written in pieces, by a task that waits for the socket."""
    return isinstance(content, bytes) and len(content) > PIECE
