"""Which header fields cross, towards Localpayment and towards the caller?

Pure. Order and bytes of what crosses stay as they are: `X-Capture: true` decides between a hold and a charge.
It must never let a caller take our Authorization away, add a second, or change an operation after it was judged.

Names are compared with case folded and `_` read as `-`: CGI and WSGI servers read `X_Forwarded_For` so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.errors import BadRequestError
from proxy.relay.location import REFERENCES, is_plain_path, reference_to_caller
from proxy.relay.trace import is_request_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.config import Origin

    Field = tuple[bytes, bytes]

PSEUDONYM: Final = b"localpayment-proxy"

_FOLD: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_", b"abcdefghijklmnopqrstuvwxyz-")
_VIA: Final = (b"Via", b"1.1 " + PSEUDONYM)
VIA: Final = b": ".join(_VIA)  # the line that goes both ways
# RFC 9110 section 7.6.1, with the Upgrade parameter of RFC 7540 section 3.2.1.
_HOP_BY_HOP: Final = frozenset(
    (b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings")
)
_DROPPED_FROM_REQUESTS: Final = _HOP_BY_HOP | {
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
_DECISIVE: Final = (_HOP_BY_HOP - {b"connection"}) | _OVERRIDES | {b"via", b"expect"}
_WATCHED: Final = _OVERRIDES | {b"via", b"x-request-id"}
_DROPPED_FROM_ANSWERS: Final = _HOP_BY_HOP | {b"authorization", b"set-cookie", b"set-cookie2"}
# Connection may name none of these, since without it the call, or the answer, would be another one.
_MEANING: Final = frozenset(
    (
        b"x-capture", b"x-client-code", b"x-version", b"x-request-id", b"idempotency-key", b"via",
        b"content-type", b"content-encoding", b"content-language", b"content-range", b"content-disposition",
        b"content-md5", b"content-digest", b"digest", b"accept", b"accept-encoding", b"accept-language", b"range",
        b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"cache-control",
    )
)  # fmt: skip
_MEANING_OF_ANSWERS: Final = _MEANING | {
    b"content-length", b"content-location", b"location", b"retry-after", b"www-authenticate", b"etag", b"date",
    b"last-modified", b"expires", b"vary", b"allow", b"link", b"proxy-status",
}  # fmt: skip
# What Connection holds in honest traffic.
_USUAL_OPTIONS: Final = frozenset((b"keep-alive", b"close", b"te", b"upgrade"))
# An item of a structured field's list up to its parameters, and these (RFC 9651); enough to part members.
_MEMBER: Final = re.compile(
    rb'[ \t]*+((?:"(?:[^"\\]|\\.)*+"|[^",;])*+)((?:;(?:"(?:[^"\\]|\\.)*+"|[^",])*+)?+)(?:,|\Z)', re.DOTALL
)


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
        name = field[0].translate(_FOLD)
        if name in _DROPPED_FROM_REQUESTS:
            if name == b"connection":
                options |= _options(field[1])
        elif name in _WATCHED:
            _judge(name, field[1])
            kept.append(field)
            if name == b"x-request-id":
                request_ids.append(field)
        elif not name.startswith(_DROPPED_REQUEST_PREFIXES):
            kept.append(field)
    if options & _MEANING:
        detail = "Connection names a header field that changes the call's meaning; remove it from Connection."
        raise BadRequestError(detail)
    kept = _without(kept, options)
    if len(request_ids) != 1 or not is_request_id(request_ids[0][1]):
        kept = [field for field in kept if field not in request_ids]
        kept.append((b"X-Request-Id", request_id))
    kept.append(_via(version))
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


def headers_to_caller(
    headers: Iterable[Field],
    *,
    origin: Origin | None = None,
    request_id: bytes | None = None,
    version: bytes = b"1.1",
) -> list[Field]:
    """Return the fields that go to the caller; Content-Length stays as it was, other framing does not.

    Args:
        headers: Localpayment's, raw.
        origin: Localpayment's; references to it come to lead to the sidecar. None leaves them.
        request_id: sent as X-Request-Id unless Localpayment sent one.
        version: of HTTP, as Localpayment speaks it.
    """
    kept: list[Field] = []
    options: set[bytes] = set()
    for field in headers:
        name = field[0].translate(_FOLD)
        if name in _DROPPED_FROM_ANSWERS:
            if name == b"connection":
                options |= _options(field[1])
        elif name == b"x-request-id":
            request_id = None
            kept.append(field)
        elif name in REFERENCES and origin is not None:
            kept.append((field[0], reference_to_caller(field[1], origin)))
        elif name.startswith(b"proxy-"):
            value = _without_ours(field[1]) if name == b"proxy-status" else b""
            if value:
                kept.append(field if value == field[1] else (field[0], value))
        else:
            kept.append(field)
    kept = _without(kept, options - _MEANING_OF_ANSWERS)
    if request_id is not None:
        kept.append((b"X-Request-Id", request_id))
    kept.append(_via(version))
    return kept


def answer_crosses(name: bytes, value: bytes) -> bool | None:
    """Tell of a field of an answer, by its name in lower case, whether it goes to the caller.

    None when other fields decide that, or it is passed on changed.
    """
    if b"_" in name or name.startswith(b"proxy-") or (name == b"connection" and not _options(value) <= _USUAL_OPTIONS):
        return None
    if name in REFERENCES and not is_plain_path(value):
        return None
    return name not in _DROPPED_FROM_ANSWERS


def own_authorization(headers: Iterable[Field]) -> bytes | None:
    """Return the caller's own Authorization, for operations that the policy lists; None unless there is exactly one."""
    values = [value for name, value in headers if name.translate(_FOLD) == b"authorization"]
    return values[0] if len(values) == 1 else None


def _options(value: bytes) -> set[bytes]:
    return {option.strip(b" \t").translate(_FOLD) for option in value.split(b",")} - {b""}


def _without(fields: list[Field], names: set[bytes]) -> list[Field]:
    if names <= _USUAL_OPTIONS:
        return fields
    return [field for field in fields if field[0].translate(_FOLD) not in names]


def _via(version: bytes) -> Field:
    return _VIA if version == b"1.1" else (b"Via", version + b" " + PSEUDONYM)


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


def _without_ours(value: bytes) -> bytes:
    """Return a Proxy-Status list without the members that bear our name; empty when it cannot be read."""
    members: list[bytes] = []
    imitated = False
    at = 0
    while at < len(value):
        found = _MEMBER.match(value, at)
        if found is None:
            return b""
        at = found.end()
        if found[1].strip(b' \t"').replace(b"\\", b"").lower() == PSEUDONYM:
            imitated = True
        else:
            members.append((found[1] + found[2]).strip(b" \t"))
    return b", ".join(members) if imitated else value
