"""Decides which header fields of a request cross towards Localpayment. Pure.

Order and bytes of what crosses stay as they are: `X-Capture: true` decides between a hold and a charge.
It must never let a caller take our Authorization away, add a second, or change an operation after it was judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.errors import BadRequestError
from proxy.relay.fields import (
    FOLD,
    HOP_BY_HOP,
    MEANING,
    PSEUDONYM,
    connection_options,
    via_field,
    without_named,
)
from proxy.relay.trace_context import is_request_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.relay.fields import Field

_DROPPED_FROM_REQUESTS: Final = HOP_BY_HOP | {
    # The credential, the host and the framing are ours to write; `Expect` was answered here.
    b"authorization", b"host", b"content-length", b"expect",
    # Who calls from where is no business of Localpayment's, and no claim of the caller's is passed on as ours.
    b"forwarded", b"x-real-ip", b"cookie", b"cookie2",
    # The caller's key to the policy.
    b"x-proxy-key",
}  # fmt: skip
_DROPPED_REQUEST_PREFIXES: Final = (b"proxy-", b"x-forwarded-")
# Some frameworks carry out the operation that these name instead of the one in the request line, which was judged.
_OVERRIDES: Final = frozenset(
    (
        b"x-http-method-override", b"x-http-method", b"x-http-verb", b"x-method-override", b"x-original-method",
        b"x-original-url", b"x-original-uri", b"x-rewrite-url", b"x-rewrite-uri", b"x-script-name",
    )
)  # fmt: skip
_DECISIVE: Final = (HOP_BY_HOP - {b"connection"}) | _OVERRIDES | {b"via", b"expect"}
_WATCHED: Final = _OVERRIDES | {b"via", b"x-request-id"}


def headers_to_upstream(
    headers: Iterable[Field], *, authorization: bytes | None, request_id: bytes, version: bytes = b"1.1"
) -> list[Field]:
    """Return the fields that go to Localpayment, without Host and framing.

    Args:
        headers: the caller's, raw.
        authorization: value of the only Authorization that is sent; None sends none. The caller's is never passed on
            as it is: see `own_authorization`.
        request_id: sent as X-Request-Id unless the caller sent exactly one that is usable.
        version: of HTTP, as the caller speaks it.

    Raises:
        BadRequestError: Connection names a field that changes the call's meaning; a field would override the method or
            path; or the request came through this sidecar already.
    """
    kept: list[Field] = []
    options: set[bytes] = set()
    request_ids: list[Field] = []
    for field in headers:
        name = field[0].translate(FOLD)
        if name in _DROPPED_FROM_REQUESTS:
            if name == b"connection":
                options |= connection_options(field[1])
        elif name in _WATCHED:
            _judge(name, field[1])
            kept.append(field)
            if name == b"x-request-id":
                request_ids.append(field)
        elif not name.startswith(_DROPPED_REQUEST_PREFIXES):
            kept.append(field)
    if options & MEANING:
        detail = "Connection names a header field that changes the call's meaning; remove it from Connection."
        raise BadRequestError(detail)
    kept = without_named(kept, options)
    if len(request_ids) != 1 or not is_request_id(request_ids[0][1]):
        kept = [field for field in kept if field not in request_ids]
        kept.append((b"X-Request-Id", request_id))
    kept.append(via_field(version))
    if authorization is not None:
        kept.append((b"Authorization", authorization))
    return kept


def crosses(name: bytes) -> bool | None:
    """Tell of a field of a request, by its name in lower case, whether it goes to Localpayment.

    None when its value, or other fields, decide that or the call itself. Connection does not cross; it says nothing
    more as long as it is `keep-alive` or `close`. So does X-Request-Id as long as there is one that is usable.
    """
    if name in _DECISIVE or b"_" in name:
        return None
    return name not in _DROPPED_FROM_REQUESTS and not name.startswith(_DROPPED_REQUEST_PREFIXES)


def own_authorization(headers: Iterable[Field]) -> bytes | None:
    """Return the caller's own Authorization, for operations that the policy lists; None unless there is exactly one."""
    values = [value for name, value in headers if name.translate(FOLD) == b"authorization"]
    return values[0] if len(values) == 1 else None


def _judge(name: bytes, value: bytes) -> None:
    if name in _OVERRIDES:
        detail = "A header field would override the method or path; send the request with the method and path meant."
        raise BadRequestError(detail)
    if name == b"via":
        for hop in value.split(b","):
            words = hop.split()
            if len(words) > 1 and words[1].lower().partition(b":")[0] == PSEUDONYM:
                detail = "The request came through a sidecar already; LOCALPAYMENT_BASE_URL may be the sidecar's own."
                raise BadRequestError(detail)
