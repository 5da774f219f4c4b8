"""What happens to one request, from its head to the last byte of its answer?

Read `_carry` downwards. Each decision stands in a pure module; here they are carried out in order, and every request
ends in exactly one record.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.errors import InternalError, RelayError
from proxy.relay.authority import check_release
from proxy.relay.body import CallerBody, CallerGoneError
from proxy.relay.echo import Echo
from proxy.relay.entrance import Entrance
from proxy.relay.framing import request_framing
from proxy.relay.headers import headers_to_caller, own_authorization
from proxy.relay.lineage import lineage
from proxy.relay.mesh import attempt_number
from proxy.relay.passage import Passage, own_answer
from proxy.relay.record import METHODS, OTHER_METHOD, Record
from proxy.relay.reply import Reply
from proxy.relay.sender import unknown
from proxy.relay.subject import external_id
from proxy.relay.target import read_target
from proxy.relay.trace import request_id, trace_id
from proxy.upstream.model import UpstreamFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.config import Settings
    from proxy.relay.arrival import Arrival
    from proxy.relay.authority import Authority
    from proxy.relay.connection import CallerConnection
    from proxy.relay.framing import Framing
    from proxy.relay.gate import Gate
    from proxy.relay.policy import Decision
    from proxy.relay.reply import Written
    from proxy.relay.sender import Sender
    from proxy.upstream.answer import Answer


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the relay gets time and chance.

    Attributes:
        now: seconds on a clock that only moves forward.
        wall: seconds since the Unix epoch.
        bits: a number of so many random bits.
    """

    now: Callable[[], float]
    wall: Callable[[], float]
    bits: Callable[[int], int]


class Relay:
    """The data plane.

    Args:
        settings: limits and waits.
        sender: the way to Localpayment.
        gate: places for calls in flight.
        authority: who may call what.
        sources: time and chance.
        observe: told of every request once it is over; must not raise or block.
        failed: told of an exception that is a defect of ours.
        fingerprint: makes the merchant's id of a payment unreadable, for the record; None leaves it out.
        traced: whether calls become spans of traces.

    Attributes:
        authority: as given; `authority.enforce` puts another policy in force.
        shedding: whether each answer ends its caller's connection, so that callers look for a successor.
    """

    def __init__(  # noqa: PLR0913 - what a relay is made of, each named at the call
        self,
        *,
        settings: Settings,
        sender: Sender,
        gate: Gate,
        authority: Authority,
        sources: Sources,
        observe: Callable[[Record], None],
        failed: Callable[[BaseException], None],
        fingerprint: Callable[[str], str] | None = None,
        traced: bool = False,
    ) -> None:
        self._settings = settings
        self._sender = sender
        self._gate = gate
        self.authority = authority
        self._sources = sources
        self._observe = observe
        self._failed = failed
        self._fingerprint = fingerprint
        self._traced = traced
        self._entrance = Entrance(settings)
        self.shedding = False

    async def __call__(self, arrival: Arrival) -> Written:
        """Relay one request."""
        record, now = self._record(arrival), self._sources.now
        reply = Reply(arrival, stall=self._settings.idle_timeout, now=now)
        reply.last = self.shedding
        passage = Passage(arrival, record, reply, read_ids=self._settings.check_from_body)
        arrival.connection.begin(passage.caller_left)
        try:
            await self._carry(passage)
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
            self._failed(error)
            passage.refuse(InternalError("The sidecar failed on this call; its log has the reason."))
        finally:
            arrival.connection.finish(last=reply.last)
            self._observe(passage.over(now()))
        return reply.finished

    def unreadable(self, connection: CallerConnection, error: RelayError) -> None:
        """Refuse what could not be read as a request; the connection ends with it."""
        identity = request_id((), self._sources.wall(), self._sources.bits)
        record = Record(identity, OTHER_METHOD, self._sources.now(), status=error.status, code=error.code)
        record.outcome = error.outcome
        head, body = own_answer(error, record, check=None, close=True)
        if connection.transport is not None and not connection.transport.is_closing():
            connection.transport.write(head + body)
        self._observe(record)

    def _record(self, arrival: Arrival) -> Record:
        sources = self._sources
        record = Record(
            request_id=request_id(arrival.headers, sources.wall(), sources.bits),
            method=arrival.method if arrival.method in METHODS else OTHER_METHOD,
            started=sources.now(),
        )
        record.lineage = found = lineage(arrival.headers, sources.bits, sources.now) if self._traced else None
        record.trace_id = trace_id(arrival.headers) if found is None else found.trace_id
        return record

    async def _carry(self, passage: Passage) -> None:
        arrival, settings, record = passage.arrival, self._settings, passage.record
        caller = self.authority.recognise(arrival.connection.peer, arrival.headers, record)
        self._entrance.admit(arrival)
        framing = _framing(passage)
        passage.match = match = read_target(arrival.target, arrival.method)
        record.operation = match.operation.name
        decision = self.authority.admit(caller, match.operation, record)
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
            now=self._sources.now,
        )
        effects = match.operation.has_effects
        self._gate.enter(effects=effects)
        try:
            await self._relay(passage, body, framing, decision)
        finally:
            self._gate.leave(effects=effects)

    async def _relay(self, passage: Passage, body: CallerBody, framing: Framing, decision: Decision) -> None:
        token = await self._sender.token(passage)
        if body.arrived:
            passage.content = await body.take()
        else:
            if framing.waits:
                passage.reply.invite()
            passage.content = await body.take()
            token = await self._sender.token(passage)
        if decision.by_id_only:
            check_release(decision, arrival=passage.arrival, content=passage.content)
        self._identify(passage)
        answer, pieces = await self._sender.send(passage, passage.content, token)
        try:
            async with answer:
                await self._pass_on(passage, answer, pieces)
        except UpstreamFault as fault:
            raise unknown(fault) from fault
        finally:
            passage.spent(answer.exchange)

    def _identify(self, passage: Passage) -> None:
        if self._fingerprint is None or passage.match is None or not passage.effects:
            return
        subject = external_id(passage.match, passage.content)
        if subject is not None:
            passage.record.subject = self._fingerprint(subject)

    async def _pass_on(self, passage: Passage, answer: Answer, pieces: list[bytes]) -> None:
        reply, record = passage.reply, passage.record
        passage.answered(answer.status)
        token = None if passage.token is None else passage.token.header.partition(b" ")[2]
        echo = Echo(token, masked=self._settings.redact_echoes)
        try:
            fields = headers_to_caller(echo.headers(answer.headers), request_id=record.request_id.encode("ascii"))
            if self._settings.server_timing:
                fields.append((b"Server-Timing", passage.timing(answer.exchange, self._sources.now())))
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
