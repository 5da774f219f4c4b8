"""Asks the kernel about a caller's connection: who is at its other end, whether that has left; resets it.

It must never take anything that the other end says in its requests for who it is, nor touch the descriptor of a
transport that is closed: the number may belong to another connection by then.
"""

from __future__ import annotations

import select
import socket
import struct
from typing import TYPE_CHECKING, Final

from proxy.policy.identity import Peer, identities

if TYPE_CHECKING:
    import asyncio

_CREDENTIALS: Final = struct.Struct("iII")  # struct ucred: pid, uid, gid (unix(7))
_NOBODY: Final = Peer()
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


def address_of(transport: asyncio.BaseTransport, peer: Peer) -> str:
    """Return the user at the other end, or where it comes from: what tells peers apart while no caller is known."""
    if peer.uid is not None:
        return f"uid {peer.uid}"
    name = transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) else ""


def peer_of(transport: asyncio.BaseTransport) -> Peer:
    """Return what a new connection says of its other end.

    uid and gid are those that the process had when it connected, as this process's user namespace sees them; names
    are those of a certificate that the handshake has verified.
    """
    sock, certificate = transport.get_extra_info("socket"), transport.get_extra_info("peercert")
    # Not verified, a certificate is an empty dictionary here: OpenSSL is asked for none then.
    sans = identities(certificate.get("subjectAltName", ())) if certificate else frozenset()
    if sock is None or sock.family != socket.AF_UNIX:
        return Peer(sans=sans) if sans else _NOBODY
    _, uid, gid = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return Peer(uid, gid, sans)
