"""Gives a call to the upstream pool: once, and again only where that is safe.

That is where `resend` allows it, or after a 401 that proves that nothing was executed, with a newer token or with one
that a lagging node did not know yet. Never twice for the same reason. A proven 401 for a token of ours is never the
caller's answer, unless it is the path's own: the caller has no token that it could mend.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from proxy.api.external_id import external_id
from proxy.errors import NotSentError, Outcome, RelayError, UpstreamDisconnectedError
from proxy.relay.auth_refusal import Refusals, path_of, read_refusal
from proxy.relay.record import Resend
from proxy.relay.request.headers import request_lines
from proxy.relay.request.request_fields import without_lines
from proxy.relay.retry_rules import after_fault, not_processed, said, unknown
from proxy.relay.server.body import CallerGoneError
from proxy.upstream.model import FaultKind, OutgoingRequest, Stream, Timings, UpstreamFault, held
from proxy.upstream.request import answered, compose

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.relay.auth_refusal import Refusal
    from proxy.relay.call import Call
    from proxy.tokens.keeper import Keeper
    from proxy.tokens.model import AccessToken
    from proxy.upstream.answer import Answer
    from proxy.upstream.pool import Pool


_REFUSING: Final = frozenset((HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN))
_SUCCESSFUL: Final = (200, 300)  # RFC 9110 section 15.3; any other status may be given before the token is looked at
_READ_BEFORE: Final = (
    "Localpayment refused the access token, after another attempt had been sent and had got no answer."
)


class Attempts:
    """Sends calls by the rules.

    Args:
        pool: of connections to Localpayment.
        tokens: the control plane.
        now: seconds on the clock that records are started by.

    Attributes:
        refusals: what paths have refused lately.
    """

    def __init__(self, pool: Pool, tokens: Keeper, now: Callable[[], float]) -> None:
        self.refusals = Refusals()
        self._pool = pool
        self._tokens = tokens
        self._now = now

    async def token(self, call: Call) -> AccessToken | None:
        """Return the token to inject now, None when the caller's own goes in its place, or raise a NotSentError."""
        if call.own_authorization is not None and not self._tokens.locked:
            return None
        return self._tokens.current() or await self._tokens.obtain()

    def send_at_once(self, call: Call, watcher: Callable[[], None]) -> bool:
        """Write a call whose body is held, if nothing has to be waited for; else return False and do nothing.

        Whatever must be awaited before the first byte of a call with effects makes it one that has to wait, here. Once
        it is being written it is not begun anew, whatever fails.

        Args:
            call: whose body is held, or has none.
            watcher: told when something of the answer has come, or what stopped it.

        Raises:
            CallerGoneError: the caller has left, so nothing was begun.
        """
        token = self._tokens.current()
        if token is None or call.own_authorization is not None:
            return False
        upstream = self._pool.acquire(effects=not call.repeatable)
        if upstream is None:
            return False
        try:
            _count(call, token)
            method = call.request.method.encode("ascii")
            data = compose(method, call.target, self._pool.authority, _lines(call, token.header), call.content)
            _sending(call)
        except BaseException:
            self._pool.release(upstream)
            raise
        started = call.record.started
        if call.body is not None:
            call.connection.body_is_here()
            started = self._now()
        call.upstream = upstream
        call.exchange = exchange = upstream.begin(method, Timings(started))
        exchange.watcher = watcher
        try:
            upstream.write(exchange, data, last=True)
        except Exception as error:  # noqa: BLE001 - a defect must not leave the caller without an answer
            call.parts.failed(error)
            upstream.fail(exchange, FaultKind.DISCONNECTED, "the call could not be written whole")
        return True

    async def send(self, call: Call, token: AccessToken | None) -> tuple[Answer, list[bytes]]:
        """Return the answer to pass on, and what was read of its body already.

        Args:
            call: whose first attempt may have been sent already.
            token: to inject, or injected, None for none.

        Raises:
            RelayError: there is none, or one that was cut before anything of it was passed on.
        """
        record, held, begun = call.record, not isinstance(call.content, Stream), call.exchange
        while True:
            send = self._attempt(call, token) if begun is None else partial(answered, call.upstream, begun)
            begun = None
            answer = await self._once(call, send, held=held)
            if answer is None:
                continue
            if token is None or answer.status not in _REFUSING:
                if token is not None and self.refusals.doubts:
                    self.succeeded(call, answer.status)
                return answer, []
            record.status, record.outcome = answer.status, Outcome.ANSWERED
            try:
                refusal = await read_refusal(answer, _about(call))
                follows = await self._after(refusal, call, token, held=held)
            except UpstreamFault as fault:
                call.spent(fault.timings)
                raise unknown(fault) from fault
            except BaseException:
                answer.close()
                raise
            if follows is None:
                return answer, refusal.pieces
            answer.close()
            call.spent(answer.timings)
            if isinstance(follows, RelayError):
                raise follows
            record.resends.append(_reason(token, follows))
            token = follows

    def succeeded(self, call: Call, status: int) -> None:
        """Note an answer that may show that a token is good; only worth it while there are doubts."""
        token = call.token
        if token is None or not _SUCCESSFUL[0] <= status < _SUCCESSFUL[1]:
            return
        if self.refusals.accepted(path_of(call.match, call.target), token.generation, call.record.started):
            self._tokens.accepted(token.generation)

    async def _after(
        self, refusal: Refusal, call: Call, token: AccessToken, *, held: bool
    ) -> AccessToken | RelayError | None:
        """Return the token to send the call with once more, what the caller gets in place of the answer, or None."""
        path, resends = path_of(call.match, call.target), call.record.resends
        if not refusal.of_token or self.refusals.is_own(path, token.generation, self._now()):
            return None
        if refusal.proven and held and not call.gone and Resend.TOKEN not in resends:
            again = await self._tokens.replacement(token.generation, refusal.code)
            if again is not None and _reason(token, again) not in resends:
                return again
        else:
            self._tokens.dispute(token.generation, refusal.code)
        self.refusals.refused(path, token.generation, self._now())
        if not refusal.proven or call.gone:
            return None
        error = self._tokens.refused(token.generation)
        return error if not_processed(resends) else UpstreamDisconnectedError(_READ_BEFORE)

    def _attempt(self, call: Call, token: AccessToken | None) -> Callable[[], Awaitable[Answer]]:
        _count(call, token)
        outgoing = OutgoingRequest(
            method=call.request.method.encode("ascii"),
            target=call.target,
            lines=_lines(call, call.own_authorization if token is None else token.header),
            body=call.content,
            # A read that met a stale connection is not to meet another one as old.
            effects=not call.repeatable or Resend.DISCONNECTED in call.record.resends,
            sending=partial(_sending, call),
        )
        return partial(self._pool.send, outgoing)

    async def _once(self, call: Call, send: Callable[[], Awaitable[Answer]], *, held: bool) -> Answer | None:
        """Make an attempt; return None when another must follow."""
        record = call.record
        try:
            return await send()
        except UpstreamFault as fault:
            call.spent(fault.timings)
            verdict = after_fault(fault, repeatable=call.repeatable, held=held, resends=record.resends)
            if isinstance(verdict, Resend):
                record.resends.append(verdict)
                return None
            error = verdict(said(fault, before=call.sent))
            if fault.obstacle is not None and isinstance(error, NotSentError):
                error.proxy_status = fault.obstacle.proxy_status
            raise error from fault


