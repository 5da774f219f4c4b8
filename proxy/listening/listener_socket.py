"""Serves connections on a bound address."""

from __future__ import annotations

import asyncio
import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from aiohttp import web

from proxy.config.addresses import TcpAddress, UnixAddress
from proxy.listening import accept_queue
from proxy.listening.acceptor import Acceptor, Unbounded
from proxy.listening.binding import BindError, bind, remove_file

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable
    from types import TracebackType

    from proxy.config.addresses import Listen
    from proxy.listening.acceptor import Admission

BACKLOG: Final = 1024  # callers in the kernel's queue; Linux cuts it to net.core.somaxconn
HANDSHAKE: Final = 10.0  # seconds for a caller's TLS handshake; asyncio would give it a minute
GOODBYE: Final = 2.0  # seconds for a caller to end TLS in turn; asyncio would give it half a minute


class ListenerSocket:
    """A bound address, and the server on it; an asynchronous context manager.

    Args:
        listen: where.
        setting: name of the setting that says so, for the error.
        reserve: whether it leaves the last descriptors of the process to others.
        paused: called with the reason each time it stops accepting for a moment.
        most: connections at once; a further one ends the oldest that waits for a request. None leaves it to the server.

    Raises on entering:
        BindError: the address is taken or cannot be had.

    Attributes:
        ended: connections that were ended to make room for others.
    """

    def __init__(
        self,
        listen: Listen,
        setting: str,
        *,
        reserve: bool = False,
        paused: Callable[[str], None] = lambda _: None,
        most: int | None = None,
    ) -> None:
        self._listen = listen
        self._setting = setting
        self._reserve = reserve
        self._paused = paused
        self._most = most
        self.ended = 0
        self._sock: socket.socket
        self._file: int | None = None
        self._runner: web.BaseRunner | None = None
        self._tls = False
        self._admission: Admission = Unbounded()

    async def __aenter__(self) -> Self:
        binding = asyncio.create_task(asyncio.to_thread(self._bind))
        try:
            await asyncio.shield(binding)
        except asyncio.CancelledError:
            with contextlib.suppress(BindError):
                await binding  # a thread cannot be cancelled, and a socket file that it makes would stay
                await self.__aexit__(None, None, None)
            raise
        return self

    def _bind(self) -> None:
        self._sock = bind(self._listen, self._setting)
        if isinstance(self._listen, UnixAddress):
            # As long as it is open, no other file can be taken for it: inode numbers are given out again.
            self._file = os.open(self._listen.path, os.O_PATH | os.O_NOFOLLOW)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self._sock.close()
        await self._remove_file()

    @property
    def url(self) -> str:
        """Where to connect: an http or https URL, or `unix:/path`."""
        if isinstance(self._listen, UnixAddress):
            return str(self._listen)
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{TcpAddress(self._listen.host, self._sock.getsockname()[1])}"

    @property
    def connected(self) -> int:
        """Connections that there are."""
        server = None if self._runner is None else self._runner.server
        return 0 if server is None else len(server.connections)

    async def serve(
        self, runner: web.BaseRunner, tls: ssl.SSLContext | None = None, admission: Admission | None = None
    ) -> None:
        """Accept connections from now on, over TLS if there is a context, and no more than `admission` has room for."""
        self._runner, self._tls, self._admission = runner, tls is not None, admission or self._admission
        await runner.setup()
        await self._start_accepting(runner, tls)

    async def _start_accepting(self, runner: web.BaseRunner, tls: ssl.SSLContext | None) -> None:
        options = {"ssl": tls, "ssl_handshake_timeout": HANDSHAKE, "ssl_shutdown_timeout": GOODBYE} if tls else {}

        def accept(server: web.Server) -> Acceptor:
            factory = server if self._most is None else partial(self._make_room_for, server, self._most)
            return Acceptor(
                self._sock,
                factory,
                backlog=BACKLOG,
                reserve=self._reserve,
                paused=self._paused,
                admission=self._admission,
                tls=options,
            )

        await _Site(runner, accept).start()

    def _make_room_for(self, server: web.Server, most: int) -> asyncio.BaseProtocol:
        """Return the protocol of a connection, for which the oldest that waits may have to end."""
        connections = [each for each in server.connections if each.transport and not each.transport.is_closing()]
        if len(connections) >= most:
            waiting = (each for each in connections if each._current_request is None)  # noqa: SLF001 - it is told nowhere else
            oldest = next(waiting, connections[0])
            if oldest.transport is not None:
                oldest.transport.abort()
            self.ended += 1
        return server()

    async def trust(self, tls: ssl.SSLContext) -> None:
        """Use another context for connections from now on; none is refused meanwhile, and none that is there ends."""
        runner = self._runner
        if runner is None or not runner.sites:
            return
        # A context keeps whom it trusted, and what it remembers of sessions, so it is replaced and never changed.
        old, self._sock = list(runner.sites), self._sock.dup()
        await self._start_accepting(runner, tls)
        for site in old:
            await site.stop()

    async def stop_accepting(self) -> None:
        """Refuse new connections, but none that the kernel has taken; the server refuses what they still ask for."""
        if self._runner is not None:
            await self._remove_file()
            if self._runner.sites:
                await accept_queue.empty(self._sock)
            for site in list(self._runner.sites):
                await site.stop()
            if self._runner.server is not None:
                self._runner.server.pre_shutdown()

    async def _remove_file(self) -> None:
        if isinstance(self._listen, UnixAddress) and self._file is not None:
            file, self._file = self._file, None
            await asyncio.to_thread(remove_file, self._listen.path, file)


class _Site(web.BaseSite):
    """Where a runner's connections come from: an Acceptor, for aiohttp to close."""

    def __init__(self, runner: web.BaseRunner, accept: Callable[[web.Server], Acceptor]) -> None:
        super().__init__(runner)
        self._accept = accept

    @property
    def name(self) -> str:
        """Nothing that is shown to anyone."""
        return type(self).__name__

    async def start(self) -> None:
        await super().start()
        server = self._runner.server
        if server is None:
            message = "a site was started without its runner"
            raise RuntimeError(message)
        self._server = self._accept(server)  # type: ignore[assignment]  # it is closed, and nothing else
