"""What does a transport know that it does not tell its protocol?

It only looks; it never reads what belongs to a call.
"""

from __future__ import annotations

import select
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


def quiet(raw: asyncio.Transport) -> bool:
    """Whether nothing waits in the kernel that the event loop has yet to see: an end, or bytes nobody asked for."""
    poll = select.poll()
    poll.register(raw.get_extra_info("socket").fileno(), select.POLLIN)
    return not poll.poll(0)


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
