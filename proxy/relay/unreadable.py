"""What is wrong with a request that the server's parser could not read? Told in our own words.

The parser's text quotes what was sent, and is never passed on.
"""

from __future__ import annotations

from typing import Final

from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from proxy.errors import BadRequestError, HeaderTooLargeError, RelayError, TargetTooLongError

MOST_TARGET: Final = 8192  # bytes; nginx and Apache httpd accept as much by default
MOST_FIELD: Final = 8190  # bytes of a field's name and value; not MOST_TARGET, so that the parser's error tells which
MOST_FIELDS: Final = 128


def unreadable(error: BaseException | None) -> RelayError:
    """Return what the caller gets for what the parser raised."""
    match error:
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
