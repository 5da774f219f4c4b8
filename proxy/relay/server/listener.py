"""Serves callers' connections by aiohttp's low-level server, with its answers and its log replaced.

aiohttp's own error page and log line quote what a caller sent; neither is ever used.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import web

from proxy.errors import OverloadedError
from proxy.relay.request.request_line import MOST_TARGET
from proxy.relay.server.connection import CallerConnection
from proxy.relay.server.incoming_request import MOST_FIELD, MOST_FIELDS, IncomingRequest
from proxy.relay.server.lingering import MOST_LINGERING, LingeringCloses
from proxy.relay.server.receiving_side import READ_AHEAD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.process.memory import MemoryBudget
    from proxy.relay.server.ports import Relay


# Seconds that an idle caller's connection is kept, by default. A proxy that closes first makes callers lose requests in
# flight, so it is as long as Envoy's.
CALLER_IDLE: Final = 3600.0
LEAST_IDLE: Final = 5.0  # seconds; the same once connections are all but full
# Seconds that an idle caller's connection is kept once the listener has stopped. Pools that are in use send their next
# request within it, and learn from its answer that the connection ends.
PARTING: Final = 2.0
_NEVER: Final = 10 * 365 * 86400.0
AT_ONCE: Final = 128  # one connection in so many is ended at once when there is no place: to look for them takes time
MOST_CONNECTIONS: Final = 4096  # the default of PROXY_MAX_CONNECTIONS


class Listener(web.Server):
    """The server of the data listener.

    Args:
        relay: answers each request.
        header_timeout: seconds in which a request's head must arrive whole.
        memory: counts what is held for callers.
        max_connections: callers' connections at once.
        caller_idle: seconds that a connection without a request is kept.
        parting: the same, once the listener has stopped.

    Attributes:
        ended: connections that were ended to make room for others.
        idle_time: seconds that a connection without a request is kept now.
        limited_by: what to raise for more connections.
        lingering: connections whose callers are given time to read their last answer.
        stopping: whether no further request is carried.
        empty: set while there is no connection, and none in its handshake.
    """

    def __init__(  # noqa: PLR0913 - what it serves, and its bounds, each named at the call
        self,
        relay: Relay,
        *,
        header_timeout: float,
        memory: MemoryBudget,
        max_connections: int = MOST_CONNECTIONS,
        caller_idle: float = CALLER_IDLE,
        parting: float = PARTING,
    ) -> None:
        super().__init__(
            cast("Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]", relay),
            request_factory=cast("Any", IncomingRequest),
            auto_decompress=False,
            access_log=None,
            keepalive_timeout=_NEVER,  # it does not see what the relay begins; the connection itself keeps this time
            lingering_time=0.0,  # ours tells the caller at once that nothing follows
            max_line_size=MOST_TARGET,
            max_field_size=MOST_FIELD,
            max_headers=MOST_FIELDS,
            read_bufsize=READ_AHEAD,
        )
        self.relay = relay
        self.header_timeout = header_timeout
        self.memory = memory
        self.ended = 0
        self.max_connections = max_connections
        self.limited_by = "PROXY_MAX_CONNECTIONS"
        self.parting = parting
        self.lingering = LingeringCloses(self._loop.time)
        self.stopping = False
        self.empty = asyncio.Event()
        self.empty.set()
        self._connected = 0
        self.caller_idle = caller_idle
        self._going: set[CallerConnection] = set()  # to make room for others
        self._peers: Counter[str] = Counter()
        self._coming: set[CallerConnection] = set()  # accepted, or in their handshake

    @property
    def unread_answers(self) -> int:
        """Connections with bytes of an answer that the kernel has not taken; their end cuts it."""
        return sum(cast("CallerConnection", connection).unsent > 0 for connection in self.connections)

    @property
    def coming(self) -> int:
        """Calls whose body is still coming, and of which nothing was sent."""
        return sum(cast("CallerConnection", connection).coming for connection in self.connections)

    def enter(self, connection: CallerConnection) -> bool:
        """Count a connection; tell whether there is room for it. It leaves in either case."""
        self._connected += 1
        self._peers[connection.address] += 1
        if self._peers[connection.address] == 1:
            self.relay.share_among(self._peers)
        if self._surplus > 0:
            self._make_room(connection)
        self._set_idle_time()
        self.empty.clear()
        self._coming.discard(connection)
        return self._surplus <= 0

    def leave(self, connection: CallerConnection) -> None:
        """Count a connection that has ended."""
        self._connected -= 1
        self._going.discard(connection)
        self.lingering.discard(connection)
        self._peers[connection.address] -= 1
        if not self._peers[connection.address]:
            del self._peers[connection.address]
            self.relay.share_among(self._peers)
        self._set_idle_time()
        self._look_whether_empty()

    @property
    def _surplus(self) -> int:
        """Connections beyond those that may be, without those that end."""
        return self._connected - len(self.lingering) - len(self._going) - self.max_connections

    def has_room(self) -> bool:
        """Whether one more may be accepted, be it to be told that it is one too many; cut one that lingers for it."""
        return self.connected < self.max_connections + MOST_LINGERING or self.lingering.cut_oldest()

    @property
    def connected(self) -> int:
        """Connections that callers have, those in their handshake among them."""
        return self._connected + len(self._coming)

    @property
    def read_ahead(self) -> int:
        """Bytes that a connection may send ahead."""
        return READ_AHEAD if self.memory.fits(READ_AHEAD) else 0

    @property
    def caller_idle(self) -> float:
        """Seconds that a connection without a request is kept while there is room for others."""
        return self._caller_idle

    @caller_idle.setter
    def caller_idle(self, seconds: float) -> None:
        self._caller_idle = seconds
        self._set_idle_time()

    def _set_idle_time(self) -> None:
        """Keep idle connections for less, the fewer places are left beyond half of them."""
        left = max(self.max_connections - self._connected, 0) / self.max_connections
        most = self._caller_idle
        self.idle_time = max(most * min(2 * left, 1.0) ** 4, min(most, LEAST_IDLE))

    def _make_room(self, newcomer: CallerConnection) -> None:
        """End connections that wait for their callers: of the party that has most, the longest idle ones first."""
        others = [cast("CallerConnection", each) for each in self.connections if each is not newcomer]
        parties = Counter(each.party for each in others)
        found = [
            (-parties[each.party], not each.idle, since, at)
            for at, each in enumerate(others)
            if each not in self._going and (since := each.waiting_since) is not None
        ]
        ends = max(self.max_connections // AT_ONCE, 1)
        for *_, at in sorted(found):
            if ends and others[at].give_way():
                self._going.add(others[at])
                self.ended += 1
                ends -= 1

    def abandoned(self, protocol: asyncio.BaseProtocol) -> None:
        """Note that an accepted connection was none: its handshake failed."""
        self._coming.discard(cast("CallerConnection", protocol))
        self._look_whether_empty()

    def _look_whether_empty(self) -> None:
        if not self._connected and not self._coming:
            self.empty.set()

    def turn_away(self, connection: CallerConnection) -> None:
        """Tell a connection for which there is no room so, and end it once its caller had time to read that."""
        most = self.max_connections
        detail = f"The sidecar has as many connections as {self.limited_by} ({most}) lets it; nothing was sent."
        self.relay.unreadable(connection, OverloadedError(detail))
        connection.linger()

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
        self._coming.add(connection)
        return connection
