"""Performs the TLS handshake, then hands over the connection.

It must never hand over a connection whose certificate is not the origin's.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final, cast

from proxy.upstream.connecting.channel import Channel
from proxy.upstream.model import ConnectError, Obstacle

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.upstream.connecting.connect import Route

# The verification errors of OpenSSL that have a cure of their own: X509_V_ERR_… in openssl/x509_vfy.h.
_CERTIFICATES: Final = {9: Obstacle.NOT_VALID_YET, 10: Obstacle.EXPIRED, 62: Obstacle.OTHER_HOST}


def obstacle(error: ssl.SSLError) -> Obstacle:
    """Return what a handshake that failed with an error of OpenSSL's met."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATES.get(error.verify_code, Obstacle.UNTRUSTED)
    return Obstacle.ALERT if "ALERT" in (error.reason or "") else Obstacle.HANDSHAKE


class Handshake(asyncio.Protocol):
    """A connection's protocol until TLS is agreed on.

    Args:
        route: to the origin.
        context: verifies certificate and name.
        done: given transport and channel once TLS is agreed on.

    Attributes:
        ended: set once TLS is agreed on, or failed with ConnectError.
    """

    def __init__(
        self, route: Route, context: ssl.SSLContext, done: Callable[[asyncio.Transport, Channel], None]
    ) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._host = route.origin.host
        self._done = done
        self._pace = route.pace
        self._channel = Channel(context, self._host, route.resumption.session)
        self._came: bytes | None = None  # and has yet to be looked at
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the ClientHello."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        self.data_received(b"")

    def data_received(self, data: bytes) -> None:
        """Go on with the handshake when it is its turn."""
        if self._came is None:
            self._came = data
            self._pace.run(self._step)
        else:
            self._came += data

    def _step(self) -> None:
        data, self._came = self._came, None
        if data is None or self.ended.done():
            return
        done, failure = False, None
        try:
            done = self._channel.handshake(data)
        except ssl.SSLCertVerificationError as error:
            failure = obstacle(error), f"the certificate of {self._host} is not trusted: {error.verify_message}"
        except ssl.SSLError as error:
            failure = obstacle(error), f"the TLS handshake with {self._host} failed: {error.reason}"
        records = self._channel.outgoing()
        if records and not self._transport.is_closing():
            self._transport.write(records)
        if failure is not None:
            self._fail(*failure)
        elif done:
            self._done(self._transport, self._channel)
            self.ended.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Fail: the connection has ended, and what came before does not complete the handshake."""
        self._step()
        self._fail(Obstacle.HANDSHAKE, f"the connection ended during the TLS handshake with {self._host}")

    def _fail(self, met: Obstacle, detail: str) -> None:
        if not self.ended.done():
            self.ended.set_exception(ConnectError(met, detail))
            self.ended.exception()  # no error when the call has given up
