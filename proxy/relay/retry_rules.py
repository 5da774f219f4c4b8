"""Decides whether a call is sent again after a fault, and what its caller learns if not. Pure: one table.

It must never let a call be sent again that may have been processed, but for reads whose pooled connection died under
them; nor let 503 be said of a call of which any attempt may have been processed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.errors import (
    DrainingError,
    OverloadedError,
    UpstreamDisconnectedError,
    UpstreamMalformedError,
    UpstreamTimeoutError,
    UpstreamTlsError,
    UpstreamUnreachableError,
)
from proxy.relay.record import Resend
from proxy.upstream.model import FaultKind, Progress

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from proxy.errors import RelayError
    from proxy.upstream.model import UpstreamFault

# What a resend for each of these reasons proves of the attempt before it: that it was not processed. Not a byte of it
# had been sent, or a 401 of the authentication layer had answered it. The other attempts may have been processed.
NOT_PROCESSED: Final = frozenset((Resend.CONNECT, Resend.TOKEN, Resend.SAME_TOKEN))
NOT_SENT: Final[Mapping[FaultKind, type[RelayError]]] = {
    FaultKind.UNREACHABLE: UpstreamUnreachableError,
    FaultKind.TLS: UpstreamTlsError,
    FaultKind.POOL: OverloadedError,
    FaultKind.CLOSED: DrainingError,
    FaultKind.TIMEOUT: UpstreamUnreachableError,
    FaultKind.DISCONNECTED: UpstreamUnreachableError,
    FaultKind.MALFORMED: UpstreamUnreachableError,
}
UNKNOWN: Final[Mapping[FaultKind, type[RelayError]]] = {
    FaultKind.UNREACHABLE: UpstreamDisconnectedError,
    FaultKind.TLS: UpstreamDisconnectedError,
    FaultKind.POOL: UpstreamDisconnectedError,
    FaultKind.CLOSED: UpstreamDisconnectedError,
    FaultKind.TIMEOUT: UpstreamTimeoutError,
    FaultKind.DISCONNECTED: UpstreamDisconnectedError,
    FaultKind.MALFORMED: UpstreamMalformedError,
}


def after_fault(
    fault: UpstreamFault, *, repeatable: bool, held: bool, resends: Collection[Resend]
) -> Resend | type[RelayError]:
    """Decide what follows when a call got no answer at all (DESIGN section 6, "After a fault").

    Narrower than the design's table in two places, for which docs/adr/0016 has the reasons. A connection that could
    not be made is not tried again: its budget is spent, and the caller may repeat. A read is not sent again when a
    byte of an answer had come: it was no stale connection.

    Args:
        fault: what stopped it, and how far it had got.
        repeatable: a GET or HEAD of a read operation.
        held: whether the whole body is still at hand.
        resends: why it was sent again before.

    Returns:
        The reason to send it once more, or the error that the caller gets.
    """
    nothing = fault.progress is Progress.NOTHING
    ended = fault.kind is FaultKind.DISCONNECTED and not fault.answer_begun and held
    if ended and nothing and Resend.CONNECT not in resends:
        return Resend.CONNECT  # a new connection that ended before it was used
    silent = not fault.timings.response_bytes
    if ended and repeatable and fault.reused and silent and Resend.DISCONNECTED not in resends:
        return Resend.DISCONNECTED
    return (NOT_SENT if nothing and not_processed(resends) else UNKNOWN)[fault.kind]


def not_processed(resends: Collection[Resend]) -> bool:
    """Whether no attempt that was followed by another can have been processed; only then may 503 be said at all."""
    return NOT_PROCESSED.issuperset(resends)


def unknown(fault: UpstreamFault) -> RelayError:
    """Return what the caller gets when an answer was cut before anything of it was passed on."""
    return UNKNOWN[fault.kind](said(fault))


def said(fault: UpstreamFault, *, before: bool = False) -> str:
    """Say what stopped a call, for the one who made it."""
    if before and fault.progress is Progress.NOTHING:
        return f"The call had been sent before, and could not be sent again: {fault.detail}."
    return f"{fault.detail[:1].upper()}{fault.detail[1:]}."
