"""Accepts the connections of one listener, and pauses while there are no descriptors for them.

The event loops' own servers do worse then: asyncio's logs a thousand lines a second, uvloop's spins, or accepts
connections only to close them. Callers that are not accepted wait in the kernel's queue; nothing of theirs was read.
"""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Any, Final

from proxy.process.file_descriptors import scarce

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

PAUSE: Final = 0.1  # seconds; what ends meanwhile gives descriptors back
_AT_ONCE: Final = 16  # connections that are taken before other work gets its turn; fewer than are reserved


class Acceptor:
    """Accepts connections on a socket, until it is closed.

    Args:
        sock: bound; owned by this from now on.
        factory: makes the protocol of a connection.
        backlog: connections that may wait in the kernel's queue.
        reserve: whether the last descriptors are left to others.
        paused: called with the error's name at each pause.
        tls: TLS arguments of `connect_accepted_socket`.
    """

    def __init__(  # noqa: PLR0913 - what the loops' own servers are told, and how to pause
        self,
        sock: socket.socket,
        factory: Callable[[], asyncio.BaseProtocol],
        *,
        backlog: int,
        reserve: bool,
        paused: Callable[[str], None],
        tls: dict[str, Any],
    ) -> None:
        self._sock = sock
        self._factory = factory
        self._reserve = reserve
        self._paused = paused
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._beginning: set[asyncio.Task[None]] = set()
        sock.setblocking(False)
        sock.listen(backlog)
        self._loop.add_reader(sock, self._accept)

    def close(self) -> None:
        """Accept no more; accepted connections go on."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()

    def _accept(self) -> None:
        if self._reserve and scarce():
            self._wait_for_descriptors(errno.EMFILE)
            return
        for _ in range(_AT_ONCE):
            try:
                connection, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._wait_for_descriptors(error.errno)
                return
            task = self._loop.create_task(self._begin(connection))
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)

    async def _begin(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(self._factory, connection, **self._tls)
        except OSError:  # it ended at once, or its TLS handshake failed, of which the context tells
            connection.close()

    def _wait_for_descriptors(self, number: int | None) -> None:
        self._paused(errno.errorcode.get(number or 0, "other"))
        self._loop.remove_reader(self._sock)
        self._pause = self._loop.call_later(PAUSE, self._loop.add_reader, self._sock, self._accept)
