"""Measures what a call costs as connections, bodies and callers grow; run by `make bench-scaling`."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final

import click

from tests.benchmarks.contenders import MAKERS, OURS
from tests.benchmarks.running import running

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.benchmarks.running import Slice

CONNECTIONS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
BODIES: Final = (0, 1, 4, 16, 64, 256, 1024)  # KiB of a request; 0 for a read
CALLERS: Final = (1, 10, 100, 400)  # in the policy, each with a key; its file has 64 KiB at most
AT_ONCE: Final = 32  # connections, where something else grows
_PROXIES: Final = [name for name in MAKERS if name != "direct"]
_HEADER: Final = "calls/s  p50 ms  p99 ms  µs/call    MiB  failed"


def connections(names: Sequence[str], seconds: int) -> None:
    """Show each contender with more and more connections."""
    _tell("connections")
    with running(names) as programs:
        for count in CONNECTIONS:
            for name, program in programs.items():
                _show(name, count, program.slice(count, seconds))


def bodies(names: Sequence[str], seconds: int) -> None:
    """Show each contender with larger and larger bodies."""
    _tell("KiB of body")
    with running(names) as programs:
        for size in BODIES:
            for name, program in programs.items():
                _show(name, size, program.slice(AT_ONCE, seconds, upload=size * 1024))


def callers(names: Sequence[str], seconds: int) -> None:  # noqa: ARG001 - the others know no callers
    """Show the sidecar with more and more callers in its policy; the last of them calls."""
    _tell("callers")
    for count in CALLERS:
        keys = [secrets.token_urlsafe(32) for _ in range(count)]
        with running([OURS], policy="".join(map(_caller, range(count), keys)) + _ANYONE) as programs:
            _show(OURS, count, programs[OURS].slice(AT_ONCE, seconds, key=keys[-1]))


GROWING: Final[dict[str, Callable[[Sequence[str], int], None]]] = {
    "connections": connections,
    "bodies": bodies,
    "callers": callers,
}
_ANYONE: Final = '[callers.anyone]\nanyone = true\nallow = ["read_only"]\n'


@click.command()
@click.option("--seconds", type=click.IntRange(1), default=2, show_default=True, help="Of load at each step.")
@click.option("--of", "names", type=click.Choice(_PROXIES), multiple=True, default=[OURS], help="Whom.  [repeatable]")
@click.option("--by", type=click.Choice(list(GROWING)), multiple=True, default=list(GROWING), help="What grows.")
def main(*, seconds: int, names: Sequence[str], by: Sequence[str]) -> None:
    """Show rate, times, cost and memory while one thing grows; several contenders take turns."""
    for one in by:
        GROWING[one](names, seconds)


def _tell(grows: str) -> None:
    click.echo(f"who       {grows:>11}  {_HEADER}")


def _show(name: str, grown: int, one: Slice) -> None:
    found = one.found
    click.echo(
        f"{name:9} {grown:11,} {found.per_second:8,.0f} {found.p50 * 1e3:7.2f} {found.p99 * 1e3:7.1f} "
        f"{one.cost * 1e6:8.1f} {one.resident_kib / 1024:6.1f} {found.failed:7}"
    )


def _caller(number: int, key: str) -> str:
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f'[callers.service-{number}]\nkey_sha256 = ["{digest}"]\nallow = ["read_only"]\n'


if __name__ == "__main__":
    main()
