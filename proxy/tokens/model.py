"""Holds tokens: their text, their generation and the moments at which they are renewed and expire.

Pure. `exp` is read, never trusted for authorization; nothing here may show a token's text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import jwt

from proxy.secret import Secret
from proxy.tokens.lifetimes import DATE_UNCERTAINTY, LOCAL_UNCERTAINTY, Clocks, clamped, lifetime

if TYPE_CHECKING:
    from jwt.types import Options

__all__ = [
    "DATE_UNCERTAINTY",
    "LOCAL_UNCERTAINTY",
    "AccessToken",
    "Claims",
    "Grant",
    "Issued",
    "RefreshToken",
    "UnusableTokenError",
    "access_token",
    "claims",
    "read_answer",
    "refresh_token",
]

DOCUMENTED_REFRESH_LIFETIME = 86400.0  # seconds; Localpayment's documentation, where the token does not tell

_READ_ONLY: Options = {"verify_signature": False}  # PyJWT then checks no claim either; the key is Localpayment's


class Grant(StrEnum):
    """How a token is got; OAuth's grant names."""

    PASSWORD = "password"  # noqa: S105 - the grant's name
    REFRESH = "refresh_token"


class UnusableTokenError(ValueError):
    """An answer holds no token that could be used; the text says what was wrong and quotes nothing."""


class Issued(NamedTuple):
    """What one 200 answer of a token endpoint says, its times already on our clock.

    Attributes:
        access: the access token.
        access_lifetime: seconds from `sent_at` to its expiry, clamped to 1 s … 24 h.
        refresh: a refresh token that came along, or None.
        refresh_lifetime: seconds from `sent_at` to the expiry of `refresh`; 0 without one.
        sent_at: clock reading before the request was sent; lifetimes are anchored here, so delay only shortens them.
        uncertainty: seconds by which the lifetimes may be too long.
        skew: the server's clock minus our wall clock in seconds, or None without a Date field.
    """

    access: Secret
    access_lifetime: float
    refresh: Secret | None
    refresh_lifetime: float
    sent_at: float
    uncertainty: float
    skew: float | None


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The token that calls carry.

    Attributes:
        header: the Authorization field's value, built once.
        generation: counts grants; the token's identity in every later discussion.
        grant: how it was got.
        sent_at: when its request was sent.
        refresh_at: from here on a background refresh is due.
        join_at: from here on callers join a refresh in flight.
        stop_at: from here on it is injected no more, unless no newer one is to be had.
        expires_at: when Localpayment stops accepting it.
    """

    header: bytes = field(repr=False)
    generation: int
    grant: Grant
    sent_at: float
    refresh_at: float
    join_at: float
    stop_at: float
    expires_at: float


class RefreshToken(NamedTuple):
    """What buys the next access token.

    Attributes:
        value: the token itself.
        login_at: from here on a password login replaces it early.
        expires_at: when Localpayment stops accepting it.
    """

    value: Secret
    login_at: float
    expires_at: float


def access_token(issued: Issued, generation: int, grant: Grant, chance: float) -> AccessToken:
    """Place an access token's moments on our clock.

    Args:
        issued: the answer.
        generation: the new token's number.
        grant: how it was got.
        chance: a number in [0, 1) that spreads the refresh point over 15 % of the lifetime.

    The fractions are DESIGN section 5's; for 300 s: refresh at 135-180 s, join at 270 s, stop at 295-297 s.
    """
    lifetime, start = issued.access_lifetime, issued.sent_at
    return AccessToken(
        header=b"Bearer " + issued.access.reveal().encode("ascii"),
        generation=generation,
        grant=grant,
        sent_at=start,
        refresh_at=start + 0.60 * lifetime - chance * 0.15 * lifetime,
        join_at=start + lifetime - max(min(30.0, 0.1 * lifetime), min(10.0, lifetime / 3)),
        stop_at=start + lifetime - min(2.0 + issued.uncertainty, lifetime / 5),
        expires_at=start + lifetime,
    )


def refresh_token(value: Secret, issued: Issued, chance: float) -> RefreshToken:
    """Place a refresh token's moments on our clock; `chance` in [0, 1) puts the early login at 80-92 % of its life."""
    return RefreshToken(
        value=value,
        login_at=issued.sent_at + (0.80 + 0.12 * chance) * issued.refresh_lifetime,
        expires_at=issued.sent_at + issued.refresh_lifetime,
    )


