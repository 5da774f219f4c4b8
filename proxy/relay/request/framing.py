"""Judges where a caller's request ends, and whether it is one that we relay; closes what the parser leaves open.

Pure. What two readers may understand in two ways is refused, never mended: what is forwarded is framed anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.errors import BadRequestError, ExpectationFailedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.relay.request.request_fields import Told

HTTP_1_0: Final = (1, 0)
HTTP_1_1: Final = (1, 1)
_VERSIONS: Final = (HTTP_1_1, HTTP_1_0)

_CONTENT_LENGTH: Final = b"content-length"
_CODING: Final = b"transfer-encoding"
_EXPECT: Final = b"expect"
_UPGRADE: Final = b"upgrade"
_MOST_DIGITS: Final = 18  # fits 63 bits, as in answers; leading zeros are digits too


class Framing(NamedTuple):
    """How a request's body comes.

    Attributes:
        length: the declared Content-Length, None without one.
        waits: whether the caller sends the body only after a 100 (RFC 9110 section 10.1.1).
    """

    length: int | None
    waits: bool


def request_framing(version: tuple[int, int], told: Told) -> Framing:
    """Judge a request's framing.

    Args:
        version: of HTTP, as the request line says it.
        told: values of the fields of a head that a parser accepted.

    Raises:
        BadRequestError: another protocol, or a framing with more than one reading.
        ExpectationFailedError: the caller expects what cannot be promised here.
    """
    if version not in _VERSIONS:
        detail = "The sidecar speaks HTTP/1.1 and HTTP/1.0; send the request as one of them."
        raise BadRequestError(detail)
    for value in told.get(_UPGRADE, ()):
        _check_upgrade(value)
    codings = told.get(_CODING, ())
    for value in codings:
        _check_coding(value, version)
    lengths = [_length(value) for value in told.get(_CONTENT_LENGTH, ())]
    if len(lengths) + len(codings) > 1:
        detail = "Content-Length stands beside Transfer-Encoding, or one of them twice; send one of them."
        raise BadRequestError(detail)
    waits = _EXPECT in told and max(_waits(value, version) for value in told[_EXPECT])
    return Framing(lengths[0] if lengths else None, waits)


def unclear() -> BadRequestError:
    """Return the refusal of a request that two readers could take for two things."""
    return BadRequestError("The request cannot be read as HTTP/1.1 in exactly one way; nothing was sent.")


def _length(value: bytes) -> int:
    if not _is_plain_number(value):
        detail = f"Content-Length is not one plain number of at most {_MOST_DIGITS} digits."
        raise BadRequestError(detail)
    return int(value)


def _check_coding(value: bytes, version: tuple[int, int]) -> None:
    """A coding besides chunked would be lost with the field; a field that names none has a body for some readers."""
    if value.lower() != b"chunked" or version != HTTP_1_1:
        detail = "Transfer-Encoding must be exactly chunked, in HTTP/1.1; send the body with Content-Length otherwise."
        raise BadRequestError(detail)


def _waits(value: bytes, version: tuple[int, int]) -> bool:
    if version == HTTP_1_0:  # "MUST ignore": RFC 9110 section 10.1.1
        return False
    if value.lower() != b"100-continue":
        detail = "The only expectation that the sidecar can meet is 100-continue; send the request without Expect."
        raise ExpectationFailedError(detail)
    return True


def _check_upgrade(value: bytes) -> None:
    """An offer of HTTP/2 may be declined in silence (RFC 9110 section 7.8); a WebSocket makes no sense without it."""
    if any(protocol.strip(b" \t").lower().startswith(b"websocket") for protocol in value.split(b",")):
        detail = "The sidecar relays HTTP requests and no WebSocket; send the request without Upgrade."
        raise BadRequestError(detail)


def declared_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Return the declared Content-Length if it is one that `request_framing` accepts, else None."""
    for name, value in headers:
        if name.lower() == _CONTENT_LENGTH:
            return int(value) if _is_plain_number(value) else None
    return None


def _is_plain_number(value: bytes) -> bool:
    return value.isdigit() and len(value) <= _MOST_DIGITS
