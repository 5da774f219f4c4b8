"""Composes the header fields of a request as they go to Localpayment. Pure.

Order and bytes of what crosses stay as they are: `X-Capture: true` decides between a hold and a charge.
It must never let a caller take our Authorization away, add a second, or change an operation after it was judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.errors import BadRequestError
from proxy.relay.fields import MEANING, PSEUDONYM, VIA, connection_options
from proxy.relay.request.request_fields import CONNECTION, OVERRIDES

if TYPE_CHECKING:
    from proxy.relay.request.request_fields import Told

_LAST: Final = b"%b%b\r\nAuthorization: %b\r\n"
_VIA_OF_1_0: Final = VIA.replace(b"1.1", b"1.0")


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
    if request_id is not None:
        lines += b"X-Request-Id: %b\r\n" % request_id
    if traceparent is not None:
        lines += b"traceparent: %b\r\n" % traceparent
    via = VIA if http_1_1 else _VIA_OF_1_0
    return b"%b%b\r\n" % (lines, via) if authorization is None else _LAST % (lines, via, authorization)


def own_authorization(told: Told) -> bytes | None:
    """Return the caller's own Authorization, for operations that the policy lists; None unless there is exactly one."""
    values = told.get(b"authorization", ())
    return values[0] if len(values) == 1 else None


def _names_us(via: bytes) -> bool:
    """Whether one of the proxies that a request came through bears our name."""
    words = [hop.split() for hop in via.split(b",")]
    return any(len(hop) > 1 and hop[1].lower().partition(b":")[0] == PSEUDONYM for hop in words)
