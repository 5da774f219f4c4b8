"""Declares the commands and their options. Each command imports what it needs when it runs.

`healthcheck` and `--help` must stay fast: nothing here imports aiohttp or the proxy itself at the top.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

import click

from proxy import VERSION
from proxy.cli import option_types, shipped
from proxy.cli.admin import commands as admin_commands
from proxy.cli.exits import Exit, failed
from proxy.cli.ledger import ledger
from proxy.cli.operations import operations
from proxy.cli.policy import policy
from proxy.cli.simulator import simulator
from proxy.process.imports import quick_imports

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.config import TcpAddress

NAME = "localpayment-proxy"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
EXIT_CODES = (
    "Exit codes: 0 fine, 1 failure while running, 2 wrong usage, 78 bad configuration; `check --live` adds 69 and 77."
)


def exit_code(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; wrong usage is explained on stderr."""
    color = False if os.environ.get("NO_COLOR") else None  # None: where a terminal shows it; https://no-color.org
    try:
        return int(commands.main(arguments, prog_name=NAME, standalone_mode=False, color=color) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return Exit.FAILED
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still to be written goes there
        return failed(f"cannot write the output: {error.strerror}")


@click.group(context_settings=CONTEXT, epilog=EXIT_CODES)
@click.version_option(VERSION, message="%(prog)s %(version)s")
def commands() -> None:
    """Authenticate one service's calls to Localpayment.

    The sidecar runs beside your service, holds the username, the password and the token, and forwards plain HTTP
    requests to Localpayment over TLS. To see it work without an account: `localpayment-proxy demo`.
    """


for command in (*admin_commands.COMMANDS, *shipped.COMMANDS, ledger, operations, policy, simulator):
    commands.add_command(command)


@commands.command(short_help="Run the sidecar.")
def serve() -> Exit:
    """Run the sidecar until SIGTERM or Ctrl-C.

    Environment variables configure it; LOCALPAYMENT_ENVIRONMENT, LOCALPAYMENT_USERNAME and LOCALPAYMENT_PASSWORD are
    required. `localpayment-proxy check` says whether they are right.
    """
    from proxy.cli.check.usable_settings import usable_settings  # noqa: PLC0415 - as below
    from proxy.config import SettingsError  # noqa: PLC0415 - as below

    try:
        settings = usable_settings(os.environ)
    except SettingsError as error:
        return failed(str(error), Exit.BAD_CONFIGURATION)
    with quick_imports():
        from proxy.listening.binding import BindError  # noqa: PLC0415 - as below
        from proxy.serve import UNUSABLE  # noqa: PLC0415 - as below
        from proxy.serve import serve as run  # noqa: PLC0415 - the whole proxy

    try:
        return Exit(run(settings, os.environ))
    except BindError as error:
        return failed(str(error))
    except UNUSABLE as error:
        return failed(str(error), Exit.BAD_CONFIGURATION)


@commands.command(short_help="See it work, without an account.")
@click.option(
    "--listen",
    type=option_types.loopback_address,
    help="Where the sidecar takes calls; port 0: the kernel chooses a free port.  [default: 127.0.0.1:8080 if free]",
)
@click.option(
    "--admin-listen",
    type=option_types.loopback_address,
    help="Its admin listener; port 0 as above.  [default: 127.0.0.1:8081 if free]",
)
@click.option("--once", is_flag=True, help="End after the last step, with exit code 1 if a step went wrong.")
def demo(*, listen: TcpAddress | None, admin_listen: TcpAddress | None, once: bool) -> Exit:
    """See it work: a simulated Localpayment and a sidecar in one go.

    Makes a few calls, shows each as a curl command, explains what the sidecar did, and stays up for you to try. It
    needs no account, settings or network.
    """
    import asyncio  # noqa: PLC0415 - as below

    from proxy.cli.demo.run import run_demo  # noqa: PLC0415 - aiohttp

    return asyncio.run(run_demo(listen, admin_listen, once=once))


@commands.command(short_help="Say whether settings, credentials and network are right.")
@click.option("--live", is_flag=True, help="Also try what a call needs: DNS, TCP, TLS, one login, one read call.")
@click.option(
    "--country", type=option_types.country, default="ARG", show_default=True, help="What the read call asks about."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(*, live: bool, country: str, as_json: bool) -> Exit:
    """Say whether the settings are right, and with --live whether Localpayment can be reached.

    Prints every setting in effect, secrets masked, then a line for each step, with what to do if it failed. --live
    logs in once and moves no money.

    Exit codes: 0 all is well; 78 settings, policy or credential source; 69 network, TLS or Localpayment itself;
    77 login or permission refused; 1 anything else. The first failure decides.
    """
    from proxy.cli.check.run import run_checks  # noqa: PLC0415 - asyncio

    report = run_checks(os.environ, live=live, country=country)
    for line in [report.as_json()] if as_json else report.as_lines(sys.stdout.encoding):
        click.echo(line)
    return report.exit_code
