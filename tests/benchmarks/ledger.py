"""Measures what the outcome ledger costs a payout: `python -m tests.benchmarks.ledger` prints a table in a minute.

Sidecars without it, with a SQLite file and, where its server is installed, with PostgreSQL take turns; beside them
stands what one fsync of the same disk takes in the same seconds.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, Final

import click

from tests.benchmarks import load
from tests.benchmarks.comparison import prepare
from tests.benchmarks.contenders import sidecar
from tests.benchmarks.ground import Ground, GroundError, until_answering
from tests.benchmarks.load import LoadError
from tests.benchmarks.pinned import PROXY_CORE, Pinned
from tests.benchmarks.tools import NGINX, TASKSET, WRK, MissingToolError, require
from tests.support.postgres import BINARIES, postgres_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.contenders import Contender

CONNECTIONS: Final = (1, 32)
OFF: Final = "off"
PAGE: Final = b"x" * 4096
SYNCS: Final = 100


@dataclass(slots=True)
class Measured:
    """What turns of one kind showed; times in seconds."""

    loads: list[load.Load] = field(default_factory=list)
    syncs: list[float] = field(default_factory=list)

    def row(self) -> str:
        """As the table has it."""
        rate, p50 = median(one.per_second for one in self.loads), median(one.p50 for one in self.loads)
        p99, failed = median(one.p99 for one in self.loads), sum(one.failed for one in self.loads)
        return f"{rate:9,.0f} {p50 * 1e3:7.3f} {p99 * 1e3:7.2f} {failed:6} {median(self.syncs) * 1e3:9.3f}"


@click.command()
@click.option("--seconds", type=click.IntRange(1), default=2, show_default=True, help="Of load at each turn.")
@click.option("--turns", type=click.IntRange(1), default=3, show_default=True, help="Of each.")
def main(*, seconds: int, turns: int) -> None:
    """Show rate and times of payouts for each ledger and number of connections."""
    try:
        require((WRK, NGINX, TASKSET))
        prepare()
        with ExitStack() as exits:
            _measure(exits, seconds, turns)
    except (MissingToolError, GroundError, LoadError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _measure(exits: ExitStack, seconds: int, turns: int) -> None:
    ground = exits.enter_context(Ground())
    contenders = {name: _started(exits, ground, name, url) for name, url in _ledgers(exits, ground).items()}
    click.echo("ledger    connections payouts/s  p50 ms  p99 ms failed  fsync ms")
    for connections in CONNECTIONS:
        found = {name: Measured() for name in contenders}
        for _ in range(turns):
            for name, contender in contenders.items():
                load.warm(contender, connections)
                found[name].syncs += syncs(ground.folder)
                found[name].loads.append(load.run(contender, connections=connections, seconds=seconds, payouts=True))
        for name, measured in found.items():
            click.echo(f"{name:9} {connections:11} {measured.row()}")


def _ledgers(exits: ExitStack, ground: Ground) -> dict[str, str]:
    found = {OFF: OFF, "sqlite": f"sqlite:{ground.folder}/ledger.db"}
    if BINARIES is not None:
        found["postgres"] = exits.enter_context(postgres_server()).create("payments")
    return found


def _started(exits: ExitStack, ground: Ground, name: str, url: str) -> Contender:
    plain = sidecar(ground)
    more = {"PROXY_LEDGER": url, "PROXY_LEDGER_TIMEOUT": "5s"}
    contender = replace(plain, name=name, environment={**plain.environment, **more})
    program = Pinned(contender.command, core=PROXY_CORE, said=ground.folder / name, environment=contender.environment)
    until_answering(contender.port, exits.enter_context(program))
    return contender


def syncs(folder: Path) -> list[float]:
    """Return what appending a page and having it on the disk took, again and again."""
    path, found = folder / "synced", []
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        for _ in range(SYNCS):
            os.write(file, PAGE)
            began = time.perf_counter()
            os.fdatasync(file)
            found.append(time.perf_counter() - began)
    finally:
        os.close(file)
        path.unlink()
    return found


if __name__ == "__main__":
    main()
