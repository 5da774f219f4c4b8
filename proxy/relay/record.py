"""What is said about a call once it is over: one record, one log line, one observation of each metric.

It must never hold a header value, a body, a query, a raw path or an external id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from proxy.errors import Outcome

if TYPE_CHECKING:
    from proxy.relay.request.trace_context import Lineage

# RFC 9110 section 9.3 and RFC 5789; any other method is a label of its own, so that callers cannot make up series.
METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
OTHER_METHOD: Final = "other"
CallShape = tuple[str, str, str, int, str, str, int, str]
# A sidecar sees dozens; an origin that makes up statuses must not fill the memory with what is kept for each.
MOST_SHAPES: Final = 1024


class Resend(StrEnum):
    """Why a call was sent again: the values of a metric's label."""

    TOKEN = "token"  # noqa: S105 - a reason, not a secret; a newer one was had
    SAME_TOKEN = "same_token"  # noqa: S105 - as above; the node that refused it lagged behind
    DISCONNECTED = "disconnected"
    CONNECT = "connect"


@dataclass(slots=True)
class Record:
    """One call, from its head to the last byte of its answer. Times in seconds, bytes are those of bodies.

    Attributes:
        request_id: the caller's X-Request-Id, or ours.
        method: as sent, `other` for one that no RFC defines.
        operation: a name of the catalogue, or `other`.
        status: of the answer that the caller got, or of Localpayment's that a caller who went away did not get; else 0.
        outcome: what is known of the call's fate.
        code: of our own answer, or of what cut an answer; empty when Localpayment's answer was passed on whole.
        started: reading of the clock when the head had arrived.
        total_seconds: from then on to the last byte of the answer.
        upstream_seconds: of it, sum of all attempts from the search for a connection to the last byte received, less
            waits for the caller's body.
        caller_seconds: of it, waits for the caller: for its body, and for it to take an answer that had come already.
        attempts: how often the call was given to the upstream pool.
        resends: the reasons of all attempts but the first.
        generation: of the token that the last attempt carried, 0 without one.
        mesh_attempt: which attempt at moving money this is by a mesh's own word; above 1 it repeats itself.
        subject: keyed hash of the merchant's id of what the call is about; empty when not asked for, or not known.
        caller: name in the policy; empty when the call was refused before its caller was looked at.
        echoed: where the answer held the token that the call carried: `header`, `body`, or nowhere.
        policy: what the policy would have refused it for, if it only reports that; else empty.
        lineage: its spans; None unless traces are exported and its caller's, if any, is sampled.
    """

    request_id: str
    method: str
    started: float
    trace_id: str | None = None
    caller: str = ""
    operation: str = "other"
    status: int = 0
    outcome: Outcome = Outcome.REJECTED
    code: str = ""
    request_bytes: int = 0
    response_bytes: int = 0
    total_seconds: float = 0.0
    upstream_seconds: float = 0.0
    caller_seconds: float = 0.0
    attempts: int = 0
    resends: list[Resend] = field(default_factory=list)
    generation: int = 0
    mesh_attempt: int = 1
    subject: str = ""
    policy: str = ""
    echoed: str = ""
    lineage: Lineage | None = None

    @property
    def own_seconds(self) -> float:
        """What the sidecar itself added, waiting for a token included."""
        own = self.total_seconds - self.upstream_seconds - self.caller_seconds
        if own < 0.0:  # half of what max() takes, and asked twice for each call
            return 0.0
        return own


def call_shape(record: Record) -> CallShape:
    """Return what is the same for calls that are alike: they share their series, and their lines differ in numbers.

    All of it comes from closed sets, or is a small number.
    """
    return (
        record.caller, record.method, record.operation, record.status, record.outcome, record.code, record.attempts,
        record.policy,
    )  # fmt: skip
