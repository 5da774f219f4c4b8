"""A proxy of aiohttp's server and client, as one would write in an afternoon, against which ours is measured.

It renews no token, resends nothing and reports nothing but a line a call: only what the comparison needs.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
import uuid
from typing import TYPE_CHECKING, Final

import uvloop
from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DROPPED: Final = frozenset(("host", "connection", "keep-alive", "transfer-encoding", "content-length", "authorization"))
SESSION: Final = web.AppKey("session", ClientSession)


def application(origin: str, authority: str, token: str, ca_file: str) -> web.Application:
    """Make the proxy of an origin such as `https://127.0.0.1:9443`."""

    async def session(app: web.Application) -> AsyncIterator[None]:
        tls = ssl.create_default_context(cafile=ca_file)
        connector = TCPConnector(limit=0, ssl=tls)
        async with ClientSession(connector=connector, auto_decompress=False, timeout=ClientTimeout(60)) as opened:
            app[SESSION] = opened
            yield

    async def relay(request: web.Request) -> web.StreamResponse:
        started = time.monotonic()
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in DROPPED]
        call_id = str(uuid.uuid4())
        headers += [("Host", authority), ("Authorization", f"Bearer {token}"), ("X-Request-Id", call_id)]
        body = await request.read() if request.body_exists else None
        opened = request.app[SESSION]
        async with opened.request(request.method, origin + request.path_qs, headers=headers, data=body) as answer:
            response = web.StreamResponse(status=answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in DROPPED:
                    response.headers.add(name, value)
            response.content_length = answer.content_length
            await response.prepare(request)
            sent = 0
            async for piece in answer.content.iter_any():
                sent += len(piece)
                await response.write(piece)
            await response.write_eof()
        took = round((time.monotonic() - started) * 1000, 3)
        facts = {"time": time.time(), "method": request.method, "request_id": call_id, "status": answer.status}
        sys.stdout.write(json.dumps({**facts, "response_bytes": sent, "total_ms": took}) + "\n")
        return response

    app = web.Application(client_max_size=32 * 1024 * 1024)
    app.cleanup_ctx.append(session)
    app.router.add_route("*", "/{path:.*}", relay)
    return app


def main() -> None:
    """Serve until SIGTERM, as the environment says."""
    told = os.environ
    app = application(told["ORIGIN"], told["AUTHORITY"], told["TOKEN"], told["CA_FILE"])
    port = int(told["PORT"])
    web.run_app(
        app, host="127.0.0.1", port=port, print=None, access_log=None, backlog=4096, loop=uvloop.new_event_loop()
    )


if __name__ == "__main__":
    main()
