"""Sends open status pages the sections that changed, each second, as server-sent events.

It must never hold up the end of the process, nor let many open pages cost much.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

from aiohttp import web

from proxy.http1.timeouts import timeout_at
from proxy.ops.admin.page import sections

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.ops.admin.markup import Markup
    from proxy.ops.admin.status import Status

EVERY: Final = 1.0  # seconds between two looks
TAKES: Final = 10.0  # seconds for a page to take what was sent
MOST: Final = 8  # pages that are kept up to date at once; each costs about a millisecond a second
_HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


class EventStream:
    """The streams of all open pages; `ending` ends them."""

    def __init__(self, status: Status, clock: Clock) -> None:
        self.ending = asyncio.Event()
        self._status = status
        self._clock = clock
        self._open = 0

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Send what changes until either side leaves."""
        if self._open >= MOST:
            text = f"{MOST} pages are kept up to date already; close one.\n"
            return web.Response(status=503, text=text, headers={"Retry-After": "10"})
        response = web.StreamResponse(headers=_HEADERS)
        self._open += 1
        try:
            await response.prepare(request)
            await self._send(response)
        except (ConnectionError, TimeoutError):
            pass  # The page was closed, or takes nothing.
        finally:
            self._open -= 1
        return response

    async def _send(self, response: web.StreamResponse) -> None:
        sent: dict[str, Markup] = {}
        while not self.ending.is_set():
            view = self._status.view()
            shown = sections(view)
            changed = {name: markup for name, markup in shown.items() if sent.get(name) != markup}
            event = json.dumps({"now": view["now"], "sections": changed})
            async with timeout_at(asyncio.get_running_loop().time() + TAKES):
                await response.write(f"data: {event}\n\n".encode())
            sent = shown
            await self._clock.wait(self.ending, EVERY)
