"""Before a listener closes, what the kernel has taken is taken in, and no new caller gets as far as to be reset."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket

from proxy.listening import accept_queue


def connecting(stack: contextlib.ExitStack, listener: socket.socket) -> socket.socket:
    """A caller that has asked for a connection; over loopback the kernel answers at once, if it does."""
    sock = stack.enter_context(socket.socket())
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        sock.connect(listener.getsockname())
    return sock


def connected(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return bool(poll.poll(0))


async def test_callers_in_the_queue_are_taken_in_and_later_ones_get_no_connection_that_would_be_reset() -> None:
    taken: list[asyncio.BaseTransport] = []

    class Taken(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            taken.append(transport)

    with contextlib.ExitStack() as stack:
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        server = await asyncio.get_running_loop().create_server(Taken, sock=listener)
        early = [connecting(stack, listener) for _ in range(20)]
        assert all(map(connected, early))
        await accept_queue.empty(listener)
        late = connecting(stack, listener)
        server.close()
        assert len(taken) == len(early)
        assert not connected(late)
        for transport in taken:
            transport.abort()  # type: ignore[attr-defined]  # a socket's transport


async def test_a_listener_from_which_nothing_is_taken_is_not_waited_for() -> None:
    with contextlib.ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as listener:
        connecting(stack, listener)
        await accept_queue.empty(listener)
