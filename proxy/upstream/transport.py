"""Carries bytes to the origin and back over a socket's transport, with TLS on it or without."""

from __future__ import annotations

import select
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from proxy.upstream.connecting.channel import Channel


class UpstreamTransport:
    """A transport that keeps no backlog longer than it must, so that it is known what the socket has taken.

    Args:
        transport: the socket's.
        channel: TLS that was agreed on; None for none.

    Attributes:
        transport, channel: as given; the transport's protocol is the connection.
    """

    __slots__ = ("_poll", "channel", "transport")

    def __init__(self, transport: asyncio.Transport, channel: Channel | None) -> None:
        self.transport = transport
        self.channel = channel
        poll = select.poll()
        poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._poll = poll.poll
        transport.set_write_buffer_limits(high=0)

    @property
    def backlog(self) -> int:
        """Bytes that the socket has not taken."""
        return self.transport.get_write_buffer_size()

    @property
    def farewell(self) -> bool:
        """Whether the origin has said, under TLS, that it sends no more."""
        return self.channel is not None and self.channel.ended

    @property
    def honest_end(self) -> bool:
        """Whether an end of the connection is the origin's word; under TLS, TCP can be ended by others on the way."""
        return self.channel is None or self.channel.ended

    @property
    def settled(self) -> bool:
        """Whether what came ends with a whole record, if it is under TLS, and more may come.

        What comes behind a part of a record would else be taken for the answer to the next call.
        """
        return self.channel is None or self.channel.settled

    @property
    def broken(self) -> bool:
        """Whether something came, under TLS, that is not what the origin sent."""
        return self.channel is not None and self.channel.broken

    def quiet(self) -> bool:
        """Whether nothing waits in the kernel that the event loop has yet to see: no end, and no bytes."""
        return not self._poll(0)

    def write(self, data: bytes | memoryview) -> bool:
        """Hand bytes to the socket; return whether TLS could carry them."""
        if self.channel is not None:
            try:
                data = self.channel.seal(data)
            except ssl.SSLError:
                return False
        self.transport.write(data)
        return True

    def read(self, data: bytes) -> bytes:
        """Return what the origin sent in the bytes that the socket gave."""
        if self.channel is None:
            return data
        opened = self.channel.open(data)
        if self.channel.owes:
            self.transport.write(self.channel.outgoing())
        return opened
