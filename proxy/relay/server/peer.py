"""Who is at the other end of a connection? Asked once, when it is made: the kernel and the TLS handshake have told.

It must never take anything that the other end says in its requests for who it is.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

from proxy.policy.identity import Peer, identities

if TYPE_CHECKING:
    import asyncio

_CREDENTIALS: Final = struct.Struct("iII")  # struct ucred: pid, uid, gid (unix(7))
_NOBODY: Final = Peer()


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
