"""How do callers' connections reach the relay? aiohttp's low-level server, with its answers and its log replaced.

aiohttp's own error page and log line quote what a caller sent; neither is ever used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import web

from proxy.relay.arrival import Arrival
from proxy.relay.connection import MOST_FIELD, MOST_FIELDS, MOST_TARGET, CallerConnection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Protocol

    from proxy.errors import RelayError
    from proxy.relay.reply import Written

    class Relay(Protocol):
        """What answers the requests that arrive."""

        def __call__(self, arrival: Arrival) -> Awaitable[Written]:
            """Relay one request; raises nothing."""
            ...

        def unreadable(self, connection: CallerConnection, error: RelayError) -> None:
            """Refuse what could not be read as a request."""
            ...


# Seconds that an idle caller's connection is kept. A proxy that closes first makes callers lose requests in flight, so
# it is as long as Envoy's default.
CALLER_IDLE: Final = 3600.0
MOST_CONNECTIONS: Final = 4096  # the default of PROXY_MAX_CONNECTIONS
READ_AHEAD: Final = 64 * 1024  # bytes of a body; the server holds at most twice that and what the kernel gave last


class Listener(web.Server):
    """The server of the data listener.

    Args:
        relay: answers each request.
        header_timeout: seconds in which a request's head must arrive whole.
        max_connections: callers' connections at once.

    Attributes:
        leaving: connections beyond them that are being told so.
    """

    def __init__(self, relay: Relay, *, header_timeout: float, max_connections: int = MOST_CONNECTIONS) -> None:
        super().__init__(
            cast("Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]", relay),
            request_factory=cast("Any", Arrival),
            auto_decompress=False,
            access_log=None,
            keepalive_timeout=CALLER_IDLE,
            lingering_time=0.0,  # ours tells the caller at once that nothing follows
            max_line_size=MOST_TARGET,
            max_field_size=MOST_FIELD,
            max_headers=MOST_FIELDS,
            read_bufsize=READ_AHEAD,
        )
        self.relay = relay
        self.header_timeout = header_timeout
        self.max_connections = max_connections
        self.leaving = 0
        self._connected = 0

    def enter(self) -> bool:
        """Count a connection; tell whether there is room for it. It leaves in either case."""
        self._connected += 1
        return self._connected - self.leaving <= self.max_connections

    def leave(self) -> None:
        """Count a connection that has ended."""
        self._connected -= 1

    def pre_shutdown(self) -> None:
        """Let each connection take no further request."""
        for connection in self.connections:
            cast("CallerConnection", connection).retire()

    def __call__(self) -> CallerConnection:
        """Make the protocol of a new connection."""
        return CallerConnection(self, self._loop, self._kwargs)
