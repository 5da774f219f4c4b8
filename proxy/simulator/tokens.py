"""Issues and checks the simulator's tokens.

Simple JWT's rules with the claims of Localpayment's samples: no `iat`, an integer `user_id`. No I/O; the time is an
argument. No token is kept, only the ids of those issued.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

import jwt

if TYPE_CHECKING:
    from proxy.secret import Secret

# Claims of the documented sample tokens, other than those that identify the token itself.
CLAIMS = {
    "user_id": 1,
    "superuser": False,
    "is_staff": False,
    "roles": ["ALL"],
    "countries": ["ALL"],
    "company": "0001",
    "client_code": "0001",
}
# RFC 7518 section 3.2: an HS256 key has at least 256 bits.
KEY_BYTES = 32

Kind = Literal["access", "refresh"]


class User(StrEnum):
    """What became of the account."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    DELETED = "deleted"


class TokenError(Exception):
    """A token that is not accepted; the message is Simple JWT's."""


@dataclass(slots=True)
class Account:
    """The one user. Without username and password any non-empty pair logs in."""

    username: Secret | None = None
    password: Secret | None = None
    user: User = User.ACTIVE
    # Simple JWT's CHECK_REVOKE_TOKEN: a token carries the password it was issued under.
    revoke_check: bool = False
    password_generation: int = 0

    def accepts(self, username: Secret, password: Secret) -> bool:
        """Whether the pair logs in."""
        right_name = self.username is None or self.username == username
        right_password = self.password is None or self.password == password
        return self.user is User.ACTIVE and right_name and right_password

    def change_password(self, password: Secret | None = None, *, revoke_check: bool = False) -> None:
        """Set a new password, or the same one again; with the check, tokens issued before are refused from now on."""
        if password is not None:
            self.password = password
        self.revoke_check = revoke_check
        self.password_generation += 1


@dataclass(frozen=True, slots=True)
class Settings:
    """How tokens are issued; lifetimes in seconds."""

    access_lifetime: float = 300.0
    refresh_lifetime: float = 86400.0
    rotate: bool = False
    blacklist: bool = True


@dataclass(frozen=True, slots=True)
class Issued:
    """What is remembered of a token."""

    kind: Kind
    password_generation: int


@dataclass(slots=True)
class Tokens:
    """Issues, checks, ends."""

    settings: Settings
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(KEY_BYTES), repr=False)
    _issued: dict[str, Issued] = field(default_factory=dict, repr=False)
    _dead: dict[str, str] = field(default_factory=dict, repr=False)

    def pair(self, now: float, password_generation: int) -> dict[str, str]:
        """The body of a login's answer."""
        return {kind: self._issue(kind, now, password_generation) for kind in ("refresh", "access")}

    def refreshed(self, token: str, now: float) -> dict[str, str]:
        """The body of a refresh's answer; with rotation it holds a new refresh token too.

        Raises:
            TokenError: the token is not a living refresh token.
        """
        jti, issued = self._read(token, "refresh", now)
        body = {"access": self._issue("access", now, issued.password_generation)}
        if self.settings.rotate:
            if self.settings.blacklist:
                self._dead[jti] = "Token is blacklisted"
            body["refresh"] = self._issue("refresh", now, issued.password_generation)
        return body

    def check(self, token: str, kind: Kind, now: float) -> Issued:
        """What is known of a living token of this kind.

        Raises:
            TokenError: it is none.
        """
        return self._read(token, kind, now)[1]

    def revoke(self, *kinds: Kind) -> int:
        """End every token of these kinds, all without arguments, issued so far; returns how many were alive in this."""
        return self._end({"access": "Token is invalid", "refresh": "Token is blacklisted"}, kinds)

    def expire(self, *kinds: Kind) -> int:
        """Answer for every token of these kinds, all without arguments, issued so far as if its time were over."""
        return self._end({"access": "Token is expired", "refresh": "Token is expired"}, kinds)

    def signed(self, claims: dict[str, object]) -> str:
        """A token with the server's signature and any claims."""
        return jwt.encode(claims, self._key, algorithm="HS256")

    def _end(self, reasons: dict[Kind, str], kinds: tuple[Kind, ...]) -> int:
        ended = {jti: reasons[token.kind] for jti, token in self._issued.items() if token.kind in (kinds or reasons)}
        fresh = ended.keys() - self._dead.keys()
        self._dead = ended | self._dead
        return len(fresh)

    def _issue(self, kind: Kind, now: float, password_generation: int) -> str:
        lifetime = self.settings.access_lifetime if kind == "access" else self.settings.refresh_lifetime
        jti = uuid.uuid4().hex
        self._issued[jti] = Issued(kind, password_generation)
        return self.signed({"token_type": kind, "exp": int(now + lifetime), "jti": jti, **CLAIMS})

    def _read(self, token: str, kind: Kind, now: float) -> tuple[str, Issued]:
        # PyJWT would ask the system's clock; the simulator's may be set.
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                options={"require": ["exp", "jti"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            message = "Token is invalid"
            raise TokenError(message) from error
        jti, issued = claims["jti"], self._issued.get(claims["jti"])
        if claims.get("iat", now) > now:
            refusal = "Token is invalid"
        elif claims["exp"] <= now:
            refusal = "Token is expired"
        elif jti in self._dead:
            refusal = self._dead[jti]
        elif issued is None or claims.get("token_type") != kind:
            refusal = "Token has wrong type"
        else:
            return jti, issued
        raise TokenError(refusal)