class Claims(NamedTuple):
    """What a JWT says of its own time, in seconds since the epoch; `iat` is None where it has none of use."""

    exp: float
    iat: float | None


def claims(token: str) -> Claims | None:
    """Read a JWT's claims without verifying anything.

    Returns:
        The claims, or None when the text is no JWT or has no finite numeric `exp`.
    """
    try:
        decoded = jwt.decode(token, options=_READ_ONLY)
    except (jwt.InvalidTokenError, ValueError, OverflowError, RecursionError):
        return None
    exp = _moment(decoded.get("exp"))
    return None if exp is None else Claims(exp, _moment(decoded.get("iat")))


def read_answer(body: object, *, sent_at: float, wall: float, date: float | None) -> Issued:
    """Turn a token endpoint's JSON into tokens with lifetimes on our clock.

    Args:
        body: the parsed JSON: `{"access": str}` and perhaps `{"refresh": str}`.
        sent_at: clock reading before the request was sent.
        wall: our wall clock when the answer came, seconds since the epoch.
        date: the answer's Date field, seconds since the epoch, or None.

    Raises:
        UnusableTokenError: the answer has no access token, one that is expired already by the clocks that can be
            believed, or a refresh token of characters that no token has.
    """
    if not isinstance(body, dict):
        message = "the answer is not a JSON object"
        raise UnusableTokenError(message)
    access, refresh = body.get("access"), body.get("refresh")
    if not isinstance(access, str) or not _fits_a_header(access):
        message = "the answer has no access token that a header field can carry"
        raise UnusableTokenError(message)
    if isinstance(refresh, str) and refresh and not _fits_a_header(refresh):
        message = "the refresh token has characters that no token has"
        raise UnusableTokenError(message)
    clocks = Clocks(wall, date)
    read = claims(access)
    if read is None:
        message = "the access token is not a JWT with a numeric exp"
        raise UnusableTokenError(message)
    life = lifetime(read.exp, read.iat, clocks)
    if date is not None and life.seconds <= 0:
        message = "the access token had expired before it arrived"
        raise UnusableTokenError(message)
    refresh_lifetime = _refresh_lifetime(refresh, clocks)
    return Issued(
        access=Secret(access),
        access_lifetime=clamped(life.seconds),
        refresh=None if refresh_lifetime is None else Secret(str(refresh)),
        refresh_lifetime=refresh_lifetime or 0.0,
        sent_at=sent_at,
        uncertainty=life.uncertainty,
        skew=clocks.skew,
    )


def _refresh_lifetime(token: object, clocks: Clocks) -> float | None:
    """Return the seconds that a refresh token lives; None when it is none, or dead: the access token is good anyway."""
    if not isinstance(token, str) or not token:
        return None
    read = claims(token)
    if read is None:
        return DOCUMENTED_REFRESH_LIFETIME
    seconds = lifetime(read.exp, None, clocks).seconds
    if seconds > 0:
        return seconds
    # Without a Date our clock is the only witness, and cannot be right.
    return DOCUMENTED_REFRESH_LIFETIME if clocks.date is None else None


def _moment(claim: object) -> float | None:
    if isinstance(claim, bool) or not isinstance(claim, int | float):
        return None
    try:
        return float(claim) if math.isfinite(claim) else None
    except OverflowError:
        return None


def _fits_a_header(token: str) -> bool:
    """Whether it is visible ASCII, as RFC 6750's b64token is."""
    return bool(token) and token.isascii() and token.isprintable() and " " not in token
