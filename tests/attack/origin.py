"""A Localpayment for attacks, as a process of its own: it takes every payout, and gives large answers to reads.

`python -m tests.attack.origin [SECONDS]` writes its port, then serves until it is ended; a payout takes so long.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys

from tests.support.origins import access

LARGE = 4 * 1024 * 1024
TAKES = 0.05  # seconds


class Origin:
    def __init__(self, takes: float = TAKES) -> None:
        self._takes = takes

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        declared = re.search(rb"(?i)content-length: (\d+)", head)
        if b"chunked" in head:
            await reader.readuntil(b"\r\n0\r\n\r\n")
        elif declared:
            left = int(declared[1])
            while left:
                left -= len(await reader.readexactly(min(left, 65536)))
        body = b'{"status": "ok"}'
        if head.startswith(b"POST /api/token/"):
            body = json.dumps({"access": access(), "refresh": access(86400)}).encode()
        elif head.startswith(b"GET"):
            body = bytes(LARGE)
        else:
            await asyncio.sleep(self._takes)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(body)
        await writer.drain()


async def main() -> None:
    server = await asyncio.start_server(Origin(*map(float, sys.argv[1:])).serve, "127.0.0.1", 0, limit=16 * 1024 * 1024)
    sys.stdout.write(f"port {server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
