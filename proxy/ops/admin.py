"""What does the admin listener answer? Probes and metrics by GET, orders by POST; nothing here reaches Localpayment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web
from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from structlog.typing import FilteringBoundLogger

    from proxy.ops.health import Health, Verdict
    from proxy.ops.metrics import Metrics

_FAILURES: Final = 400  # RFC 9110 section 15: from here on an answer reports an error


class Admin:
    """The admin listener's application.

    Args:
        health: what the probes are answered from.
        metrics: what is exposed.
        logger: gets a line for each request, at debug when it went well.
        drain: makes the sidecar unready, and nothing else.
        quit_: begins an orderly end of the process.
    """

    def __init__(
        self,
        *,
        health: Health,
        metrics: Metrics,
        logger: FilteringBoundLogger,
        drain: Callable[[], None],
        quit_: Callable[[], None],
    ) -> None:
        self._health = health
        self._metrics = metrics
        self._logger = logger
        self._drain = drain
        self._quit = quit_

    def application(self) -> web.Application:
        """Return the application with all routes."""
        application = web.Application(middlewares=[self._log])
        application.add_routes(
            [
                web.get("/livez", self._livez),
                web.get("/readyz", self._readyz),
                web.get("/startupz", self._startupz),
                web.get("/metrics", self._expose),
                web.post("/-/drain", self._begin_drain),
                web.post("/-/quit", self._begin_quit),
            ]
        )
        return application

    async def _livez(self, _: web.Request) -> web.Response:
        return _probed(self._health.live())

    async def _readyz(self, _: web.Request) -> web.Response:
        return _probed(self._health.ready())

    async def _startupz(self, _: web.Request) -> web.Response:
        return _probed(self._health.started())

    async def _begin_drain(self, _: web.Request) -> web.Response:
        self._drain()
        return web.Response(status=202, text="unready from now on\n")

    async def _begin_quit(self, _: web.Request) -> web.Response:
        self._quit()
        return web.Response(status=202, text="shutting down\n")

    async def _expose(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._metrics.registry), headers={"Content-Type": content_type})

    @web.middleware
    async def _log(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPException as error:
            self._said(request, error.status)
            raise
        self._said(request, response.status)
        return response

    def _said(self, request: web.Request, status: int) -> None:
        route = request.match_info.route.resource
        facts = {"method": request.method, "route": None if route is None else route.canonical, "status": status}
        if status < _FAILURES:
            self._logger.debug("admin.answered", **facts)
        else:
            self._logger.info("admin.answered", **facts)


def _probed(verdict: Verdict) -> web.Response:
    return web.Response(status=200 if verdict.good else 503, text=verdict.reason + "\n")
