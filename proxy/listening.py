"""Where does a listener stand? A bound socket, made so that nobody else gets in and nobody else is thrown out."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from typing import TYPE_CHECKING, Final, Self

from aiohttp import web

from proxy.config.addresses import TcpAddress, UnixAddress

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from proxy.config.addresses import Listen

BACKLOG: Final = 1024  # callers in the kernel's queue; Linux cuts it to net.core.somaxconn
_NOT_FOR_OTHERS: Final = 0o117  # leaves 0660: owner and group may connect


class BindError(Exception):
    """An address cannot be listened on; the text says which, why and what to do."""


class Listening:
    """An address that is ours inside the `async with` block, and the server that stands there.

    Args:
        listen: where.
        setting: name of the setting that says so, for the error.

    Raises on entering:
        BindError: the address is taken or cannot be had.
    """

    def __init__(self, listen: Listen, setting: str) -> None:
        self._listen = listen
        self._setting = setting
        self._sock: socket.socket
        self._runner: web.BaseRunner | None = None

    async def __aenter__(self) -> Self:
        self._sock = await asyncio.to_thread(bind, self._listen, self._setting)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self._sock.close()
        if isinstance(self._listen, UnixAddress):
            await asyncio.to_thread(self._listen.path.unlink, missing_ok=True)

    @property
    def url(self) -> str:
        """Where to connect: an http URL, or `unix:/path`."""
        if isinstance(self._listen, UnixAddress):
            return str(self._listen)
        return f"http://{TcpAddress(self._listen.host, self._sock.getsockname()[1])}"

    async def serve(self, runner: web.BaseRunner) -> None:
        """Take connections from now on."""
        self._runner = runner
        await runner.setup()
        await web.SockSite(runner, self._sock, backlog=BACKLOG).start()

    async def stop_accepting(self) -> None:
        """Refuse new connections and close those that wait for a request; calls in flight go on."""
        if self._runner is not None:
            for site in list(self._runner.sites):
                await site.stop()
            if self._runner.server is not None:
                self._runner.server.pre_shutdown()


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
        reason = os.strerror(error.errno) if error.errno else str(error)
        fix = (
            "another process listens there: stop it, or choose another address"
            if error.errno == errno.EADDRINUSE
            else "choose an address of this machine"
        )
        message = f"{setting}={listen}: cannot listen there ({reason}); {fix}"
        raise BindError(message) from error


def _bound_tcp(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
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
    except FileNotFoundError:
        return False


def _answers(path: Path) -> bool:
    """Whether a process listens on a socket file; one that died leaves the file behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
    return True
