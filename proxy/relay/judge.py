"""Judges a request, in order: its caller, its framing, its meaning, the policy, and whether there is room.

Nothing of a call is sent before it has passed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.api.external_id import external_id
from proxy.api.method_override import names_method
from proxy.api.target import read_target
from proxy.errors import BadRequestError, RelayError
from proxy.policy.authorizer import check_release
from proxy.policy.identity import KEY_HEADER
from proxy.policy.rules import UNKNOWN
from proxy.process.memory import Holding
from proxy.relay.answering import answer_options
from proxy.relay.concurrency import draining, memory_full
from proxy.relay.request.admission import Entrance
from proxy.relay.request.framing import Framing, request_framing, unclear
from proxy.relay.request.headers import (
    MESH_ATTEMPT,
    attempt_number,
    check_crossing,
    forwards_left,
    own_authorization,
    passed_on,
)
from proxy.relay.request.request_fields import CONTENT, LENGTH, pairs_of
from proxy.relay.server.body import SMALL, CallerBody

if TYPE_CHECKING:
    from collections.abc import Collection

    from proxy.policy.rules import Policy
    from proxy.relay.call import Call
    from proxy.relay.parts import RelayParts

SAFE: Final = frozenset(("GET", "HEAD"))
ANSWER: Final = 256 * 1024  # bytes that must be left for the answer to a read
_METHOD_DETAIL: Final = (
    "The body has a member or field `_method`, which would override the method; send the request with the method meant."
)


class Judge:
    """What every request of one relay has to pass.

    Attributes:
        entrance: the rules of the data listener.
    """

    def __init__(self, parts: RelayParts) -> None:
        self.entrance = Entrance(parts.settings)
        self._parts = parts
        self._most_for_reads = parts.memory.limit - ANSWER
        self._divided_by: Policy | None = None
        self._peers: Collection[str] = ()

    def share_among(self, peers: Collection[str]) -> None:
        """Note from where there are connections."""
        self._peers = peers
        self._divided_by = None

    def admit(self, call: Call) -> bool:
        """Let a call pass and give it a place; False if it was answered here, or raise its refusal."""
        parts, request, record, connection = self._parts, call.request, call.record, call.connection
        fields, method = request.fields, request.method
        told = fields.told
        policy = parts.authorizer.policy
        if policy is not self._divided_by:
            self._divide(policy)
        if connection.known_by is not policy or KEY_HEADER in told:
            _recognise(call, policy)
        caller = connection.caller
        record.caller = UNKNOWN if caller is None else caller.name
        if call.source is not None:  # else the reader has judged it
            call.framing = _framing(call)
        call.lines = fields.lines
        call.target = self.entrance.admit(method, request.target, told, request.http_1_1)
        call.match = match = read_target(call.target, method)
        operation = match.operation
        call.effects = effects = operation.has_effects
        call.repeatable = not effects and method in SAFE
        record.operation = operation.name
        call.decision, record.policy = parts.authorizer.admit(caller, operation)
        if method == "OPTIONS" and not _may_go_on(call):
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

    def look_into_body(self, call: Call) -> None:
        """Judge what could not be judged without the body."""
        content = call.content if isinstance(call.content, bytes) else None
        if content is not None and names_method(content):
            raise BadRequestError(_METHOD_DETAIL)
        if call.decision.by_id_only:
            check_release(call.decision, pairs_of(call.request.fields.told, CONTENT), call.target, content)
        fingerprint = self._parts.fingerprint
        if fingerprint is not None and call.effects and call.match is not None:
            subject = external_id(call.match, content)
            call.record.subject = "" if subject is None else fingerprint(subject)

    def _divide(self, policy: Policy) -> None:
        """Share the places among the policy's callers, or among peers where it names none."""
        self._divided_by = policy
        names = [caller.name for caller in policy.callers if not caller.identity.anyone]
        self._parts.concurrency.divide(names or self._peers)

    def _find_room(self, call: Call) -> None:
        """Give a call a place, or see that there is one for when its body is whole, or streams."""
        parts, effects = self._parts, call.effects
        if not effects and parts.memory.used > self._most_for_reads:
            raise memory_full()
        if call.source is not None:
            length = call.framing.length
            call.body = CallerBody(call.source, length, parts.settings, parts.memory, parts.now)
            if length is None or length > SMALL:  # else all of it is here soon
                parts.concurrency.check(call.party, effects=effects)
            return
        parts.concurrency.enter(call.party, effects=effects)
        call.placed = True
        body = call.request.body
        if body is not None:
            call.record.request_bytes = size = len(body)
            if size > SMALL:
                parts.memory.charge(Holding.BODIES, size)
                call.charged = size


def _recognise(call: Call, policy: Policy) -> None:
    """Find out who calls. A connection is looked at once for each policy, a key with each call."""
    connection, keys = call.connection, call.request.fields.told.get(KEY_HEADER, ())
    caller = policy.caller(connection.peer, keys)
    connection.known_by = None if keys else policy
    if caller is not connection.caller:
        connection.recognise(caller)
        call.party = connection.party


def _framing(call: Call) -> Framing:
    """Judge the framing of a request that the parser has read; our reader takes only what has a plain length."""
    request = call.request
    if request.owed:
        return Framing(int(request.fields.told[LENGTH][0]), waits=False)
    try:
        if not request.fields.clear:
            raise unclear()
        return request_framing(request.version, request.fields.told)
    except RelayError:
        call.writer.last = True  # where such a request ends cannot be said
        raise


def _may_go_on(call: Call) -> bool:
    """Count an OPTIONS request down; False if it was answered here, as its last recipient."""
    left = forwards_left(call.request.method, call.request.fields.told)
    if left == 0:
        answer_options(call)
        return False
    if left is not None:
        call.lines = passed_on(call.lines, left)
    return True
