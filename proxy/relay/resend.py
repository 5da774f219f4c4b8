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

    Args:
        fault: what stopped it, and how far it had got.
        repeatable: a GET or HEAD of a read operation.
        held: whether the whole body is still at hand.
        resends: why it was sent again before.

    Returns:
        The reason to send it once more, or the error that the caller gets.
    """
    disconnected = fault.kind is FaultKind.DISCONNECTED and not fault.answer_begun
    if fault.progress is Progress.NOTHING and Resend.DISCONNECTED not in resends:
        # A new connection that the origin ended before it was used; any other failure to connect has had its time.
        again = disconnected and held and Resend.CONNECT not in resends
        return Resend.CONNECT if again else NOT_SENT[fault.kind]
    once = Resend.DISCONNECTED not in resends
    again = disconnected and held and repeatable and fault.reused and once
    return Resend.DISCONNECTED if again else UNKNOWN[fault.kind]


def cut_code(fault: UpstreamFault) -> str:
    """Name what cut an answer that had begun; the caller's connection is aborted and gets no code."""
    return UNKNOWN[fault.kind].code
