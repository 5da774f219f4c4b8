"""Runs the simulated Localpayment as a process of its own.

It prints its addresses and how to point `serve` at it; never a password, invented or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.cli.stop_signals import stop_requested
from proxy.simulator.server import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proxy.simulator.service import LoggedCall, SimulatorOptions


async def simulate(options: SimulatorOptions, tell: Callable[[str], None]) -> None:
    """Serve until a signal.

    Raises:
        OSError: a port is in use.
        ValueError: the host is not a loopback address.
    """
    simulator = Simulator(options)
    with stop_requested() as stop:
        async with simulator:
            for line in introduction(simulator):
                tell(line)
            await stop.wait()


def introduction(simulator: Simulator) -> Iterator[str]:
    """Say where it is and how `serve` is pointed at it."""
    options = simulator.options
    username = "anything" if options.username is None else "'the one you gave to --username'"
    password = "anything" if options.password is None else "'the one you gave to --password'"
    yield f"Simulated Localpayment  {simulator.url}"
    yield f"Control interface       {simulator.control_url}  (curl it: it explains its commands)"
    yield ""
    yield "Point a sidecar at it, in another terminal:"
    yield "  export LOCALPAYMENT_ENVIRONMENT=sandbox"
    yield f"  export LOCALPAYMENT_BASE_URL={simulator.url}"
    yield f"  export LOCALPAYMENT_USERNAME={username}"
    yield f"  export LOCALPAYMENT_PASSWORD={password}"
    yield "  localpayment-proxy serve"
    yield ""


def call_line(call: LoggedCall) -> str:
    """One call on one line: method, operation, status, and the fault it met."""
    status = "no answer" if call.status is None else str(call.status)
    fault = f" ({call.fault})" if call.fault else ""
    return f"{call.method:<6} {call.operation:<32} {status}{fault}"
