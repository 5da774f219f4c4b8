"""Relays many calls, and compares what the last cost with the first. Run by `make bench-soak CALLS=…`.

Memory and processor time must level out: whatever grows with the number of calls is a leak.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

import click

from tests.benchmarks.contenders import MAKERS, OURS
from tests.benchmarks.running import running

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.running import Slice

MAY_GROW: Final = 0.05  # share of the memory after the first quarter of all calls
MAY_COST: Final = 0.15  # share of the processor time in the first half; a noisy neighbour takes some of the caches
_LEAST: Final = 8  # slices from which on a verdict means something
_PROXIES: Final = [name for name in MAKERS if name != "direct"]


@click.command()
@click.option("--calls", type=click.IntRange(1), default=200_000, show_default=True, help="How many to make at least.")
@click.option("--connections", type=click.IntRange(1, 4096), default=32, show_default=True, help="At once.")
@click.option("--seconds", type=click.IntRange(1), default=5, show_default=True, help="For which figures are taken.")
@click.option("--of", "name", type=click.Choice(_PROXIES), default=OURS, show_default=True, help="Who is loaded.")
def main(*, calls: int, connections: int, seconds: int, name: str) -> None:
    """Relay many calls; show memory and cost of a call over time, and fail when they grow."""
    slices: list[Slice] = []
    with running([name]) as programs:
        program = programs[name]
        click.echo(f"idle: {program.resident_kib() / 1024:.1f} MiB\n     calls   MiB  µs/call  calls/s  p99 ms  failed")
        made = 0
        while made < calls:
            one = program.slice(connections, seconds)
            slices.append(one)
            made += one.found.calls
            click.echo(
                f"{made:10,} {one.resident_kib / 1024:5.1f} {one.cost * 1e6:8.1f} {one.found.per_second:8,.0f} "
                f"{one.found.p99 * 1e3:7.1f} {one.found.failed:7}"
            )
    verdict = judged(slices)
    if verdict is None:
        click.echo(f"No verdict: that takes {_LEAST} slices; make more calls.")
        return
    click.echo(verdict.text)
    if not verdict.level:
        message = "It grows. Fix: find what is kept, or done more often, with each call."
        raise click.ClickException(message)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether memory and cost have levelled out, and in which words."""

    level: bool
    text: str


def judged(slices: Sequence[Slice]) -> Verdict | None:
    """Compare the end with the beginning; None when there are too few slices."""
    if len(slices) < _LEAST:
        return None
    quarter, half = len(slices) // 4, len(slices) // 2
    settled = median(one.resident_kib for one in slices[quarter : 2 * quarter])
    last = median(one.resident_kib for one in slices[-quarter:])
    early = median(one.cost for one in slices[:half])
    late = median(one.cost for one in slices[half:])
    growth, dearer = last / settled - 1, late / early - 1
    text = f"memory {growth:+.1%} since the second quarter, cost of a call {dearer:+.1%} between the halves"
    return Verdict(growth <= MAY_GROW and dearer <= MAY_COST, text)


if __name__ == "__main__":
    main()
