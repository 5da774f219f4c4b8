"""Which operation does a request target mean, and does it mean the same to everyone who may read it on its way?

Pure. The target itself is forwarded byte for byte, so only what it means is returned, or a refusal raised.
It must never let pass a target that another reader would take for a token endpoint, or for another operation.

What is accepted: origin-form (RFC 9112 section 3.2.1) in visible ASCII without `#`. Spaces, controls and bytes beyond
ASCII are refused in path and query alike, since servers disagree about them; so are, in the path, percent escapes that
are malformed or stand for a control. The query is passed on as it is, malformed escapes included, and never read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from proxy.errors import BadTargetError, OperationForbiddenError
from proxy.relay.operations import OTHER, match

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.relay.operations import Match, Operation

# Whatever reads such a path, it reads the same: RFC 3986's pchar without `%` and `;`, no segment that is empty or
# begins with a dot, and any query.
_PLAIN: Final = re.compile(rb"((?:/(?!\.)[\w\-.~!$&'()*+,=:@]++)++/?)(?:\?[!\"$-~]*+)?").fullmatch
_ACCEPTABLE: Final = re.compile(rb"/[!\"$-~]*").fullmatch
_MALFORMED_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})").search
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]").search
_SLASHES: Final = re.compile("/{2,}")
_PARAMETERS: Final = re.compile(";[^/]*")
_TOKEN_ENDPOINTS: Final = "/api/token"  # noqa: S105 - a path
# A double encoding is undone by two servers in a row; nobody decodes three times.
_DECODINGS: Final = 2
# Honest targets have one or two readings.
_MOST_READINGS: Final = 32


def read_target(raw: bytes, method: str) -> Match:
    """Tell what a request target means.

    Args:
        raw: the target as it was received.
        method: the request's method, in upper case.

    Returns:
        The operation and the id in the path.

    Raises:
        OperationForbiddenError: it names a token endpoint, or a path below one, in any case of letters.
        BadTargetError: it is not origin-form, or has two readings.
    """
    plain = _PLAIN(raw)
    path = _path(raw) if plain is None else plain[1].decode("ascii")
    found = match(method, path)
    if found.operation is OTHER and _is_token_endpoint(path):
        raise OperationForbiddenError(_TOKEN_DETAIL)
    if found.contested:
        raise BadTargetError(_CONTESTED_DETAIL)
    if plain is None:
        _compare_readings(path, method, found.operation)
    return found


_TOKEN_DETAIL: Final = "The token endpoints are the sidecar's own; call any other operation, it brings the token."  # noqa: S105 - a text
_CONTESTED_DETAIL: Final = (
    "The path fits two operations, since its id is a word of Localpayment's own paths; use an id that is not."
)
_FORM_DETAIL: Final = (
    "The request target must be a path with an optional query, in visible ASCII without '#'; percent-encode the rest."
)
_ESCAPE_DETAIL: Final = "The path holds a malformed percent escape, or one that stands for a control character."
_READINGS_DETAIL: Final = (
    "The path can be read in more than one way (dot segments, '//', ';', '\\', encoded separators or double encoding); "
    "send the plain path, each parameter percent-encoded once."
)


def _path(raw: bytes) -> str:
    if not _ACCEPTABLE(raw):
        raise BadTargetError(_FORM_DETAIL)
    path = raw.partition(b"?")[0].decode("ascii")
    if _MALFORMED_ESCAPE(path):
        raise BadTargetError(_ESCAPE_DETAIL)
    return path


def _compare_readings(path: str, method: str, operation: Operation) -> None:
    for reading, only_decoded in _readings(path):
        if _CONTROL(reading):
            raise BadTargetError(_ESCAPE_DETAIL)
        found = match(method, reading)
        # An encoded slash is data of its parameter (card tokens hold some), unless decoding makes it a known path.
        is_data = only_decoded and found.operation is OTHER
        differs = found.contested or (found.operation is not operation and not is_data)
        if differs or _is_token_endpoint(reading):
            raise BadTargetError(_READINGS_DETAIL)


def _readings(path: str) -> Iterator[tuple[str, bool]]:
    """Give every path that some reader may make of this one, and whether decoding it once was all it took.

    Readers decode, cut parameters, resolve dots and so on in orders of their own, so every order is followed.
    """
    waiting = [(path, 0, True)]
    seen = set(waiting)
    for reading, decodings, only_decoded in waiting:
        following = [(changed, decodings, False) for changed in _rewritten(reading)]
        # Adjacent slashes are common in encoded base64, and mean no more than the slashes themselves.
        following.append((_SLASHES.sub("/", reading), decodings, only_decoded))
        if decodings < _DECODINGS:
            following.append((_decoded(reading), decodings + 1, only_decoded and not decodings))
        for step in following:
            if step[0] != reading and step not in seen:
                seen.add(step)
                waiting.append(step)
                yield step[0], step[2]
        if len(waiting) > _MOST_READINGS:
            raise BadTargetError(_READINGS_DETAIL)


def _rewritten(path: str) -> Iterator[str]:
    yield path.replace("\\", "/")
    yield _PARAMETERS.sub("", path)
    yield _without_dots(path)
    # Decoded first and parted from the query later.
    yield path.partition("?")[0].partition("#")[0]
    # A network-path reference (RFC 3986 section 4.2): what follows two slashes is a host.
    if path.startswith("//"):
        yield "/" + path[2:].partition("/")[2]


def _without_dots(path: str) -> str:
    """Resolve dot segments as RFC 3986 section 5.2.4 does."""
    segments = path.split("/")
    if "." not in segments and ".." not in segments:
        return path
    kept: list[str] = []
    for segment in segments[1:]:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


def _decoded(path: str) -> str:
    """Undo percent-encoding byte by byte; what the bytes mean as text decides nothing here."""
    return unquote_to_bytes(path.encode("latin-1")).decode("latin-1") if "%" in path else path


def _is_token_endpoint(path: str) -> bool:
    """Whether a path is /api/token or below it; a server behind a case-insensitive router knows it in any case."""
    size = len(_TOKEN_ENDPOINTS)
    return path[:size].lower() == _TOKEN_ENDPOINTS and path[size : size + 1] in {"", "/"}