def _count(call: Call, token: AccessToken | None) -> None:
    """Count an attempt to send with a token of ours, or None of them.

    Raises:
        CallerGoneError: the caller has left, so nothing is begun.
    """
    if call.gone:
        raise CallerGoneError
    call.record.attempts += 1
    call.record.generation = 0 if token is None else token.generation
    call.token = token


def _sending(call: Call) -> None:
    """Note that the first byte of an attempt goes out now.

    Raises:
        CallerGoneError: the caller of a call with effects has left. The kernel is asked: while nothing is read from a
            caller, its end goes unseen.
    """
    if call.effects and call.connection.gone:
        raise CallerGoneError
    call.sent = True
    if call.body is not None:
        call.waited_before = call.body.waited


def _about(call: Call) -> str | None:
    return None if call.match is None else external_id(call.match, held(call.content))


def _reason(token: AccessToken, again: AccessToken) -> Resend:
    return Resend.SAME_TOKEN if again.generation == token.generation else Resend.TOKEN


def _lines(call: Call, authorization: bytes | None) -> bytes:
    """Return the fields of an attempt."""
    record, lines = call.record, call.lines
    traceparent: bytes | None = None
    if record.lineage is not None:
        lines = without_lines(lines, record.lineage.replaced)
        traceparent = record.lineage.outgoing()
    own_id = None if call.request.fields.request_id is not None else record.request_id.encode("ascii")
    return request_lines(lines, own_id, traceparent, authorization, call.request.http_1_1)
