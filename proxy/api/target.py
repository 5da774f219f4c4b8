"""Finds the operation that a request target means, and refuses a target that can be read in two ways.

Pure. The target itself is forwarded byte for byte, so only what it means is returned, or a refusal raised.
It must never let pass a target that another reader would take for a token endpoint, or for another operation.

What is accepted: origin-form (RFC 9112 section 3.2.1) in visible ASCII without `#`. Spaces, controls and bytes beyond
ASCII are refused in path and query alike, since servers disagree about them; so are, in the path, percent escapes that
are malformed, stand for a control or hold no UTF-8. The query is passed on as it is, malformed escapes included; only
a parameter that would override the method is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.api.method_override import names_method
from proxy.api.operations import OTHER, every_match, match
from proxy.api.readings import Change, UnreadableError, readings
from proxy.errors import BadTargetError, OperationForbiddenError

if TYPE_CHECKING:
    from proxy.api.operations import Match, Operation

# Whatever reads such a path, it reads the same but for its case: RFC 3986's pchar without `%` and `;`, no segment that
# is empty, begins with a dot or ends in a dot or `+`, no dot at all in the last one, and any query. No group
# is repeated possessively: CPython before 3.11.5 then misses matches (gh-106052).
_PLAIN: Final = re.compile(
    rb"((?:/(?!\.)[\w\-.~!$&'()*+,=:@]++(?<![.+]))*/[\w\-~!$&'()*+,=:@]++(?<!\+)/?)(?:\?[!\"$-~]*+)?"
).fullmatch
_QUESTION_MARK: Final = ord("?")
_ACCEPTABLE: Final = re.compile(rb"/[!\"$-~]*").fullmatch
_ENCODED_SLASH: Final = re.compile("%2F", re.IGNORECASE).search
_DOT_SEGMENT: Final = re.compile(r"(?:/|%2F)[ +]*\.[ +.]*(?:[/;]|%2F|\Z)", re.IGNORECASE).search
_MALFORMED_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})").search
# A word that only begins so, such as /api/tokens, is another path; /api/token.json or /api/token:x is the endpoint.
_TOKEN_ENDPOINT: Final = re.compile(r"/api/token(?:(/|\Z)|(?![a-z0-9_-]))", re.IGNORECASE).match

_TOKEN_DETAIL: Final = "The token endpoints are the sidecar's own; call any other operation, it brings the token."  # noqa: S105 - a text
_CONTESTED_DETAIL: Final = (
    "The path fits two operations, since its id is a word of Localpayment's own paths; use an id that is not."
)
_METHOD_DETAIL: Final = (
    "The query has a parameter `_method`, which would override the method; send the request with the method meant."
)
_FORM_DETAIL: Final = (
    "The request target must be a path with an optional query, in visible ASCII without '#'; percent-encode the rest."
)
_ESCAPE_DETAIL: Final = (
    "The path holds a percent escape that is malformed, stands for a control or invisible character, or is not UTF-8."
)


def read_target(raw: bytes, method: str) -> Match:
    """Return the operation that a request target means.

    Args:
        raw: the target as it was received.
        method: the request's method, in upper case.

    Returns:
        The operation and the id in the path.

    Raises:
        OperationForbiddenError: it names a token endpoint, or a path below one, in any case of letters.
        BadTargetError: it is not origin-form, has two readings, or names a method in its query.
    """
    plain = _PLAIN(raw)
    path = _path(raw) if plain is None else plain[1].decode("ascii")
    found = match(method, path)
    if found.operation is OTHER:
        _refuse_token_endpoint(path)
    if found.contested:
        raise BadTargetError(_CONTESTED_DETAIL)
    if _QUESTION_MARK in raw and names_method(raw.partition(b"?")[2]):
        raise BadTargetError(_METHOD_DETAIL)
    if plain is None:
        _compare_readings(path, method, found.operation)
    elif not path.islower():
        _compare(match(method, path.lower()), found.operation)
    return found


def _path(raw: bytes) -> str:
    if not _ACCEPTABLE(raw):
        raise BadTargetError(_FORM_DETAIL)
    path = raw.partition(b"?")[0].decode("ascii")
    if _MALFORMED_ESCAPE(path):
        raise BadTargetError(_ESCAPE_DETAIL)
    return path


def _refuse_token_endpoint(path: str) -> None:
    found = _TOKEN_ENDPOINT(path)
    if found is None:
        return
    if found[1] is None:
        raise BadTargetError(_ambiguous("a token endpoint"))
    raise OperationForbiddenError(_TOKEN_DETAIL)


def _compare_readings(path: str, method: str, operation: Operation) -> None:
    slashes = path.count("/")
    try:
        for reading, change in readings(path):
            if _TOKEN_ENDPOINT(reading):
                raise BadTargetError(_ambiguous("a token endpoint"))
            # An encoded slash is data of its parameter (card tokens hold some), unless a known path has one there.
            if _ENCODED_SLASH(reading):
                _compare_slashes(reading, method, operation)
            has_data = change is Change.DECODED and reading.count("/") > slashes
            for spelling in {reading, reading.lower()}:
                _compare(match(method, spelling), operation, has_data=has_data)
    except UnreadableError as error:
        raise BadTargetError(_ESCAPE_DETAIL if error.is_escape else _ambiguous("more than can be followed")) from None


def _compare_slashes(reading: str, method: str, operation: Operation) -> None:
    if _DOT_SEGMENT(reading):
        raise BadTargetError(_ambiguous("another path"))
    if others := every_match(method, reading) - {operation}:
        raise BadTargetError(_ambiguous(min(other.name for other in others)))


def _compare(found: Match, operation: Operation, *, has_data: bool = False) -> None:
    same = found.operation is operation or (has_data and found.operation is OTHER)
    if found.contested or not same:
        raise BadTargetError(_ambiguous(found.operation.name))


def _ambiguous(other: str) -> str:
    return (
        f"The path can be read in more than one way, also as {other}: by letter case, a dot, space or suffix at an "
        "end, dot segments, '//', ';', '\\', encoded separators, letters of another alphabet or double encoding. Send "
        "the path as it is documented, each parameter percent-encoded once."
    )
