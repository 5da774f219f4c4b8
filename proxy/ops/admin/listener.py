"""Serves the admin listener: probes, metrics and status by GET, commands by POST. Nothing goes upstream."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from aiohttp import web

from proxy.errors import RelayError
from proxy.ops.admin import page
from proxy.ops.admin.access import AdminKeyError
from proxy.ops.metrics.instruments import Exposition

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from structlog.typing import FilteringBoundLogger

    from proxy.ops.admin.access import AdminAccess
    from proxy.ops.admin.event_stream import EventStream
    from proxy.ops.admin.health import Health, ProbeResult
    from proxy.ops.admin.ledger_commands import LedgerCommands
    from proxy.ops.admin.status import Status
    from proxy.ops.metrics.metrics import Metrics

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_FAILURES: Final = 400  # RFC 9110 section 15: from here on an answer reports an error
_PROBES: Final = frozenset(("/livez", "/readyz", "/startupz"))  # asked every few seconds; what they tell is logged once
_SAFE: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": page.POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Part(NamedTuple):
    """One part of a reload.

    Attributes:
        name: what it is.
        kept: why the old one stays in use; empty when the new one is.
        done: what was done when nothing is kept.
    """

    name: str
    kept: str = ""
    done: str = "read anew"

    def __str__(self) -> str:
        return f"{self.name}: {self.kept or self.done}"


class AdminCommands(NamedTuple):
    """The commands of an operator; all but `reload` return at once.

    Attributes:
        reload: reads anew what can be changed while running; returns what became of each part, as text and whether the
            new one is in use.
        lock: drops the tokens and refuses every call.
        unlock: ends that.
        drain: makes the sidecar unready, and nothing else.
        quit: begins an orderly end of the process.
        ledger: the commands on the outcome ledger.
    """

    reload: Callable[[], Awaitable[Sequence[Part]]]
    lock: Callable[[], None]
    unlock: Callable[[], None]
    drain: Callable[[], None]
    quit: Callable[[], None]
    ledger: LedgerCommands


class AdminApplication:
    """The admin listener's application.

    Args:
        health: what the probes are answered from.
        metrics: what is exposed.
        status: what the status page shows.
        events: keeps open pages up to date.
        access: who may have an answer.
        commands: what an operator may command.
        logger: gets a line for each request but probes, at debug when it went well.
    """

    def __init__(  # noqa: PLR0913 - what it is made of, each named at the call
        self,
        *,
        health: Health,
        metrics: Metrics,
        status: Status,
        events: EventStream,
        access: AdminAccess,
        commands: AdminCommands,
        logger: FilteringBoundLogger,
    ) -> None:
        self._health = health
        self._exposition = Exposition(metrics.registry)
        self._status = status
        self._events = events
        self._access = access
        self._commands = commands
        self._logger = logger

    def application(self) -> web.Application:
        """Return the application with all routes."""
        application = web.Application(middlewares=[self._log, self._admit])
        health, commands = self._health, self._commands
        icon = page.icon(self._status.settings.environment.value)
        application.add_routes(
            [
                web.get("/", self._index),
                web.get("/livez", _probe(health.live)),
                web.get("/readyz", _probe(health.ready)),
                web.get("/startupz", _probe(health.started)),
                web.get("/metrics", self._expose),
                web.get("/status", self._show),
                web.get("/status/style.css", _text(page.STYLE, "text/css")),
                web.get("/status/script.js", _text(page.SCRIPT, "text/javascript")),
                web.get("/status/icon.svg", _text(icon, "image/svg+xml")),
                web.get("/status/events", self._events.stream),
                web.post("/-/reload", self._reload),
                web.post("/-/lock", _run(commands.lock, "locked: no token is held, every call is refused")),
                web.post("/-/unlock", _run(commands.unlock, "unlocked: logging in")),
                web.post("/-/drain", _run(commands.drain, "unready from now on")),
                web.post("/-/quit", _run(commands.quit, "shutting down")),
                *commands.ledger.routes(),
            ]
        )
        application.on_shutdown.append(self._end_streams)
        return application

    async def _expose(self, request: web.Request) -> web.Response:
        body, content_type = await self._exposition.write(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _index(self, request: web.Request) -> web.Response:
        if _is_browser(request):
            return web.Response(text=page.index_page(), content_type="text/html", headers=_SAFE)
        return web.Response(text=page.index_text(), headers=_SAFE)

    async def _show(self, request: web.Request) -> web.Response:
        view = self._status.view()
        if _is_browser(request):
            return web.Response(text=page.page(view), content_type="text/html", headers=_SAFE)
        return web.json_response(text=json.dumps(view) + "\n", headers=_SAFE)

    async def _reload(self, _: web.Request) -> web.Response:
        parts = await self._commands.reload()
        good = not any(part.kept for part in parts)
        return web.Response(status=200 if good else 500, text="".join(f"{part}\n" for part in parts))

    async def _end_streams(self, _: web.Application) -> None:
        self._events.ending.set()

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._access.check(request.method, request.path, request.raw_headers)
        except RelayError as error:
            return web.Response(status=error.status, text=f"{error.title}. {error.detail}\n")
        except AdminKeyError:
            text = "This command needs the admin key: send it as `Authorization: Bearer KEY`.\n"
            return web.Response(status=401, text=text, headers={"WWW-Authenticate": "Bearer"})
        return await handler(request)

    @web.middleware
    async def _log(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPException as error:
            self._log_response(request, error.status)
            error.text = f"{error.text}\n"
            raise
        self._log_response(request, response.status)
        return response

    def _log_response(self, request: web.Request, status: int) -> None:
        if request.path in _PROBES:
            return
        route = request.match_info.route.resource
        facts = {"method": request.method, "route": None if route is None else route.canonical, "status": status}
        if status >= _FAILURES or request.method == "POST":
            self._logger.info("admin.answered", **facts)
        else:
            self._logger.debug("admin.answered", **facts)


def _is_browser(request: web.Request) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _probe(ask: Callable[[], ProbeResult]) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        verdict = ask()
        return web.Response(status=200 if verdict.good else 503, text=f"{verdict}\n")

    return answer


def _run(carry_out: Callable[[], None], text: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        carry_out()
        return web.Response(status=202, text=text + "\n")

    return answer


def _text(text: str, content_type: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type=content_type, headers=_SAFE)

    return answer
