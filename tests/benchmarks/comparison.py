"""Measures the sidecar beside others who do the same job. Run by `make bench`; QUICK=1 for a first look.

A full run writes docs/performance.md and its plot; a quick one only prints, since its figures are too few to keep.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import click

from tests.benchmarks import figures, machine, page, plot
from tests.benchmarks.contenders import MAKERS, OURS, ROOT
from tests.benchmarks.ground import Ground, GroundError
from tests.benchmarks.load import LoadError
from tests.benchmarks.measuring import IDLERS, Measuring
from tests.benchmarks.pinned import LOAD_CORE
from tests.benchmarks.tools import NGINX, TASKSET, WRK, MissingToolError, require

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE: Final = ROOT / "docs" / "performance.md"
PLOT: Final = ROOT / "docs" / "performance.svg"
FULL: Final = 540.0  # seconds after which no further round is begun
QUICK: Final = 75.0
TOO_BUSY: Final = 0.1  # share of waiting from which on rates tell more about the neighbours


@click.command()
@click.option("--quick", is_flag=True, help="One round of each, printed only.")
@click.option("--rounds", type=click.IntRange(1), default=10, show_default=True, help="Turns that each has.")
@click.option("--starts", type=click.IntRange(1), default=5, show_default=True, help="How often each is started.")
@click.option("--only", multiple=True, type=click.Choice(list(MAKERS)), help="Leave out the others.  [repeatable]")
@click.option("--raw", type=click.Path(path_type=Path), help="Where to write all samples, as JSON.")
@click.option("--write/--no-write", default=True, help="Whether the page is written.")
def main(*, quick: bool, rounds: int, starts: int, only: Sequence[str], raw: Path | None, write: bool) -> None:
    """Compare the sidecar with other proxies on this machine; nothing leaves the loopback interface."""
    began = time.monotonic()
    try:
        require((WRK, NGINX, TASKSET))
        names = present(only or list(MAKERS))
        prepare()
        with Ground() as ground:
            measuring = Measuring(ground, [MAKERS[name][0](ground) for name in names], _tell)
            measuring.starts(1 if quick else starts, IDLERS)
            done = measuring.loads(1 if quick else rounds, began + (QUICK if quick else FULL))
    except (MissingToolError, GroundError, LoadError, OSError) as error:
        raise click.ClickException(str(error)) from error
    remarks = _remarks(measuring, done, time.monotonic() - began)
    text = page.told(measuring.samples, names, machine.described(names), remarks)
    click.echo(text)
    if raw is not None:
        raw.write_text(json.dumps(measuring.samples, indent=1))
    if write and not quick:
        PAGE.write_text(page.placed(PAGE.read_text(), text))
        PLOT.write_text(plot.bars(measuring.samples, (figures.RATE_1, figures.RATE_32, figures.RATE_128), names))


def present(names: Sequence[str]) -> list[str]:
    """Return those whose program is installed; tell about the others."""
    there = []
    for name in names:
        _, tool = MAKERS[name]
        if tool is None or tool.path is not None:
            there.append(name)
        else:
            _tell(f"left out: {tool.complaint}")
    if OURS not in there:
        there.insert(0, OURS)
    return there


def prepare() -> None:
    """Stand on the load's core, and allow as many open files as there may be.

    Raises:
        OSError: this machine has fewer than two cores, or the limit of open files is too low.
    """
    if not {0, LOAD_CORE} <= os.sched_getaffinity(0):
        message = "This needs two cores, numbers 0 and 1: one for the proxy and one for the load."
        raise OSError(message)
    os.sched_setaffinity(0, {LOAD_CORE})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * IDLERS + 512
    if most != resource.RLIM_INFINITY and most < needed:
        message = f"A process may open {most} files here, and this needs {needed}. Fix: ulimit -Hn {needed}, as root."
        raise OSError(message)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _remarks(measuring: Measuring, done: int, took: float) -> list[str]:
    failed = {name: count for name, count in measuring.failed.items() if count}
    return [
        f"{done} rounds, {took:.0f} s in all; each figure is the median, ± half the distance between the quartiles.",
        _of_noise(median(measuring.waited)),
        f"Calls that failed: {', '.join(f'{name} {count}' for name, count in failed.items()) or 'none'}.",
    ]


def _of_noise(waited: float) -> str:
    advice = " Go by the processor time." if waited > TOO_BUSY else ""
    return (
        f"The proxies waited for their core {waited:.0%} of the time that they worked (median of all turns). Rates and "
        "times depend on that, processor time and memory hardly." + advice
    )


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
