"""What the kernel knows of a caller's connection before the event loop does, and how that connection is reset.

It must never touch the descriptor of a transport that is closed: the number may belong to another connection by then.
"""

from __future__ import annotations

import select
import socket
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

_RESET: Final = struct.pack("ii", 1, 0)  # struct linger: on, and no second of it (socket(7))
# RDHUP is the end of what the caller sends; it shows ahead of bytes that are still unread (poll(2)).
_GONE: Final = select.POLLRDHUP | select.POLLHUP | select.POLLERR | select.POLLNVAL


class CallerSocket:
    """The socket under one caller's transport."""

    __slots__ = ("_poll", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._poll: select.poll | None = None  # made when it is first asked: most connections never are

    @property
    def gone(self) -> bool:
        """Whether the caller has ended its connection, or its sending side."""
        return self._transport.is_closing() or bool(self._events() & _GONE)

    @property
    def waiting(self) -> bool:
        """Whether the caller has sent something that the event loop has yet to read."""
        return not self._transport.is_closing() and self._events() & (select.POLLIN | _GONE) == select.POLLIN

    @property
    def unsent(self) -> int:
        """Bytes of answers that the kernel has not taken, as far as that can be known of a connection that ends."""
        try:
            return self._transport.get_write_buffer_size()
        except AttributeError:  # of asyncio's TLS transport once it was closed twice; aiohttp closes what we closed
            return 0

    def reset(self) -> None:
        """End the connection at once with a TCP reset, and without TLS's farewell; a Unix socket only ends."""
        if self._transport.is_closing() and not self.unsent:
            return
        sock = self._transport.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def _events(self) -> int:
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLRDHUP)
        events = self._poll.poll(0)
        return events[0][1] if events else 0
