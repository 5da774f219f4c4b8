"""Starts and stops the simulated Localpayment on real sockets.

It never listens beyond loopback: every client that reaches it can log in and give it commands.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Self

from aiohttp import web

from proxy.simulator.api import api_port
from proxy.simulator.control import control_port
from proxy.simulator.service import Service, SimulatorOptions

if TYPE_CHECKING:
    import ssl

__all__ = ["Simulator", "SimulatorOptions"]

# Hanging calls are released before; what is left is a call being answered.
SHUTDOWN_SECONDS = 1.0


class Simulator(Service):
    """The service of `Service` on two ports of a loopback address; an asynchronous context manager.

    Raises:
        ValueError: the host is not a loopback address.
    """

    def __init__(self, options: SimulatorOptions | None = None) -> None:
        super().__init__(options or SimulatorOptions())
        self._host = loopback(self.options.host)
        self._runners: list[web.AppRunner] = []
        self._ports = (self.options.port, self.options.control_port)

    @property
    def url(self) -> str:
        """The origin of the API; its port is known after the start."""
        scheme = "https" if self.options.ssl_context else "http"
        return f"{scheme}://{self._authority}:{self._ports[0]}"

    @property
    def control_url(self) -> str:
        """The origin of the control interface; its port is known after the start."""
        return f"http://{self._authority}:{self._ports[1]}"

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: a port is in use, or the address is not there; nothing listens then.
        """
        try:
            api = await self._listen(api_port(self), self.options.port, self.options.ssl_context)
            control = await self._listen(control_port(self), self.options.control_port, None)
        except OSError:
            await self.stop()
            raise
        self._ports = (api, control)

    async def stop(self) -> None:
        """Release what hangs, finish what is being answered, close every connection; harmless when not started."""
        self.clear_faults()
        runners, self._runners = self._runners, []
        for runner in runners:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    @property
    def _authority(self) -> str:
        return f"[{self._host}]" if ":" in self._host else self._host

    async def _listen(self, application: web.Application, port: int, ssl_context: ssl.SSLContext | None) -> int:
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        self._runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, self._host, port, ssl_context=ssl_context)
        await site.start()
        return site.port


def loopback(host: str) -> str:
    """The address to listen on; `localhost` means 127.0.0.1, so that port 0 is one port."""
    name = "127.0.0.1" if host == "localhost" else host
    try:
        reachable_from_here_only = ipaddress.ip_address(name).is_loopback
    except ValueError:
        reachable_from_here_only = False
    if not reachable_from_here_only:
        message = "the simulator listens on loopback only, since any client may log in: use 127.0.0.1, ::1 or localhost"
        raise ValueError(message)
    return name
