"""Binds a listener's socket, and serves connections on it.

A Unix socket's file must never be open to other users, nor be taken from a process that still listens on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
import stat
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from aiohttp import web

from proxy.config.addresses import TcpAddress, UnixAddress
from proxy.listening import accept_queue
from proxy.listening.acceptor import Acceptor

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from proxy.config.addresses import Listen

BACKLOG: Final = 1024  # callers in the kernel's queue; Linux cuts it to net.core.somaxconn
HANDSHAKE: Final = 10.0  # seconds for a caller's TLS handshake; asyncio would give it a minute
GOODBYE: Final = 2.0  # seconds for a caller to end TLS in turn; asyncio would give it half a minute
ANSWERS_WITHIN: Final = 1.0  # seconds for a process that listens on a socket file to show that it is there
_NOT_FOR_OTHERS: Final = 0o117  # leaves 0660: owner and group may connect
_UNPRIVILEGED: Final = 1024  # ip(7): ports below need CAP_NET_BIND_SERVICE


class BindError(Exception):
    """An address cannot be listened on; the text says which, why and what to do."""


class ListenerSocket:
    """A bound address, and the server on it; an asynchronous context manager.

    Args:
        listen: where.
        setting: name of the setting that says so, for the error.
        reserve: whether it leaves the last descriptors of the process to others.
        paused: called with the error's name each time it stops accepting for want of descriptors.
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

    async def serve(self, runner: web.BaseRunner, tls: ssl.SSLContext | None = None) -> None:
        """Accept connections from now on, over TLS if there is a context."""
        self._runner, self._tls = runner, tls is not None
        await runner.setup()
        await self._start_accepting(runner, tls)

    async def _start_accepting(self, runner: web.BaseRunner, tls: ssl.SSLContext | None) -> None:
        options = {"ssl": tls, "ssl_handshake_timeout": HANDSHAKE, "ssl_shutdown_timeout": GOODBYE} if tls else {}

        def accept(server: web.Server) -> Acceptor:
            factory = server if self._most is None else partial(self._make_room_for, server, self._most)
            return Acceptor(
                self._sock, factory, backlog=BACKLOG, reserve=self._reserve, paused=self._paused, tls=options
            )

        await _Site(runner, accept).start()

    def _make_room_for(self, server: web.Server, most: int) -> asyncio.BaseProtocol:
        """Return the protocol of a connection, for which the oldest that waits may have to end."""
        connections = [each for each in server.connections if each.transport and not each.transport.is_closing()]
        if len(connections) >= most:
            waiting = (each for each in connections if each._current_request is None)  # noqa: SLF001 - it tells nobody else
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
            await asyncio.to_thread(_remove, self._listen.path, file)


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


def bind(listen: Listen, setting: str) -> socket.socket:
    """Return a bound socket that does not listen yet.

    Args:
        listen: where.
        setting: name of the setting that says so, for the error.

    Raises:
        BindError: the address is taken or cannot be had.
    """
    try:
        match listen:
            case TcpAddress(host, port):
                return _bound_tcp(host, port)
            case UnixAddress(path):
                return _bound_unix(path)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else "no such host"
        message = f"{setting}={listen}: cannot listen there ({reason}); {_fix(listen, error.errno)}"
        raise BindError(message) from error


def _fix(listen: Listen, number: int | None) -> str:
    match listen, number:
        case UnixAddress(path), errno.EADDRINUSE if not _is_socket(path):
            fix = "a file that is no socket stands there: remove it, or choose another path"
        case _, errno.EADDRINUSE:
            fix = "another process listens there: stop it, or choose another address"
        case TcpAddress(_, port), errno.EACCES | errno.EPERM if port < _UNPRIVILEGED:
            fix = f"ports below {_UNPRIVILEGED} need CAP_NET_BIND_SERVICE: choose a higher one, or grant that"
        case UnixAddress(path), errno.EACCES | errno.EPERM:
            fix = f"this process's user may not make or use a socket in {path.parent}: give it a folder of its own"
        case UnixAddress(path), errno.ENOENT | errno.ENOTDIR:
            fix = f"there is no folder {path.parent}: make it, or choose another path"
        case UnixAddress(path), errno.EROFS:
            fix = f"{path.parent} can only be read: mount a folder there that can be written to"
        case _:
            fix = "choose an address of this machine"
    return fix


def _bound_tcp(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # To [::] IPv4 comes along, whatever net.ipv6.bindv6only says; to another address it never does.
            sock.setsockopt(
                socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not ipaddress.ip_address(address[0]).is_unspecified
            )
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _bound_unix(path: Path) -> socket.socket:
    if _is_socket(path):
        if _answers(path):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(_NOT_FOR_OTHERS)
    try:
        sock.bind(str(path))
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(mask)
    return sock


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return False


def _answers(path: Path) -> bool:
    """Whether a process listens on a socket file; one that died leaves the file behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(ANSWERS_WITHIN)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except (TimeoutError, BlockingIOError):
            return True  # its queue is full
    return True


def _remove(path: Path, file: int) -> None:
    """Remove a socket file, unless a successor has put its own there; closes the descriptor."""
    try:
        if os.path.samestat(path.lstat(), os.fstat(file)):
            path.unlink()
    except FileNotFoundError:
        return
    finally:
        os.close(file)
