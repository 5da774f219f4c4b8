"""A connection on which a TLS record has come in part carries no other call: the rest would be taken for its answer."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import pytest

from tests.support.scripted_origin import HELLO, SCRIPT, At, server_tls
from tests.support.upstream_pool import get, pool_to

STRAY = HELLO.replace(b"hello", b"stray")


class TearingOrigin:
    """Sends behind its first answer a part of a record that nobody asked for, and the rest when it is asked again."""

    def __init__(self, torn: int) -> None:
        self.connections = 0
        self._torn = torn

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.set_name(SCRIPT)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = server_tls().wrap_bio(incoming, outgoing, server_side=True)
        self.connections += 1
        rest = b""
        with contextlib.closing(writer):
            while data := await reader.read(65536):
                incoming.write(data)
                asked = b""
                with contextlib.suppress(ssl.SSLWantReadError):
                    tls.do_handshake()
                    while piece := tls.read(65536):
                        asked += piece
                writer.write(outgoing.read())
                if rest:
                    writer.write(rest)
                elif asked:
                    tls.write(HELLO)
                    answer = outgoing.read()
                    if self._torn:
                        tls.write(STRAY)
                    stray = outgoing.read()
                    rest = stray[self._torn :]
                    writer.write(answer + stray[: self._torn])


@pytest.mark.parametrize(("torn", "connections"), [(0, 1), (1, 2), (5, 2), (20, 2)])
@pytest.mark.both_loops
async def test_what_came_in_part_between_two_calls_is_not_the_second_ones_answer(
    *, torn: int, connections: int
) -> None:
    origin = TearingOrigin(torn)
    async with (
        await asyncio.start_server(origin.serve, "127.0.0.1", 0) as server,
        pool_to(At("localhost", server.sockets[0].getsockname()[1], tls=True)) as pool,
    ):
        assert [await get(pool), await get(pool)] == [b"hello", b"hello"]
        assert origin.connections == connections
