"""Makes connections to one origin that are fit for a first call, and tells how each attempt ended."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from proxy.http1.answer_head import AnswerHeads
from proxy.http1.timeouts import read_what_is_here
from proxy.upstream.connecting.connect import connect
from proxy.upstream.connecting.resumption import Resumption
from proxy.upstream.connection import Connection
from proxy.upstream.model import ConnectError, ConnectResult, FaultKind
from proxy.upstream.reuse import lifetime

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from proxy.upstream.connecting.connect import Route


class Maker:
    """Makes connections.

    Args:
        route: to the origin.
        chance: as the pool's.
        connected: as the pool's.
        reports: what a connection tells of the end of an exchange, and of its own.
    """

    def __init__(
        self,
        route: Route,
        chance: Callable[[], float],
        connected: Callable[[ConnectResult], None],
        reports: tuple[Callable[[Connection], None], Callable[[Connection], None]],
    ) -> None:
        self._route = route
        self._chance = chance
        self._connected = connected
        heads = AnswerHeads(route.limits.max_headers)
        self._new = partial(Connection, route.limits, heads, route.now, *reports)

    def trust(self, tls: ssl.SSLContext) -> None:
        """Verify the origin by another context from now on, and resume no session of the old one."""
        self._route = replace(self._route, tls=tls, resumption=Resumption(self._route.now))

    async def make(self, deadline: float) -> Connection:
        """Make a connection.

        Raises:
            ConnectError: it did not come about, or has ended at once.
        """
        while True:
            route = self._route
            connection = await self._made(route, deadline)
            if route is self._route:
                return connection
            connection.abort()  # another context verifies the origin by now

    async def _made(self, route: Route, deadline: float) -> Connection:
        connection = self._new()
        connection.resumption = route.resumption
        try:
            await connect(route, connection, deadline)
        except ConnectError as error:
            self._tell(error.obstacle.result if error.obstacle else ConnectResult.UNREACHABLE)
            raise
        connection.retires_at = route.now() + lifetime(route.limits, self._chance())
        self._tell(ConnectResult.CONNECTED)
        if not connection.fit:
            try:
                await read_what_is_here()  # session tickets under TLS; anything else ends the connection
            except BaseException:
                connection.abort()
                raise
        if not connection.alive:
            connection.abort()
            detail = "the origin ended the new connection, or spoke before it was asked"
            raise ConnectError(FaultKind.DISCONNECTED, detail)
        return connection

    def _tell(self, result: ConnectResult) -> None:
        try:
            self._connected(result)
        except Exception as error:  # noqa: BLE001 - an observer's defect must not fail the call
            context = {"message": "the observer of connects failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
