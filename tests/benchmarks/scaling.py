"""Measures with 1 to 1,000 connections; run by `make bench-scaling`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from tests.benchmarks.contenders import MAKERS, OURS
from tests.benchmarks.running import running

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.running import Slice

STEPS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
_PROXIES: Final = [name for name in MAKERS if name != "direct"]


@click.command()
@click.option("--seconds", type=click.IntRange(1), default=2, show_default=True, help="Of load at each step.")
@click.option("--of", "names", type=click.Choice(_PROXIES), multiple=True, default=[OURS], help="Whom.  [repeatable]")
def main(*, seconds: int, names: Sequence[str]) -> None:
    """Show rate, times, cost and memory for each number of connections; several contenders take turns."""
    click.echo("who       connections  calls/s  p50 ms  p99 ms  µs/call    MiB  failed")
    with running(names) as programs:
        for connections in STEPS:
            for name, program in programs.items():
                click.echo(f"{name:9} {connections:11,} {_row(program.slice(connections, seconds))}")


def _row(one: Slice) -> str:
    found = one.found
    return (
        f"{found.per_second:8,.0f} {found.p50 * 1e3:7.2f} {found.p99 * 1e3:7.1f} {one.cost * 1e6:8.1f} "
        f"{one.resident_kib / 1024:6.1f} {found.failed:7}"
    )


if __name__ == "__main__":
    main()
