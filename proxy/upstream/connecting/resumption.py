"""Remembers the TLS session by which the next handshake with the origin is short (RFC 8446 section 2.2, RFC 5077).

No early data is ever sent: Python's ssl has no way to. A session is of the context that verified the certificate, and
serves for an hour after that, since the certificate is not shown again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from proxy.upstream.connecting.channel import Channel

LASTS: Final = 3600.0  # seconds
_ANEW: Final = 1.0  # seconds after which a newer session is taken: to copy one takes 0.2 ms


class Resumption:
    """The newest session of one context; `now` is a clock that counts suspended time too."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._session: ssl.SSLSession | None = None
        self._verified_at = 0.0
        self._learned_at = -math.inf

    @property
    def session(self) -> ssl.SSLSession | None:
        """What to begin a handshake with; None for a whole one."""
        if self._now() - self._verified_at >= LASTS:
            self._session = None
        return self._session

    def learn(self, channel: Channel) -> None:
        """Take the session of a connection whose first answer has come, and the origin's tickets with it."""
        now = self._now()
        if 0 <= now - self._learned_at < _ANEW:
            return
        session = channel.session
        if session is None or not session.has_ticket or (channel.resumed and self.session is None):
            return
        if not channel.resumed:
            self._verified_at = now
        self._session, self._learned_at = session, now
