"""Empties a listener's queue before it closes; closing would reset connections that only the kernel has accepted.

It must never let a caller connect that is then reset: new handshakes are held off first, where the kernel can do so.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import select
import socket
import struct
from typing import Final

_ATTACH_FILTER: Final = 26  # SO_ATTACH_FILTER (socket(7)); Python has no name for it
# Classic BPF on a TCP segment: drop it if its SYN flag is set (RFC 9293 section 3.1), keep all of it otherwise.
_NO_SYN: Final = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # ld b [13]: the flags
        (0x45, 0, 1, 0x02),  # jset #SYN
        (0x06, 0, 0, 0),  # ret #0
        (0x06, 0, 0, 0xFFFFFFFF),  # ret #-1
    )
)
TURNS_TO_ACCEPT: Final = 3  # from what the queue gives to its protocol, with one to spare
MOST_TURNS: Final = 1000  # of the event loop; a listener that cannot accept, for want of descriptors, closes as well


async def empty(sock: socket.socket) -> None:
    """Let the event loop accept what waits at a listening socket that it serves; nothing new comes meanwhile."""
    _hold_off(sock)
    queue = select.poll()
    queue.register(sock.fileno(), select.POLLIN)
    quiet = 0
    for _ in range(MOST_TURNS):
        quiet = 0 if queue.poll(0) else quiet + 1
        if quiet > TURNS_TO_ACCEPT:
            return
        await asyncio.sleep(0)


def _hold_off(sock: socket.socket) -> None:
    """Drop what asks for a connection, as a full queue does: callers ask again after a second, and find a successor.

    A Unix socket has no handshake; to hold callers off there is to remove its file.
    """
    if sock.family == socket.AF_UNIX:
        return
    program = ctypes.create_string_buffer(_NO_SYN, len(_NO_SYN))
    described = struct.pack("HP", len(_NO_SYN) // 8, ctypes.addressof(program))  # struct sock_fprog
    with contextlib.suppress(OSError):  # where there is no such filter, what connects in the last moment is reset
        sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, described)
