"""What is wrong with a request that the server's parser could not read? Told in our own words.

The parser's text quotes what was sent, and is never passed on.
"""

from __future__ import annotations

from typing import Final

from aiohttp.http_exceptions import BadHttpMessage, BadStatusLine, LineTooLong

from proxy.errors import BadRequestError, HeaderTooLargeError, MethodForbiddenError, RelayError, TargetTooLongError
from proxy.relay.request.request_line import MOST_TARGET

MOST_FIELD: Final = 8190  # bytes of a field's name and value; not MOST_TARGET, so that the parser's error tells which
MOST_FIELDS: Final = 128


def unreadable(error: BaseException | None) -> RelayError:
    """Return what the caller gets for what was raised when its request line had been judged, or by that."""
    match error:
        case RelayError():
            return error
        case BadStatusLine():  # what the parser has against a line that is well-formed is the method
            detail = "The sidecar knows no such method; methods have a case, and are written in upper case."
            return MethodForbiddenError(detail)
        case LineTooLong(args=(_, limit, *_)) if limit == MOST_TARGET:
            detail = f"The request target is longer than {MOST_TARGET} bytes, which is more than the sidecar accepts."
            return TargetTooLongError(detail)
        case LineTooLong():
            detail = f"A header field is longer than {MOST_FIELD} bytes, which is more than the sidecar accepts."
            return HeaderTooLargeError(detail)
        case BadHttpMessage(message="Too many headers received"):
            detail = f"The request has more than {MOST_FIELDS} header fields, which is more than the sidecar accepts."
            return HeaderTooLargeError(detail)
        case _:
            return BadRequestError("The request cannot be read as HTTP/1.1 in exactly one way; nothing was sent.")
