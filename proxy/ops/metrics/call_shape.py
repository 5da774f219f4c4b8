"""Names the shape of a call: calls of one shape share their series, and their log lines differ in numbers only.

What is looked up or formatted for one call is cached for the next of its shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.relay.record import Record

CallShape = tuple[str, str, str, int, str, str, int, str]
# Sorts of calls at most. A sidecar sees dozens; an origin that makes up statuses must not fill the memory.
KEPT: Final = 1024


def call_shape(record: Record) -> CallShape:
    """Return what is the same for calls that are alike; all of it comes from closed sets, or is a small number."""
    return (
        record.caller,
        record.method,
        record.operation,
        record.status,
        record.outcome,
        record.code,
        record.attempts,
        record.policy,
    )
