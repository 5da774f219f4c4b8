"""Says what the server asks of the relay; the relay lies above it, so that the server knows these shapes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from proxy.errors import RelayError
    from proxy.relay.server.connection import CallerConnection
    from proxy.relay.server.incoming_request import IncomingRequest
    from proxy.relay.server.response import Written


class Ride(Protocol):
    """A call that was sent in the turn of the loop in which its request came."""

    def caller_left(self) -> None:
        """Take note that the caller's connection has ended."""
        ...

    async def end(self, seconds: float | None) -> None:
        """Let it end by itself for so many seconds, then cut it."""
        ...


class Relay(Protocol):
    """What answers the requests that arrive.

    Attributes:
        shedding: whether each answer is its connection's last.
    """

    shedding: bool

    def __call__(self, arrival: IncomingRequest) -> Awaitable[Written]:
        """Relay one request; raises nothing."""
        ...

    def express(self, connection: CallerConnection, data: bytes) -> Ride | None:
        """Send the request that these bytes make, if it is ordinary; None means that nothing was done."""
        ...

    def unreadable(self, connection: CallerConnection, error: RelayError) -> None:
        """Refuse what could not be read as a request."""
        ...
