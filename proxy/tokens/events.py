"""Declares what the keeper reports to logs and metrics; no token, no credential, no text of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from proxy.tokens.issuer import FetchResult
    from proxy.tokens.model import Grant
    from proxy.upstream.model import Obstacle


class TokenFetched(NamedTuple):
    """A fetch ended.

    Attributes:
        grant: what was tried.
        result: how it ended.
        seconds: how long it took.
        generation: of the token held afterwards, 0 without one.
        reason: why it failed, in words of ours; empty when it did not.
        status: the HTTP status of a failure, if there was an answer.
        headroom: seconds that the replaced token could still have been injected; None when none was replaced.
        skew: the server's clock minus ours in seconds, if the answer told.
        retry_in: seconds until the loop will act again; 0 for at once, and while it is locked.
        offered: whether it was a login with new credentials that have yet to take the place of those in use.
        obstacle: what kept a connection from coming about; None when there was one.
    """

    grant: Grant
    result: FetchResult
    seconds: float
    generation: int
    reason: str
    status: int | None
    headroom: float | None
    skew: float | None
    retry_in: float
    offered: bool = False
    obstacle: Obstacle | None = None


class TokenDisputed(NamedTuple):
    """The API refused a token.

    Attributes:
        generation: the token's.
        renewing: whether a newer one is held or will be fetched.
        lagging: whether the token is so new that the node that refused it may not know it yet; it is tried again.
    """

    generation: int
    renewing: bool
    lagging: bool = False
