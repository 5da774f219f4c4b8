"""How do callers' connections reach the relay? aiohttp's low-level server, with its answers and its log replaced.

aiohttp's own error page and log line quote what a caller sent; neither is ever used.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import web

from proxy.errors import OverloadedError
from proxy.listening.listener_socket import HANDSHAKE
from proxy.relay.request.request_line import MOST_TARGET
from proxy.relay.server.connection import READ_AHEAD, CallerConnection
from proxy.relay.server.incoming_request import IncomingRequest
from proxy.relay.server.parse_errors import MOST_FIELD, MOST_FIELDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.relay.server.ports import Relay


# Seconds that an idle caller's connection is kept. A proxy that closes first makes callers lose requests in flight, so
# it is as long as Envoy's default.
CALLER_IDLE: Final = 3600.0
# Seconds that an idle caller's connection is kept once the listener has stopped. Pools that are in use send their next
# request within it, and learn from its answer that the connection ends.
PARTING: Final = 2.0
_NEVER: Final = 10 * 365 * 86400.0
# Connections beyond them that are given time to read why they are closed; the others are closed with their answer.
MOST_LEAVING: Final = 64
MOST_CONNECTIONS: Final = 4096  # the default of PROXY_MAX_CONNECTIONS


class Listener(web.Server):
    """The server of the data listener.

    Args:
        relay: answers each request.
        header_timeout: seconds in which a request's head must arrive whole.
        max_connections: callers' connections at once.
        caller_idle: seconds that a connection without a request is kept.
        parting: the same, once the listener has stopped.

    Attributes:
        leaving: connections whose callers are given time to read their last answer.
        stopping: whether no further request is carried.
        empty: set while there is no connection, and none in its handshake.
    """

    def __init__(
        self,
        relay: Relay,
        *,
        header_timeout: float,
        max_connections: int = MOST_CONNECTIONS,
        caller_idle: float = CALLER_IDLE,
        parting: float = PARTING,
    ) -> None:
        super().__init__(
            cast("Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]", relay),
            request_factory=cast("Any", IncomingRequest),
            auto_decompress=False,
            access_log=None,
            keepalive_timeout=_NEVER,  # it does not see what goes express; the connection itself keeps this time
            lingering_time=0.0,  # ours tells the caller at once that nothing follows
            max_line_size=MOST_TARGET,
            max_field_size=MOST_FIELD,
            max_headers=MOST_FIELDS,
            read_bufsize=READ_AHEAD,
        )
        self.relay = relay
        self.header_timeout = header_timeout
        self.max_connections = max_connections
        self.caller_idle = caller_idle
        self.parting = parting
        self.leaving = 0
        self.stopping = False
        self.empty = asyncio.Event()
        self.empty.set()
        self._connected = 0
        self._coming: dict[CallerConnection, asyncio.TimerHandle] = {}
        self._farewells: set[asyncio.Task[None]] = set()

    def enter(self, connection: CallerConnection) -> bool:
        """Count a connection; tell whether there is room for it. It leaves in either case."""
        self._connected += 1
        self.empty.clear()
        if (timer := self._coming.pop(connection, None)) is not None:
            timer.cancel()
        return self._connected - self.leaving <= self.max_connections

    def leave(self) -> None:
        """Count a connection that has ended."""
        self._connected -= 1
        self._look_whether_empty()

    def _never_came(self, connection: CallerConnection) -> None:
        del self._coming[connection]
        self._look_whether_empty()

    def _look_whether_empty(self) -> None:
        if not self._connected and not self._coming:
            self.empty.set()

    def turn_away(self, connection: CallerConnection) -> None:
        """Tell a connection for which there is no room so, and end it once its caller had time to read that."""
        most = self.max_connections
        detail = f"The sidecar has as many connections as PROXY_MAX_CONNECTIONS ({most}) lets it; nothing was sent."
        self.relay.unreadable(connection, OverloadedError(detail))
        if self.leaving >= MOST_LEAVING:
            connection.force_close()
            return
        self.see_off(connection)

    def see_off(self, connection: CallerConnection) -> None:
        """End a connection once its caller had time to read its last answer."""
        self.leaving += 1
        task = asyncio.ensure_future(self._leave(connection))
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    async def _leave(self, connection: CallerConnection) -> None:
        try:
            await connection.linger()
        finally:
            self.leaving -= 1
            connection.force_close()

    def pre_shutdown(self) -> None:
        """Let no connection take a further request: what still comes is refused, and each answer is the last."""
        self.stopping = self.relay.shedding = True
        self.caller_idle = min(self.caller_idle, self.parting)
        for connection in self.connections:
            cast("CallerConnection", connection).retire()

    def __call__(self) -> CallerConnection:
        """Make the protocol of a new connection."""
        connection = CallerConnection(self, self._loop, self._kwargs)
        self.empty.clear()
        # A handshake that fails is told by neither event loop; its time is bounded.
        self._coming[connection] = self._loop.call_later(HANDSHAKE, self._never_came, connection)
        return connection
