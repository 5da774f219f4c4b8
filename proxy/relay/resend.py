"""After this fault, may the call be sent again? If not, what does the caller learn?

Pure: one table. It must never let a call be sent again that may have been processed, but for reads whose pooled
connection died under them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.errors import (
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

NOT_SENT: Final[Mapping[FaultKind, type[RelayError]]] = {
    FaultKind.UNREACHABLE: UpstreamUnreachableError,
    FaultKind.TLS: UpstreamTlsError,
    FaultKind.POOL: OverloadedError,
    FaultKind.TIMEOUT: UpstreamUnreachableError,
    FaultKind.DISCONNECTED: UpstreamUnreachableError,
    FaultKind.MALFORMED: UpstreamUnreachableError,
}
UNKNOWN: Final[Mapping[FaultKind, type[RelayError]]] = {
    FaultKind.UNREACHABLE: UpstreamDisconnectedError,
    FaultKind.TLS: UpstreamDisconnectedError,
    FaultKind.POOL: UpstreamDisconnectedError,
    FaultKind.TIMEOUT: UpstreamTimeoutError,
    FaultKind.DISCONNECTED: UpstreamDisconnectedError,
    FaultKind.MALFORMED: UpstreamMalformedError,
}


def after_fault(
    fault: UpstreamFault, *, repeatable: bool, held: bool, resends: Collection[Resend]
) -> Resend | type[RelayError]:
    """Decide what follows when a call got no answer at all (DESIGN section 6, "After a fault").

    Narrower than the design's table in three places, for which docs/adr/0016 has the reasons. A connection that could
    not be made is not tried again: its budget is spent, and the caller may repeat. A read is not sent again when a
    byte of an answer had come: it was no stale connection. And 503 is said only when no attempt at all was sent,
    however well a 401 proved that an earlier one was not carried out.

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
    silent = not fault.exchange.response_bytes
    if ended and repeatable and fault.reused and silent and Resend.DISCONNECTED not in resends:
        return Resend.DISCONNECTED
    never_sent = nothing and set(resends) <= {Resend.CONNECT}
    return (NOT_SENT if never_sent else UNKNOWN)[fault.kind]
