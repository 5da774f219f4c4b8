"""Composes the header fields of a request as they go to Localpayment, and reads those that count its way. Pure.

Order and bytes of what crosses stay as they are: `X-Capture: true` decides between a hold and a charge.
It must never let a caller take our Authorization away, add a second, or change an operation after it was judged.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.errors import BadRequestError
from proxy.http1.proxied_fields import MEANING, PSEUDONYM, VIA, connection_options
from proxy.relay.request.request_fields import CONNECTION, OVERRIDES

if TYPE_CHECKING:
    from proxy.relay.request.request_fields import Told

_VIA_LINE: Final = VIA + b"\r\n"
_VIA_OF_1_0: Final = _VIA_LINE.replace(b"1.1", b"1.0")
# Envoy, "HTTP header manipulation": the number of the attempt, the first being 1; set when
# include_request_attempt_count is on, as in Istio.
MESH_ATTEMPT: Final = b"x-envoy-attempt-count"
_MOST_DIGITS: Final = 6
_MAX_FORWARDS: Final = b"max-forwards"
_FORWARDS_LINE: Final = re.compile(rb"^(max-forwards):[^\r]*", re.IGNORECASE | re.MULTILINE)
_MOST_FORWARDS: Final = 999  # what is sent on of any larger number


def check_crossing(told: Told) -> None:
    """Raise the refusal of fields that may not cross.

    Raises:
        BadRequestError: Connection names a field that changes the call's meaning; a field would override the method or
            path; or the request came through this sidecar already.
    """
    options = told.get(CONNECTION)
    if options is not None and any(connection_options(value) & MEANING for value in options):
        detail = "Connection names a header field that changes the call's meaning; remove it from Connection."
        raise BadRequestError(detail)
    if not OVERRIDES.isdisjoint(told):
        detail = "A header field would override the method or path; send the request with the method and path meant."
        raise BadRequestError(detail)
    if any(map(_names_us, told.get(b"via", ()))):
        detail = "The request came through a sidecar already; LOCALPAYMENT_BASE_URL may be the sidecar's own."
        raise BadRequestError(detail)


def request_lines(
    lines: bytes,
    request_id: bytes | None,
    traceparent: bytes | None,
    authorization: bytes | None,
    http_1_1: bool = True,  # noqa: FBT001, FBT002 - by name it would cost a tenth of a microsecond for each call
) -> bytes:
    """Return the fields that go to Localpayment, a line each with its end, without Host and framing.

    Args:
        lines: those of the caller's that cross.
        request_id: sent as X-Request-Id; None when the caller's crosses.
        traceparent: of this attempt, when it is a span of its own; `lines` has none then.
        authorization: value of the only Authorization that is sent; None sends none. The caller's is never passed on
            as it is: see `own_authorization`.
        http_1_1: whether the caller speaks it, or HTTP/1.0.
    """
    parts = [lines]
    if request_id is not None:
        parts += b"X-Request-Id: ", request_id, b"\r\n"
    if traceparent is not None:
        parts += b"traceparent: ", traceparent, b"\r\n"
    parts.append(_VIA_LINE if http_1_1 else _VIA_OF_1_0)
    if authorization is not None:
        parts += b"Authorization: ", authorization, b"\r\n"
    return b"".join(parts)


def own_authorization(told: Told) -> bytes | None:
    """Return the caller's own Authorization, for operations that the policy lists; None unless there is exactly one."""
    values = told.get(b"authorization", ())
    return values[0] if len(values) == 1 else None


def _names_us(via: bytes) -> bool:
    """Whether one of the proxies that a request came through bears our name."""
    words = [hop.split() for hop in via.split(b",")]
    return any(len(hop) > 1 and hop[1].lower().partition(b":")[0] == PSEUDONYM for hop in words)


def attempt_number(told: Told) -> int:
    """Return which attempt this is by a mesh's own word, 1 when it says nothing that can be read.

    It only tells: a repeat may be the first that reaches us, so that refusing it could lose a payment.
    """
    values = told.get(MESH_ATTEMPT, ())
    return max([1, *(int(value) for value in values if value.isdigit() and len(value) <= _MOST_DIGITS)])


def forwards_left(method: str, told: Told) -> int | None:
    """Return how often an OPTIONS request may still be passed on (RFC 9110 section 7.6.2), None without a limit.

    Raises:
        BadRequestError: the field of an OPTIONS request is no number. For other methods it says nothing.
    """
    values = told.get(_MAX_FORWARDS)
    if method != "OPTIONS" or values is None:
        return None
    if len(values) != 1 or not values[0].isdigit():
        detail = "Max-Forwards is not one plain number."
        raise BadRequestError(detail)
    digits = values[0].lstrip(b"0")
    return _MOST_FORWARDS + 1 if len(digits) > len(str(_MOST_FORWARDS)) else int(digits or b"0")


def passed_on(lines: bytes, left: int) -> bytes:
    """Return the lines of fields as they go on, with Max-Forwards one less than what was left."""
    return _FORWARDS_LINE.sub(lambda line: b"%b: %d" % (line[1], left - 1), lines)
