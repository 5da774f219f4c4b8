"""How often is a call given to the upstream pool, and with which token?

Once; again only where `resend` allows it, or after a 401 that proves that nothing was executed, with a newer token or
with one that a lagging node did not know yet. Never twice for the same reason.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from proxy.relay.headers import headers_to_upstream
from proxy.relay.record import Resend
from proxy.relay.resend import UNKNOWN, after_fault
from proxy.relay.unauthorized import read_refusal
from proxy.upstream.model import Call, Progress, Stream, UpstreamFault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from proxy.errors import RelayError
    from proxy.relay.passage import Passage
    from proxy.relay.unauthorized import Refusal
    from proxy.tokens.model import AccessToken
    from proxy.upstream.answer import Answer
    from proxy.upstream.connection import Connection
    from proxy.upstream.model import Body
    from proxy.upstream.pool import Pool


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


class Sender:
    """Sends calls by the rules."""

    def __init__(self, pool: Pool, tokens: Tokens) -> None:
        self._pool = pool
        self._tokens = tokens

    async def token(self, passage: Passage) -> AccessToken | None:
        """Return the token to inject now, None when the caller's own goes in its place, or raise a NotSentError."""
        if passage.own_authorization is not None and not self._tokens.locked:
            return None
        return self._tokens.current() or await self._tokens.obtain()

    def at_once(self, *, effects: bool) -> tuple[Connection, AccessToken] | None:
        """Return a warm connection and the token to inject, or None if either must be waited for."""
        token = self._tokens.current()
        connection = None if token is None else self._pool.board(effects=effects)
        return None if token is None or connection is None else (connection, token)

    def not_sent(self, connection: Connection) -> None:
        """Give back a connection that carried nothing."""
        self._pool.unboard(connection)

    async def send(
        self,
        passage: Passage,
        body: Body,
        token: AccessToken | None,
        begun: Callable[[], Awaitable[Answer]] | None = None,
    ) -> tuple[Answer, list[bytes]]:
        """Return the answer to pass on, and what was read of its body already; a 401 that was not ours is the caller's.

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
            if answer.status != HTTPStatus.UNAUTHORIZED or token is None:
                return answer, []
            passage.answered(answer.status)
            try:
                refusal = await read_refusal(answer)
                again = await self._after(refusal, token, record.resends, held=held and not passage.gone)
            except UpstreamFault as fault:
                passage.spent(fault.exchange)
                raise unknown(fault) from fault
            except BaseException:
                answer.close()
                raise
            if again is None:
                return answer, refusal.pieces
            answer.close()
            passage.spent(answer.exchange)
            record.resends.append(_reason(token, again))
            token = again

    async def _after(
        self, refusal: Refusal, token: AccessToken, resends: Collection[Resend], *, held: bool
    ) -> AccessToken | None:
        """Return the token to send the call with once more, or None when the 401 is the caller's answer."""
        if not refusal.proven:
            return None
        if not held or Resend.TOKEN in resends:
            self._tokens.dispute(token.generation, refusal.code)
            return None
        again = await self._tokens.replacement(token.generation, refusal.code)
        return None if again is None or _reason(token, again) in resends else again

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
            passage.spent(fault.exchange)
            verdict = after_fault(fault, repeatable=passage.repeatable, held=held, resends=record.resends)
            if isinstance(verdict, Resend):
                record.resends.append(verdict)
                return None
            raise verdict(_said(fault, before=passage.sent)) from fault


def _reason(token: AccessToken, again: AccessToken) -> Resend:
    return Resend.SAME_TOKEN if again.generation == token.generation else Resend.TOKEN


def _call(passage: Passage, body: Body, token: AccessToken | None) -> Call:
    arrival, record = passage.arrival, passage.record
    headers = headers_to_upstream(
        arrival.headers,
        authorization=passage.own_authorization if token is None else token.header,
        request_id=record.request_id.encode("ascii"),
        version=b"1.1" if arrival.http_1_1 else b"1.0",
    )
    return Call(
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
