"""Relays calls: begins each, has it judged, sends it, and ends it in exactly one record.

Read `begin` downwards: a call whose body, token and connection are at hand is written at once; one that has to wait is
carried on by a task from that point. Each decision stands in a pure module. Whatever fails after a call's first byte,
it is never begun anew here.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from proxy.api.operations import OTHER, Match
from proxy.policy.rules import Mode
from proxy.relay import answering, ending
from proxy.relay.call import Call
from proxy.relay.judge import Judge
from proxy.relay.record import METHODS, OTHER_METHOD, Record
from proxy.relay.request.plain_request import Reader
from proxy.relay.request.request_fields import TRACEPARENT
from proxy.relay.request.trace_context import RANDOM_BITS, lineage, trace_id, uuid7
from proxy.relay.retry_rules import unknown
from proxy.relay.server.body import SMALL, CallerGoneError, body_in_pieces
from proxy.upstream.model import UpstreamFault, held
from proxy.upstream.request import PIECE

if TYPE_CHECKING:
    from collections.abc import Collection

    from aiohttp.streams import StreamReader

    from proxy.errors import RelayError
    from proxy.relay.attempts import Attempts
    from proxy.relay.intents import Intent, Intents
    from proxy.relay.parts import RelayParts
    from proxy.relay.request.plain_request import PlainRequest
    from proxy.relay.server.connection import CallerConnection
    from proxy.relay.server.incoming_request import IncomingRequest
    from proxy.relay.server.response import Written
    from proxy.tokens.model import AccessToken


class Relay:
    """The data plane.

    Args:
        parts: what all its calls share.
        attempts: the way to Localpayment.

    Attributes:
        parts, attempts: as given.
        judge: what every request has to pass.
        reader: reads requests that came whole.
        shedding: whether each answer ends its caller's connection, so that callers look for a successor.
    """

    def __init__(self, parts: RelayParts, attempts: Attempts) -> None:
        self.parts = parts
        self.attempts = attempts
        self.judge = Judge(parts)
        required = self.judge.entrance.required
        most_body = min(parts.settings.max_request_body, parts.settings.replay_buffer)
        self.reader = Reader(None if required is None else required[0], most_body=most_body)
        self.shedding = False

    # Where a call comes from

    def knows(self, connection: CallerConnection) -> bool:
        """Whether the connection alone tells of a caller, or none has to be known."""
        policy = self.parts.authorizer.policy
        return policy.mode is Mode.REPORT or policy.caller(connection.peer) is not None

    def share_among(self, peers: Collection[str]) -> None:
        """Note from where there are connections."""
        self.judge.share_among(peers)

    def begin(self, connection: CallerConnection, data: bytes) -> bool:
        """Carry the request that these bytes begin with; False, and nothing is done, if the parser must read them."""
        try:
            request = self.reader.read(data)
            if request is None:
                return False
            source = None
            if request.owed:
                if request.owed > SMALL and not self.parts.memory.fits_body(request.owed):
                    return False  # the parser lets it stream
                source = body_in_pieces(connection, request.body or b"")
                if len(request.body or b"") > PIECE:
                    request = request._replace(body=None)  # which would be kept as long as the call
            call = self._call(connection, request, source)
        except Exception as error:  # noqa: BLE001 - a defect here is no reason not to carry the call
            self.parts.failed(error)
            return False
        connection.begin(call)
        try:
            if not self.judge.admit(call):
                ending.end(call)
            elif source is not None:
                call.fed()
            else:
                self._go_on_at_once(call)
        except Exception as error:  # noqa: BLE001 - `end` tells them apart
            ending.end(call, error)
        return True

    def body_came(self, call: Call) -> None:
        """Go on with a call that waited for nothing but its body."""
        try:
            if call.body is not None:
                call.content = call.body.take_at_once()
            call.take_place()
            self._go_on_at_once(call)
        except Exception as error:  # noqa: BLE001 - `end` tells them apart
            ending.end(call, error)

    def _go_on_at_once(self, call: Call) -> None:
        """Send a call whose body is here, or let a task wait for what is missing."""
        self.judge.look_into_body(call)
        intents = self.parts.intents
        if intents is not None and call.effects:
            self._intend(call, intents).waited.add_done_callback(lambda _: self._intent_written(call))
        else:
            self._send_at_once(call)

    def _intent_written(self, call: Call) -> None:
        """Send a call that may have waited for its intent, unless it is over or a task carries it."""
        intent = call.intent
        if intent is None or intent.ended or call.task is not None:
            return
        try:
            intent.allow()
            self._send_at_once(call)
        except Exception as error:  # noqa: BLE001 - `end` tells them apart
            ending.end(call, error)

    def _send_at_once(self, call: Call) -> None:
        """Send a call if token and connection are at hand, and its body needs no wait for the socket."""
        body = call.content
        is_large = isinstance(body, bytes) and len(body) > PIECE
        if is_large or not self.attempts.send_at_once(call, partial(answering.answer_came, call)):
            call.hand_over()

    async def __call__(self, incoming: IncomingRequest) -> Written:
        """Relay one request that the server's parser has read."""
        request = self.reader.parsed(
            incoming.method, incoming.target, incoming.version, incoming.headers, last=incoming.should_close
        )
        call = self._call(incoming.connection, request, incoming.content)
        call.carried_by(asyncio.current_task())
        incoming.connection.begin(call)
        failure: BaseException | None = None
        try:
            if self.judge.admit(call):
                await self._go_on(call)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - `end` tells them apart
            failure = error
        ending.end(call, failure)
        if isinstance(failure, asyncio.CancelledError) and not call.gone:
            raise failure
        return call.writer.finished

    def unreadable(self, connection: CallerConnection, error: RelayError) -> None:
        """Refuse what could not be read as a request; the connection ends with it."""
        ending.refuse_unreadable(self.parts, connection, error)

    def _call(self, connection: CallerConnection, request: PlainRequest, source: StreamReader | None) -> Call:
        parts, method = self.parts, request.method
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

    # How it goes on when it has to wait

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
        ending.end(call, failure)

    def end(self, call: Call, failure: BaseException) -> None:
        """End a call with what stopped it."""
        ending.end(call, failure)

    def succeeded(self, call: Call) -> None:
        """Note a call whose answer was passed on at once, while there are doubts about tokens."""
        self.attempts.succeeded(call, call.record.status)

    def _intend(self, call: Call, intents: Intents) -> Intent:
        """Begin to write down that a call is about to be sent, unless that was begun."""
        if call.intent is None:
            if call.body is not None:
                call.connection.body_is_here()
            match, duplicates = call.match or Match(OTHER), self.parts.authorizer.policy.duplicates
            call.intent = intents.begin(call.record, match, held(call.content), duplicates.get(match.operation.name))
        return call.intent

    async def _go_on(self, call: Call) -> None:
        """Wait for what is missing, send the call, and pass the answer on."""
        if call.exchange is not None:
            await self.exchange(call, call.token)
            return
        attempts, body = self.attempts, call.body
        token = await attempts.token(call)
        if body is not None:
            if not body.arrived:
                if call.gone:  # before the server knew of the call, so that it has not ended the body
                    raise CallerGoneError
                if call.framing.waits:
                    call.writer.invite()
                call.content = await body.take()
                call.take_place()
                token = await attempts.token(call)
            else:
                call.content = await body.take()
            self.judge.look_into_body(call)
        call.take_place()
        if call.effects and self.parts.intents is not None:
            await self._intend(call, self.parts.intents).wait()
            token = await attempts.token(call)
        await self.exchange(call, token)

    async def exchange(self, call: Call, token: AccessToken | None) -> None:
        """Send the request, unless its first attempt was begun already, and pass the answer on."""
        answer, pieces = await self.attempts.send(call, token)
        try:
            async with answer:
                await answering.pass_on(call, answer, pieces)
        except UpstreamFault as fault:
            raise unknown(fault) from fault
        finally:
            call.spent(answer.timings)
