"""Gives a call to the upstream pool: once, and again only where that is safe.

That is where `resend` allows it, or after a 401 that proves that nothing was executed, with a newer token or with one
that a lagging node did not know yet. Never twice for the same reason. A proven 401 for a token of ours is never the
caller's answer, unless it is the path's own: the caller has no token that it could mend.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from proxy.api.external_id import external_id
from proxy.errors import RelayError, UpstreamDisconnectedError
from proxy.relay.auth_refusal import read_refusal
from proxy.relay.record import Resend
from proxy.relay.refused_paths import Refusals, path_of
from proxy.relay.request.headers import headers_to_upstream
from proxy.relay.retry_rules import UNKNOWN, after_fault, not_processed
from proxy.upstream.model import OutgoingRequest, Progress, Stream, UpstreamFault, held

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.api.operations import Match
    from proxy.errors import NotSentError
    from proxy.relay.auth_refusal import Refusal
    from proxy.relay.call import Passage
    from proxy.relay.record import Record
    from proxy.tokens.model import AccessToken
    from proxy.upstream.answer import Answer
    from proxy.upstream.connection import Connection
    from proxy.upstream.model import Body
    from proxy.upstream.pool import Pool


_REFUSING: Final = frozenset((HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN))
_SUCCESSFUL: Final = (200, 300)  # RFC 9110 section 15.3; any other status may be given before the token is looked at
_READ_BEFORE: Final = (
    "Localpayment refused the access token, after another attempt had been sent and had got no answer."
)


class Tokens(Protocol):
    """What the relay needs of the control plane; proxy.tokens.keeper.Keeper is one."""

    @property
    def locked(self) -> bool:
        """Whether every call is to be refused; `obtain` does so."""
        ...

    def current(self) -> AccessToken | None:
        """Return the token to inject, or None when `obtain` must be awaited."""
        ...

    async def obtain(self) -> AccessToken:
        """Return the token to inject after a bounded wait, or raise a NotSentError."""
        ...

    async def replacement(self, generation: int, code: str | None = None) -> AccessToken | None:
        """After a 401: return a newer token, the same one if it may just not be known everywhere, or None."""
        ...

    def dispute(self, generation: int, code: str | None = None) -> bool:
        """After a 401 that cannot be repeated: see to a newer token for the calls to come."""
        ...

    def refused(self, generation: int) -> NotSentError:
        """After a 401 for a token that could not be replaced: take note of it; return what the caller gets."""
        ...

    def accepted(self, generation: int) -> None:
        """Take note that a token that was refused works after all."""
        ...


class Attempts:
    """Sends calls by the rules.

    Args:
        pool: of connections to Localpayment.
        tokens: the control plane.
        now: seconds on the clock that records are started by.

    Attributes:
        refusals: what paths have refused lately.
    """

    def __init__(self, pool: Pool, tokens: Tokens, now: Callable[[], float]) -> None:
        self.refusals = Refusals()
        self._pool = pool
        self._tokens = tokens
        self._now = now

    async def token(self, passage: Passage) -> AccessToken | None:
        """Return the token to inject now, None when the caller's own goes in its place, or raise a NotSentError."""
        if passage.own_authorization is not None and not self._tokens.locked:
            return None
        return self._tokens.current() or await self._tokens.obtain()

    def at_once(self, *, effects: bool) -> tuple[Connection, AccessToken] | None:
        """Return a warm connection and the token to inject, or None if either must be waited for."""
        token = self._tokens.current()
        connection = None if token is None else self._pool.acquire(effects=effects)
        return None if token is None or connection is None else (connection, token)

    def not_sent(self, connection: Connection) -> None:
        """Give back a connection that carried nothing."""
        self._pool.release(connection)

    async def send(
        self,
        passage: Passage,
        body: Body,
        token: AccessToken | None,
        begun: Callable[[], Awaitable[Answer]] | None = None,
    ) -> tuple[Answer, list[bytes]]:
        """Return the answer to pass on, and what was read of its body already.

        Args:
            passage: the request.
            body: the caller's.
            token: to inject, None for none.
            begun: gives the answer to a first attempt that was sent already.

        Raises:
            RelayError: there is none, or one that was cut before anything of it was passed on.
        """
        record, held = passage.record, not isinstance(body, Stream)
        while True:
            send, begun = begun or self._attempt(passage, body, token), None
            answer = await self._once(passage, send, held=held)
            if answer is None:
                continue
            if token is None or answer.status not in _REFUSING:
                if token is not None and self.refusals.doubts:
                    self.succeeded(passage.match, passage.arrival.target, token, record, answer.status)
                return answer, []
            passage.answered(answer.status)
            try:
                refusal = await read_refusal(answer, _about(passage))
                follows = await self._after(refusal, passage, token, held=held)
            except UpstreamFault as fault:
                passage.spent(fault.timings)
                raise unknown(fault) from fault
            except BaseException:
                answer.close()
                raise
            if follows is None:
                return answer, refusal.pieces
            answer.close()
            passage.spent(answer.timings)
            if isinstance(follows, RelayError):
                raise follows
            record.resends.append(_reason(token, follows))
            token = follows

    def succeeded(self, match: Match | None, target: bytes, token: AccessToken, record: Record, status: int) -> None:
        """Note an answer that may show that a token is good; only worth it while there are doubts."""
        if not _SUCCESSFUL[0] <= status < _SUCCESSFUL[1]:
            return
        if self.refusals.accepted(path_of(match, target), token.generation, record.started):
            self._tokens.accepted(token.generation)

    async def _after(
        self, refusal: Refusal, passage: Passage, token: AccessToken, *, held: bool
    ) -> AccessToken | RelayError | None:
        """Return the token to send the call with once more, what the caller gets in place of the answer, or None."""
        path, resends = path_of(passage.match, passage.arrival.target), passage.record.resends
        if not refusal.of_token or self.refusals.is_own(path, token.generation, self._now()):
            return None
        if refusal.proven and held and not passage.gone and Resend.TOKEN not in resends:
            again = await self._tokens.replacement(token.generation, refusal.code)
            if again is not None and _reason(token, again) not in resends:
                return again
        else:
            self._tokens.dispute(token.generation, refusal.code)
        self.refusals.refused(path, token.generation, self._now())
        if not refusal.proven or passage.gone:
            return None
        error = self._tokens.refused(token.generation)
        return error if not_processed(resends) else UpstreamDisconnectedError(_READ_BEFORE)

    def _attempt(self, passage: Passage, body: Body, token: AccessToken | None) -> Callable[[], Awaitable[Answer]]:
        call = _call(passage, body, token)
        passage.attempt(token)
        return partial(self._pool.send, call)

    async def _once(self, passage: Passage, send: Callable[[], Awaitable[Answer]], *, held: bool) -> Answer | None:
        """Make an attempt; return None when another must follow."""
        record = passage.record
        try:
            return await send()
        except UpstreamFault as fault:
            passage.spent(fault.timings)
            verdict = after_fault(fault, repeatable=passage.repeatable, held=held, resends=record.resends)
            if isinstance(verdict, Resend):
                record.resends.append(verdict)
                return None
            raise verdict(_said(fault, before=passage.sent)) from fault


