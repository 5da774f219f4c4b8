"""Accepts the connections of one listener, and pauses while there are no descriptors for them.

The event loops' own servers do worse then: asyncio's logs a thousand lines a second, uvloop's spins, or accepts
connections only to close them. Callers that are not accepted wait in the kernel's queue; nothing of theirs was read.
"""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from proxy.process.file_descriptors import scarce

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

PAUSE: Final = 0.1  # seconds; what ends meanwhile gives descriptors back
FULL: Final = "full"  # why there is a pause: as many connections as may be, all of which need a moment to end
_UNDISTURBED: Final = 1.0  # seconds of a TLS handshake, before it may have to end for a newcomer
_AT_ONCE: Final = 16  # connections that are taken before other work gets its turn; fewer than are reserved


class Admission(Protocol):
    """Who counts the connections of a listener."""

    def has_room(self) -> bool:
        """Whether one more may be accepted now."""
        ...

    def abandoned(self, protocol: asyncio.BaseProtocol) -> None:
        """Note that a connection, for which a protocol was made, never began."""
        ...


class Unbounded:
    """Lets every connection in."""

    def has_room(self) -> bool:
        """Tell that one more may be accepted."""
        return True

    def abandoned(self, protocol: asyncio.BaseProtocol) -> None:
        """Do nothing."""


class Acceptor:
    """Accepts connections on a socket, until it is closed.

    Args:
        sock: bound; owned by this from now on.
        factory: makes the protocol of a connection.
        backlog: connections that may wait in the kernel's queue.
        reserve: whether the last descriptors are left to others.
        paused: called with the error's name, or FULL, at each pause.
        admission: counts the connections.
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
        admission: Admission,
        tls: dict[str, Any],
    ) -> None:
        self._sock = sock
        self._factory = factory
        self._reserve = reserve
        self._paused = paused
        self._admission = admission
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._beginning: dict[asyncio.Task[None], float] = {}  # since when, the oldest first
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
            self._pause_for(errno.errorcode[errno.EMFILE])
            return
        for _ in range(_AT_ONCE):
            if not (self._admission.has_room() or self._end_oldest_handshake()):
                self._pause_for(FULL)
                return
            try:
                connection, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause_for(errno.errorcode.get(error.errno or 0, "other"))
                return
            self._loop.create_task(self._begin(connection, self._factory()))

    async def _begin(self, connection: socket.socket, protocol: asyncio.BaseProtocol) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._beginning[task] = self._loop.time()  # only now: cancelled before this, it could not say that it ended
        connection.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, connection, **self._tls)
        except OSError:  # it ended at once, or its TLS handshake failed, of which the context tells
            connection.close()
            self._admission.abandoned(protocol)
        except asyncio.CancelledError:
            self._admission.abandoned(protocol)
            raise
        finally:
            self._beginning.pop(task, None)

    def _end_oldest_handshake(self) -> bool:
        if not self._tls:
            return False  # a plain connection begins within two turns of the loop
        oldest = next(iter(self._beginning), None)
        if oldest is None or self._loop.time() - self._beginning[oldest] < _UNDISTURBED:
            return False
        del self._beginning[oldest]
        return oldest.cancel()

    def _pause_for(self, reason: str) -> None:
        self._paused(reason)
        self._loop.remove_reader(self._sock)
        self._pause = self._loop.call_later(PAUSE, self._loop.add_reader, self._sock, self._accept)
