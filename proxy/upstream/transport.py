"""What does a transport know that it does not tell its protocol?

It only looks; it never reads what belongs to a call.
"""

from __future__ import annotations

import select
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


class Ear:
    """Hears what waits in the kernel on a socket that the event loop has yet to see."""

    __slots__ = ("_poll",)

    def __init__(self, raw: asyncio.Transport) -> None:
        self._poll = select.poll()
        self._poll.register(raw.get_extra_info("socket").fileno(), select.POLLIN)

    def quiet(self) -> bool:
        """Whether nothing waits: no end, and no bytes that nobody asked for."""
        return not self._poll.poll(0)


def backlog(raw: asyncio.Transport, transport: asyncio.Transport) -> int:
    """Count bytes that the socket has not taken; under TLS, where the two differ, those of both layers."""
    size = raw.get_write_buffer_size()
    return size if transport is raw else size + transport.get_write_buffer_size()


def cleanly_ended(transport: asyncio.Transport) -> bool:
    """Whether an EOF is the origin's word: under TLS asyncio reports a connection that was cut in the same way."""
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return True
    try:
        return not tls.read(1)
    except ssl.SSLError:
        return False
