"""Says what the server asks of the relay; the relay lies above it, so that the server knows these shapes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection

    from proxy.errors import RelayError
    from proxy.relay.server.connection import CallerConnection
    from proxy.relay.server.incoming_request import IncomingRequest
    from proxy.relay.server.response import Written


class Call(Protocol):
    """A call that is under way on a connection."""

    @property
    def coming(self) -> bool:
        """Whether its body is still coming, and nothing of it was sent."""
        ...

    def give_up(self, error: RelayError) -> None:
        """Refuse it; nothing of it was sent."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Take what of these bytes belongs to its request; return the rest."""
        ...

    def fed(self) -> None:
        """Go on if that was the last of its body."""
        ...

    def stalled(self) -> None:
        """Take note that no more of its body has come in time."""
        ...

    def caller_left(self) -> None:
        """Take note that the caller's connection has ended; told once."""
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

    def knows(self, connection: CallerConnection) -> bool:
        """Whether the connection alone tells of a caller, or none has to be known."""
        ...

    def share_among(self, peers: Collection[str]) -> None:
        """Note from where there are connections."""
        ...

    def begin(self, connection: CallerConnection, data: bytes) -> bool:
        """Carry the request that these bytes begin with; False, and nothing is done, if the parser must read them."""
        ...

    def __call__(self, incoming: IncomingRequest) -> Awaitable[Written]:
        """Relay one request that the parser has read; raises nothing."""
        ...

    def unreadable(self, connection: CallerConnection, error: RelayError) -> None:
        """Refuse what could not be read as a request."""
        ...
