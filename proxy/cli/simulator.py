"""Runs the simulated Localpayment as a process of its own.

It prints its addresses and how to point `serve` at it; never a password, invented or not.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import click

from proxy.cli import option_types
from proxy.cli.exits import Exit, end

if TYPE_CHECKING:
    from proxy.simulator.server import Simulator
    from proxy.simulator.service import LoggedCall

_PORT: Final = click.IntRange(0, 65535)


@click.command(short_help="Run a local Localpayment to test against.")
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address; no other is accepted.")
@click.option(
    "--port", type=_PORT, default=8090, show_default=True, help="Port of the API; 0: the kernel chooses a free port."
)
@click.option("--control-port", type=_PORT, default=8091, show_default=True, help="Port of the controls; 0 as above.")
@click.option("--username", help="The only username that logs in.  [default: any]")
@click.option("--password", help="The only password that logs in; an invented one.  [default: any]")
@click.option(
    "--access-lifetime", type=option_types.lifetime, default="5m", show_default=True, help="Life of access tokens."
)
@click.option(
    "--refresh-lifetime", type=option_types.lifetime, default="24h", show_default=True, help="Life of refresh tokens."
)
@click.option("--rotate", is_flag=True, help="A refresh brings a new refresh token too.")
@click.option("--blacklist/--no-blacklist", default=True, show_default=True, help="With --rotate, end the old one.")
@click.option("--log-calls", is_flag=True, help="Print a line for each call; never a body, an id or a token.")
def simulator(*, log_calls: bool, username: str | None, password: str | None, **options: object) -> Exit:
    """Run a local Localpayment to develop and test against.

    It keeps payments in memory. A second port lets it misbehave: delays, errors, cut connections, revoked tokens.
    Never give it a real credential.
    """
    import asyncio  # noqa: PLC0415 - as below

    from proxy.secret import Secret  # noqa: PLC0415 - as below
    from proxy.simulator.server import Simulator, SimulatorOptions  # noqa: PLC0415 - aiohttp

    told = SimulatorOptions(
        on_call=_print_call if log_calls else _ignore,
        username=None if username is None else Secret(username),
        password=None if password is None else Secret(password),
        **options,  # type: ignore[arg-type]  # click has read each by the type of its option
    )
    try:
        there = Simulator(told)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--host") from None
    asyncio.run(_serve(there))
    return Exit.FINE


async def _serve(simulator: Simulator) -> None:
    """Say where it is and how `serve` is pointed at it, then serve until a signal."""
    from proxy.cli.stop_signals import stop_requested  # noqa: PLC0415 - asyncio

    options = simulator.options
    username = "anything" if options.username is None else "'the one you gave to --username'"
    password = "anything" if options.password is None else "'the one you gave to --password'"
    async with AsyncExitStack() as running:
        stop = running.enter_context(stop_requested())
        try:
            await running.enter_async_context(simulator)
        except OSError as error:
            why = error.strerror or error
            end(f"cannot listen: {why}: choose other ports with --port and --control-port; 0 is any free one")
        click.echo(f"""\
Simulated Localpayment  {simulator.url}
Control interface       {simulator.control_url}  (curl it: it explains its commands)

Point a sidecar at it, in another terminal:
  export LOCALPAYMENT_ENVIRONMENT=sandbox
  export LOCALPAYMENT_BASE_URL={simulator.url}
  export LOCALPAYMENT_USERNAME={username}
  export LOCALPAYMENT_PASSWORD={password}
  localpayment-proxy serve
""")
        await stop.wait()


def _print_call(call: LoggedCall) -> None:
    """Print method, operation, status, and the fault it met."""
    status = "no answer" if call.status is None else str(call.status)
    fault = f" ({call.fault})" if call.fault else ""
    click.echo(f"{call.method:<6} {call.operation:<32} {status}{fault}")


def _ignore(_call: LoggedCall) -> None: ...
