"""How does an ordinary call get to Localpayment and back without anyone waiting? In the turns in which its bytes come.

It decides nothing by itself: it asks what `handler` asks, and goes no further once any answer is not the usual one.
Before a byte was sent, the request is then read again by the server's parser and carried by `handler`; afterwards the
call is handed over to it as it stands, and never begun anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.api.method_override import names_method
from proxy.api.target import read_target
from proxy.errors import RelayError
from proxy.policy.identity import KEY_HEADER
from proxy.policy.rules import Verdict
from proxy.relay.fields import VIA
from proxy.relay.record import Record
from proxy.relay.request.plain_request import Reader
from proxy.relay.ride import Ride
from proxy.relay.trace_context import RANDOM_BITS, span_of, uuid7

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.api.operations import Match
    from proxy.policy.rules import Caller
    from proxy.relay.parts import RelayParts
    from proxy.relay.request.entrance import Entrance
    from proxy.relay.request.plain_request import PlainRequest
    from proxy.relay.server.connection import CallerConnection
    from proxy.relay.server.response import Written
    from proxy.tokens.model import AccessToken
    from proxy.upstream.connection import Connection

_LINE: Final = b"\r\n"
_TRACEPARENT: Final = b"traceparent"
_REQUEST_ID: Final = b"x-request-id"


class Express:
    """The express way of one relay.

    Args:
        means: what the relay is made of.
        entrance: what the listener asks of every request.
        go_on: takes over a call with which something is not ordinary.
    """

    def __init__(self, means: RelayParts, entrance: Entrance, go_on: Callable[[Ride], Awaitable[Written]]) -> None:
        settings = means.settings
        self._reader = Reader(entrance.hosts, entrance.required)
        self._means = means
        self._go_on = go_on
        self._most_body = min(settings.max_request_body, settings.replay_buffer)
        self._authority = settings.origin.authority.encode("ascii")

    def take(self, connection: CallerConnection, data: bytes) -> Ride | None:
        """Send the request that these bytes make, or return None and do nothing if any part of it is not ordinary."""
        try:
            judged = self._judged(connection, data)
            boarded = None if judged is None else self._board(connection, *judged)
        except RelayError:
            return None
        except Exception as error:  # noqa: BLE001 - a defect here is no reason not to carry the call
            self._means.failed(error)
            return None
        if boarded is None:
            return None
        ride, upstream, outgoing = boarded
        ride.begin(upstream, outgoing)  # apart from the above: whatever fails from here on, nobody may begin it anew
        return ride

    def _judged(self, connection: CallerConnection, data: bytes) -> tuple[PlainRequest, Match, Caller] | None:
        """Return what is asked, and by whom, if the policy lets it pass without a further look."""
        request = self._reader.read(data)
        body = None if request is None else request.body
        if request is None or (body and (len(body) > self._most_body or names_method(body))):
            return None
        match = read_target(request.target, request.method)
        policy = self._means.authority.policy
        key = request.told.get(KEY_HEADER)
        caller = policy.caller(connection.peer, () if key is None else (key,))
        decision = policy.decide(caller, match.operation)
        if match.operation.has_effects and connection.gone:
            return None
        passes = decision.verdict is Verdict.ALLOWED and not decision.by_id_only and not decision.own_authorization
        return (request, match, caller) if passes and caller is not None else None

    def _board(
        self, connection: CallerConnection, request: PlainRequest, match: Match, caller: Caller
    ) -> tuple[Ride, Connection, bytes] | None:
        """Take a place and a warm connection, and make what will be sent on it; None if either is missing."""
        effects = match.operation.has_effects
        means = self._means
        sender, gate = means.sender, means.gate
        found = sender.at_once(effects=effects or request.method != "GET")
        if found is None:
            return None
        upstream, token = found
        try:
            record = self._record(request, match, caller, token)
            outgoing = self._outgoing(request, record, token)
            gate.enter(effects=effects)
            try:
                record.policy = means.authority.count(caller)
            except BaseException:
                gate.leave(effects=effects)
                raise
        except BaseException:
            sender.not_sent(upstream)
            raise
        ride = Ride(
            means=means,
            go_on=self._go_on,
            connection=connection,
            request=request,
            match=match,
            record=record,
            token=token,
        )
        return ride, upstream, outgoing

    def _record(self, request: PlainRequest, match: Match, caller: Caller, token: AccessToken) -> Record:
        told, means = request.told, self._means
        named, traceparent = told.get(_REQUEST_ID), told.get(_TRACEPARENT)
        span = None if traceparent is None else span_of(traceparent)
        record = Record(
            uuid7(int(means.wall() * 1000), means.bits(RANDOM_BITS)) if named is None else named.decode("ascii"),
            request.method,
            means.now(),
            trace_id=None if span is None else span.trace_id,
            caller=caller.name,
            operation=match.operation.name,
            request_bytes=len(request.body or b""),
            attempts=1,
            generation=token.generation,
        )
        record.subject = means.subject(match, request.body)
        return record

    def _outgoing(self, request: PlainRequest, record: Record, token: AccessToken) -> bytes:
        """Return the request as it goes to Localpayment, the same bytes as `handler` would send."""
        named, body = _REQUEST_ID in request.told, request.body
        return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%b%b\r\nAuthorization: %b\r\n%b" % (
            request.method.encode("ascii"),
            request.target,
            self._authority,
            request.sent,
            b"" if named else b"X-Request-Id: %b\r\n" % record.request_id.encode("ascii"),
            VIA,
            token.header,
            _LINE if body is None else b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
        )
