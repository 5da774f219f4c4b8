"""Runs the demo: a simulated Localpayment and a sidecar in one process, some calls, then both stay up to try.

It reads no environment variable: no real credential is ever used here.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from typing import TYPE_CHECKING, Final

import aiohttp

from proxy.app import Sidecar
from proxy.cli.demo.client import DemoClient
from proxy.cli.demo.steps import BALANCE, FIRST_LIFETIME, STEPS, run_steps
from proxy.cli.exits import Exit
from proxy.cli.stop_signals import stop_requested
from proxy.config import TcpAddress, load_settings
from proxy.secret import Secret
from proxy.simulator.server import Simulator, SimulatorOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from proxy.config import Settings

USERNAME: Final = "demo"
HOST: Final = "127.0.0.1"


async def run_demo(
    listen: TcpAddress | None, admin_listen: TcpAddress | None, tell: Callable[[str], None], *, once: bool
) -> Exit:
    """Run the steps, then, unless `once`, wait for a signal.

    Args:
        listen: where the sidecar takes calls; None: the default port if it is free, else any.
        admin_listen: the same for its admin listener.
        tell: prints a line.
        once: whether to end after the steps.

    Raises:
        OSError: a port is in use.
    """
    password = secrets.token_urlsafe()
    options = SimulatorOptions(username=Secret(USERNAME), password=Secret(password), access_lifetime=FIRST_LIFETIME)
    with stop_requested() as stop:
        async with Simulator(options) as simulator, aiohttp.ClientSession() as client:
            settings = _settings(
                simulator.url,
                password,
                listen or TcpAddress(HOST, free_port(8080)),
                admin_listen or TcpAddress(HOST, free_port(8081)),
            )
            async with Sidecar(settings) as sidecar:
                demo = DemoClient(simulator, sidecar.url, sidecar.admin_url, client, tell)
                _introduce(demo)
                wrong = await _until_stopped(stop, run_steps(demo))
                if wrong is None:
                    return Exit.FAILED
                tell(f"\n{len(STEPS) - wrong} of {len(STEPS)} steps went as they must.")
                if not once:
                    _invite(demo)
                    await stop.wait()
    return Exit.FAILED if wrong else Exit.FINE


async def _until_stopped(stop: asyncio.Event, running: Coroutine[None, None, int]) -> int | None:
    """Return what the steps return; None if a signal stopped them."""
    tasks = asyncio.create_task(running), asyncio.create_task(stop.wait())
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    steps_task, stop_task = tasks
    stop_task.cancel()
    if steps_task.done():
        return steps_task.result()
    steps_task.cancel()
    await asyncio.wait((steps_task,))
    return None


def _settings(origin: str, password: str, listen: TcpAddress, admin_listen: TcpAddress) -> Settings:
    return load_settings(
        {
            "LOCALPAYMENT_ENVIRONMENT": "sandbox",
            "LOCALPAYMENT_BASE_URL": origin,
            "LOCALPAYMENT_USERNAME": USERNAME,
            "LOCALPAYMENT_PASSWORD": password,
            "PROXY_LISTEN": str(listen),
            "PROXY_ADMIN_LISTEN": str(admin_listen),
            "PROXY_LOG_LEVEL": "error",
        }
    )


def free_port(port: int) -> int:
    """Return the port if it is free on the loopback address, else 0, which is any."""
    try:
        with socket.create_server((HOST, port)):
            return port
    except OSError:
        return 0


def _introduce(demo: DemoClient) -> None:
    demo.tell(f"Simulated Localpayment  {demo.simulator.url}  (control: {demo.simulator.control_url})")
    demo.tell(f"Sidecar                 {demo.origin}  (admin: {demo.admin})")
    demo.tell(f"Status page             {demo.admin}/status")


def _invite(demo: DemoClient) -> None:
    demo.tell("\nBoth stay up; end them with Ctrl-C. To try:")
    demo.tell(f"  curl -s {demo.origin}{BALANCE}")
    demo.tell(f"  curl -s {demo.admin}/metrics")
    demo.tell(f"  {demo.admin}/status          # in a browser: what the sidecar does, as it does it")
    demo.tell(f"  curl -s {demo.simulator.control_url}/          # commands that let Localpayment misbehave")
    demo.tell(f"  curl -s {demo.simulator.control_url}/log       # the calls that Localpayment saw")
