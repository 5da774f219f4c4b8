"""Composes the answers of our own, byte for byte.

Pure. RFC 9457 problem details and an RFC 9209 Proxy-Status field; only the request id may come from the wire.
"""

from __future__ import annotations

import json
import math
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.errors import RelayError
    from proxy.relay.record import Record

PRODUCT: Final = "localpayment-proxy"
TYPE_PREFIX: Final = f"urn:{PRODUCT}:error:"
MEDIA_TYPE: Final = "application/problem+json"
_ALLOW: Final = "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


def problem(error: RelayError, *, operation: str, request_id: str, check: str | None) -> dict[str, object]:
    """Return the members of the problem.

    Args:
        error: what is answered.
        operation: name of the catalogue, or `other`.
        request_id: as it is logged.
        check: path of the read that settles an unknown outcome, None when the id is not known.
    """
    members: dict[str, object] = {
        "type": TYPE_PREFIX + error.code,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "outcome": error.outcome.value,
        "retryable": error.retryable,
        "operation": operation,
        "request_id": request_id,
        **error.more,
    }
    return members if check is None else {**members, "check": check}


def problem_head(error: RelayError, *, request_id: str, date: str, length: int, close: bool) -> bytes:
    """Return the head of the answer that carries a problem of `length` bytes; `date` is the Date field's value."""
    fields = [
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}",
        f"Content-Type: {MEDIA_TYPE}",
        f"Content-Length: {length}",
        f"Date: {date}",
        "Cache-Control: no-store",
        f'Proxy-Status: {PRODUCT}; error={error.proxy_status}; details="{error.code}"',
        f"X-Request-Id: {request_id}",
    ]
    if error.retry_after is not None:
        fields.append(f"Retry-After: {max(math.ceil(error.retry_after), 1)}")
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        fields.append(_ALLOW)
    if close:
        fields.append("Connection: close")
    return "\r\n".join([*fields, "\r\n"]).encode("latin-1")


def options_head(*, request_id: str, date: str, close: bool) -> bytes:
    """Return the answer to an OPTIONS request that may be passed on no more (RFC 9110 section 7.6.2)."""
    fields = ["HTTP/1.1 204 No Content", _ALLOW, f"Date: {date}", f"X-Request-Id: {request_id}"]
    if close:
        fields.append("Connection: close")
    return "\r\n".join([*fields, "\r\n"]).encode("latin-1")


def problem_body(members: dict[str, object]) -> bytes:
    """Return the members as one line of JSON."""
    return json.dumps(members, ensure_ascii=False).encode() + b"\n"


def own_answer(error: RelayError, record: Record, *, check: str | None, close: bool) -> tuple[bytes, bytes]:
    """Return head and body of an answer of our own."""
    body = problem_body(problem(error, operation=record.operation, request_id=record.request_id, check=check))
    date = formatdate(usegmt=True)
    return problem_head(error, request_id=record.request_id, date=date, length=len(body), close=close), body
