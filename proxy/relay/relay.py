"""What happens to one request, from its head to the last byte of its answer?

Read `_carry` downwards. Each decision stands in a pure module; here they are carried out in order, and every request
ends in exactly one record. What is ordinary in every way goes express; see there.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from proxy.api.method_override import names_method
from proxy.api.target import read_target
from proxy.errors import BadRequestError, InternalError, RelayError
from proxy.policy.authorizer import check_release
from proxy.policy.rules import UNKNOWN
from proxy.relay.attempts import unknown
from proxy.relay.call import Passage, own_answer
from proxy.relay.call_spans import lineage
from proxy.relay.concurrency import draining
from proxy.relay.express import Express
from proxy.relay.record import METHODS, OTHER_METHOD, Record
from proxy.relay.request.entrance import Entrance
from proxy.relay.request.framing import request_framing
from proxy.relay.request.headers import own_authorization
from proxy.relay.request.max_forwards import forwards_left, passed_on
from proxy.relay.request.mesh_attempt import attempt_number
from proxy.relay.request.request_line import WrongProtocolError
from proxy.relay.response_fields import headers_to_caller
from proxy.relay.server.body import CallerBody, CallerGoneError
from proxy.relay.server.incoming_request import HeldRequest
from proxy.relay.server.response import ResponseWriter
from proxy.relay.token_echo import Echo
from proxy.relay.trace_context import request_id, trace_id
from proxy.upstream.model import UpstreamFault, held

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from proxy.policy.authorizer import Authorizer
    from proxy.policy.rules import Decision
    from proxy.relay.parts import RelayParts
    from proxy.relay.request.framing import Framing
    from proxy.relay.ride import Ride
    from proxy.relay.server.connection import CallerConnection
    from proxy.relay.server.incoming_request import IncomingRequest
    from proxy.relay.server.response import Written
    from proxy.tokens.model import AccessToken
    from proxy.upstream.answer import Answer


_METHOD_DETAIL: Final = (
    "The body has a member or field `_method`, which would override the method; send the request with the method meant."
)


class Relay:
    """The data plane; `means` is what it is made of.

    Attributes:
        shedding: whether each answer ends its caller's connection, so that callers look for a successor.
    """

    def __init__(self, means: RelayParts) -> None:
        self._means = means
        self._settings = means.settings
        self._entrance = Entrance(means.settings)
        self.shedding = False
        # Spans and Server-Timing tell of moments that the express way does not look at.
        unseen = means.traced or means.settings.server_timing
        self._express = None if unseen else Express(means, self._entrance, self.go_on)

    @property
    def authority(self) -> Authorizer:
        """Who may call what."""
        return self._means.authority

    async def __call__(self, arrival: IncomingRequest) -> Written:
        """Relay one request."""
        passage = self._passage(arrival, self._record(arrival))
        return await self._settle(passage, self._carry(passage))

    def express(self, connection: CallerConnection, data: bytes) -> Ride | None:
        """Send the request that these bytes make, if it is ordinary; None means that nothing was done."""
        return None if self._express is None or self.shedding else self._express.take(connection, data)

    async def go_on(self, ride: Ride) -> Written:
        """Carry on with a request that was sent express, and with which something is not ordinary."""
        passage = self._passage(HeldRequest(ride.request, ride.connection), ride.record)
        passage.match, passage.content, passage.token, passage.sent = ride.match, ride.request.body, ride.token, True
        return await self._settle(passage, self._rest(passage, ride))

    def unreadable(self, connection: CallerConnection, error: RelayError) -> None:
        """Refuse what could not be read as a request; the connection ends with it."""
        means = self._means
        if isinstance(error, WrongProtocolError):
            means.wrong_protocol(error.came)
        identity = request_id((), means.wall(), means.bits)
        record = Record(identity, OTHER_METHOD, means.now(), status=error.status, code=error.code)
        record.outcome = error.outcome
        head, body = own_answer(error, record, check=None, close=True)
        if connection.transport is not None and not connection.transport.is_closing():
            connection.transport.write(head + body)
        means.observe(record)

    def _record(self, arrival: IncomingRequest) -> Record:
        means = self._means
        record = Record(
            request_id=request_id(arrival.headers, means.wall(), means.bits),
            method=arrival.method if arrival.method in METHODS else OTHER_METHOD,
            started=means.now(),
        )
        record.lineage = found = lineage(arrival.headers, means.bits, means.now) if means.traced else None
        record.trace_id = trace_id(arrival.headers) if found is None else found.trace_id
        return record

    def _passage(self, arrival: IncomingRequest, record: Record) -> Passage:
        reply = ResponseWriter(arrival, stall=self._settings.idle_timeout, now=self._means.now)
        return Passage(arrival, record, reply, read_ids=self._settings.check_from_body)

    async def _settle(self, passage: Passage, work: Coroutine[object, object, None]) -> Written:
        """Do the work; it ends in exactly one record, and in an answer unless nobody is there."""
        connection, reply = passage.arrival.connection, passage.reply
        connection.begin(passage.caller_left)
        try:
            await work
        except RelayError as error:
            passage.refuse(error)
        except CallerGoneError:
            passage.lost()
        except asyncio.CancelledError:
            if not passage.gone:
                passage.interrupted()
                raise
            passage.lost()
        except Exception as error:  # noqa: BLE001 - a defect must not leave the caller without an answer
            self._means.failed(error)
            passage.refuse(InternalError("The sidecar failed on this call; its log has the reason."))
        finally:
            connection.finish(last=reply.last)
            self._means.observe(passage.over(self._means.now()))
        return reply.finished

    async def _carry(self, passage: Passage) -> None:
        arrival, settings, record, means = passage.arrival, self._settings, passage.record, self._means
        caller = means.authority.recognise(arrival.connection.peer, arrival.headers)
        record.caller = UNKNOWN if caller is None else caller.name
        framing = _framing(passage)  # before any other refusal, after which the connection would go on
        arrival.target, arrival.headers = self._entrance.admit(
            arrival.method, arrival.target, arrival.headers, http_1_1=arrival.http_1_1
        )
        passage.match = match = read_target(arrival.target, arrival.method)
        record.operation = match.operation.name
        decision, record.policy = means.authority.admit(caller, match.operation)
        left = forwards_left(arrival.method, arrival.headers)
        if left == 0:
            passage.answer_options()
            return
        if left is not None:
            arrival.headers = passed_on(arrival.headers, left)
        if decision.own_authorization:
            passage.own_authorization = own_authorization(arrival.headers)
        if match.operation.moves_money:
            record.mesh_attempt = attempt_number(arrival.headers)
        passage.body = body = CallerBody(
            arrival,
            length=framing.length,
            limit=settings.max_request_body,
            hold=settings.replay_buffer,
            stall=settings.idle_timeout,
            now=means.now,
        )
        effects = match.operation.has_effects
        if arrival.connection.late:
            raise draining()
        means.gate.enter(effects=effects)
        try:
            await self._relay(passage, body, framing, decision)
        finally:
            means.gate.leave(effects=effects)

    async def _relay(self, passage: Passage, body: CallerBody, framing: Framing, decision: Decision) -> None:
        token = await self._means.sender.token(passage)
        if body.arrived:
            passage.content = await body.take()
        else:
            if framing.waits:
                passage.reply.invite()
            passage.content = await body.take()
            token = await self._means.sender.token(passage)
        if isinstance(passage.content, bytes) and names_method(passage.content):
            raise BadRequestError(_METHOD_DETAIL)
        if decision.by_id_only:
            check_release(decision, passage.arrival.headers, passage.arrival.target, held(passage.content))
        if passage.match is not None:
            passage.record.subject = self._means.subject(passage.match, held(passage.content))
        await self._exchange(passage, token)

    async def _rest(self, passage: Passage, ride: Ride) -> None:
        try:
            await self._exchange(passage, ride.token, ride.answer)
        finally:
            self._means.gate.leave(effects=passage.effects)

    async def _exchange(
        self, passage: Passage, token: AccessToken | None, begun: Callable[[], Awaitable[Answer]] | None = None
    ) -> None:
        """Send the request, unless its first attempt was begun already, and pass the answer on."""
        answer, pieces = await self._means.sender.send(passage, passage.content, token, begun)
        try:
            async with answer:
                await self._pass_on(passage, answer, pieces)
        except UpstreamFault as fault:
            raise unknown(fault) from fault
        finally:
            passage.spent(answer.timings)

    async def _pass_on(self, passage: Passage, answer: Answer, pieces: list[bytes]) -> None:
        reply, record = passage.reply, passage.record
        passage.answered(answer.status)
        token = None if passage.token is None else passage.token.header.partition(b" ")[2]
        echo = Echo(token, masked=self._settings.redact_echoes)
        try:
            fields = headers_to_caller(
                echo.headers(answer.headers),
                origin=self._settings.origin,
                request_id=record.request_id.encode("ascii"),
            )
            if self._settings.server_timing:
                fields.append((b"Server-Timing", passage.timing(answer.timings, self._means.now())))
            reply.begin(answer.status, answer.reason, fields, body=answer.has_body, length=answer.length)
            for piece in pieces:
                await reply.write(echo.piece(piece), complete=answer.complete)
            while answer.has_body:
                if answer.waiting:
                    reply.flush()
                piece = await answer.read()
                if not piece:
                    break
                await reply.write(echo.piece(piece), complete=answer.complete)
            await reply.write(echo.rest(), complete=True)
            reply.end()
        finally:
            record.echoed = echo.found


def _framing(passage: Passage) -> Framing:
    arrival, reply = passage.arrival, passage.reply
    last, reply.last = reply.last, True  # where a request ends that is refused for its framing is for nobody to say
    framing = request_framing(arrival.version, arrival.headers)
    reply.last = last
    return framing
