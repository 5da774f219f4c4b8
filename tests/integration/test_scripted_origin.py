"""The scripted origin, on which other tests rest, records exactly what it was sent."""

from __future__ import annotations

import asyncio

from tests.support.scripted_origin import HELLO, answering, origin


async def test_the_scripted_origin_records_exactly_the_bytes_it_was_sent() -> None:
    async with origin(answering) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.at.port)
        for request in (b"GET / HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"):
            writer.write(request)
            assert await reader.readexactly(len(HELLO)) == HELLO
        writer.close()
        await writer.wait_closed()
        assert served.requests == [b"GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"]