def _about(passage: Passage) -> str | None:
    return None if passage.match is None else external_id(passage.match, held(passage.content))


def _reason(token: AccessToken, again: AccessToken) -> Resend:
    return Resend.SAME_TOKEN if again.generation == token.generation else Resend.TOKEN


def _call(passage: Passage, body: Body, token: AccessToken | None) -> OutgoingRequest:
    arrival, record = passage.arrival, passage.record
    headers = headers_to_upstream(
        arrival.headers,
        authorization=passage.own_authorization if token is None else token.header,
        request_id=record.request_id.encode("ascii"),
        version=b"1.1" if arrival.http_1_1 else b"1.0",
    )
    return OutgoingRequest(
        method=arrival.method.encode("ascii"),
        target=arrival.target,
        headers=headers if record.lineage is None else record.lineage.outgoing(headers),
        body=body,
        effects=not passage.repeatable,
        sending=passage.sending,
    )


def unknown(fault: UpstreamFault) -> RelayError:
    """Return what the caller gets when an answer was cut before anything of it was passed on."""
    return UNKNOWN[fault.kind](_said(fault))


def _said(fault: UpstreamFault, *, before: bool = False) -> str:
    """Say what stopped a call, for the one who made it."""
    if before and fault.progress is Progress.NOTHING:
        return f"The call had been sent before, and could not be sent again: {fault.detail}."
    return f"{fault.detail[:1].upper()}{fault.detail[1:]}."
