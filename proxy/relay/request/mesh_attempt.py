"""Has a mesh sent this call before? Envoy and those built on it say so in a field.

Pure. It only tells: a repeat may be the first that reaches us, so that refusing it could lose a payment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.relay.request.request_fields import Told

# Envoy, "HTTP header manipulation": the number of the attempt, the first being 1; set when
# include_request_attempt_count is on, as in Istio.
MESH_ATTEMPT: Final = b"x-envoy-attempt-count"
_MOST_DIGITS: Final = 6


def attempt_number(told: Told) -> int:
    """Return which attempt this is by the mesh's own word, 1 when it says nothing that can be read."""
    values = told.get(MESH_ATTEMPT)
    if values is None:
        return 1
    return max([1, *(int(value) for value in values if value.isdigit() and len(value) <= _MOST_DIGITS)])
