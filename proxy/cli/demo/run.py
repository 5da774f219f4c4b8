"""Runs the demo: a simulated Localpayment, a sidecar beside it, some calls, then both stay up to try.

It reads no setting from the environment: no real credential is ever used here.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import tempfile
from typing import TYPE_CHECKING, Final

import aiohttp
import click

from proxy.cli.demo.client import DemoClient
from proxy.cli.demo.sidecar import SidecarProcess
from proxy.cli.demo.steps import BALANCE, FIRST_LIFETIME, STEPS, run_steps
from proxy.cli.exits import Exit
from proxy.cli.stop_signals import stop_requested
from proxy.config import TcpAddress
from proxy.secret import Secret
from proxy.simulator.server import Simulator, SimulatorOptions

if TYPE_CHECKING:
    from collections.abc import Coroutine

USERNAME: Final = "demo"
HOST: Final = "127.0.0.1"


async def run_demo(listen: TcpAddress | None, admin_listen: TcpAddress | None, *, once: bool) -> Exit:
    """Run the steps, then, unless `once`, wait for a signal; None is the default port if it is free, else any.

    Raises:
        SidecarEndedError: an address is in use.
    """
    password = secrets.token_urlsafe()
    options = SimulatorOptions(username=Secret(USERNAME), password=Secret(password), access_lifetime=FIRST_LIFETIME)
    with stop_requested() as stop, tempfile.TemporaryDirectory(prefix="localpayment-proxy-demo-") as folder:
        async with Simulator(options) as simulator, aiohttp.ClientSession() as client:
            settings = {
                "LOCALPAYMENT_ENVIRONMENT": "sandbox",
                "LOCALPAYMENT_BASE_URL": simulator.url,
                "LOCALPAYMENT_USERNAME": USERNAME,
                "LOCALPAYMENT_PASSWORD": password,
                "PROXY_LISTEN": str(listen or TcpAddress(HOST, free_port(8080))),
                "PROXY_ADMIN_LISTEN": str(admin_listen or TcpAddress(HOST, free_port(8081))),
                "STATE_DIRECTORY": folder,
            }
            async with SidecarProcess(settings) as sidecar:
                demo = DemoClient(simulator, sidecar, client)
                click.echo(f"Simulated Localpayment  {simulator.url}  (control: {simulator.control_url})")
                click.echo(f"Sidecar                 {sidecar.url}  (admin: {sidecar.admin_url})")
                click.echo(f"Status page             {sidecar.admin_url}/status")
                wrong = await _until_stopped(stop, run_steps(demo))
                if wrong is None:
                    return Exit.FAILED
                click.echo(f"\n{len(STEPS) - wrong} of {len(STEPS)} steps went as they must.")
                if not once:
                    _invite(demo, folder)
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


def free_port(port: int) -> int:
    """Return the port if it is free on the loopback address, else 0, which is any."""
    try:
        with socket.create_server((HOST, port)):
            return port
    except OSError:
        return 0


def _invite(demo: DemoClient, folder: str) -> None:
    url, admin, control = demo.sidecar.url, demo.sidecar.admin_url, demo.simulator.control_url
    click.echo(f"""
Both stay up; end them with Ctrl-C. To try:
  curl -s {url}{BALANCE}
  curl -s {admin}/metrics
  {admin}/status          # in a browser: what the sidecar does, as it does it
  PROXY_LEDGER=sqlite:{folder}/ledger.db localpayment-proxy ledger list
  curl -s {control}/          # commands that let Localpayment misbehave
  curl -s {control}/log       # the calls that Localpayment saw""")
